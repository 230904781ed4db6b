#include <criterion/criterion.h>

#include "common/base/mem.h"
#include "common/json/plain.h"

/* Every byte at every place of texts of every length up to five words; a second one behind it must
 * not hide it. On the heap, so that a sanitizer sees a look beyond the end. */
Test(plain, plain_run__ends_at_the_first_byte_that_is_not_plain)
{
    for (size_t len = 0; len <= 40; len++) {
        char *text = mem_resize(NULL, len + (len == 0));
        memset(text, 'a', len);
        cr_assert_eq(plain_run(text, len), len);
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                text[len - 1] = '"';
                text[at] = (char)c;
                size_t end = plain ? len - (at < len - 1) : at;
                cr_assert_eq(plain_run(text, len), end, "byte %d at %zu of %zu", c, at, len);
            }
            memset(text, 'a', len);
        }
        mem_free(text);
    }
}
