#include "common/base/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "common/base/mem.h"

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

const char *unicode_nfkc(struct arena *a, const char *utf8)
{
    if (is_ascii(utf8))
        return arena_strdup(a, utf8);
    utf8proc_uint8_t *normal = utf8proc_NFKC((const utf8proc_uint8_t *)utf8);
    if (!normal)
        return NULL;
    const char *copy = arena_strdup(a, (const char *)normal);
    explicit_bzero(normal, strlen((const char *)normal)); /* it is mostly passwords */
    mem_free(normal);
    return copy;
}
