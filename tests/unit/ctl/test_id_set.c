#include "ctl/id_set.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/uuid.h"

Test(id_set, add__an_id__is_new_once)
{
    struct id_set s = {0};
    cr_assert(id_set_add(&s, "01900000-0000-7000-8000-00000000000a"));
    cr_assert(id_set_add(&s, "01900000-0000-7000-8000-00000000000b"));
    cr_assert_not(id_set_add(&s, "01900000-0000-7000-8000-00000000000a"));
    cr_assert(id_set_add(&s, "01900000-0000-7000-8001-00000000000a"));
    cr_assert(id_set_add(&s, "01900000-0000-7000-0000-000000000000"), "all zeros");
    cr_assert_not(id_set_add(&s, "01900000-0000-7000-0000-000000000000"));
    id_set_deinit(&s);
}

Test(id_set, add__many__knows_all_of_them)
{
    enum { COUNT = 20000 };
    static char ids[COUNT][UUID_TEXT_SIZE];
    struct id_set s = {0};
    for (int i = 0; i < COUNT; i++) {
        uuid_make(ids[i]);
        cr_assert(id_set_add(&s, ids[i]), "%d", i);
    }
    for (int i = 0; i < COUNT; i++)
        cr_assert_not(id_set_add(&s, ids[i]), "%d", i);
    cr_assert_eq(s.used, COUNT);
    id_set_deinit(&s);
}
