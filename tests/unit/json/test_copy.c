#include "fixture.h"

/* Whatever the copy still shared with the original would read as empty here: the reset wipes. */
Test(copy, struct_copy__original_gone__is_whole)
{
    struct span text = SPAN("{\"text\":\"t\",\"id\":\"01900000-0000-7000-8000-000000000101\","
                            "\"count\":3,\"flag\":true,\"at\":\"2026-01-02T03:04:05Z\","
                            "\"price\":{\"amount\":995,\"currency\":\"EUR\"},"
                            "\"one\":{\"sku\":\"a-1\",\"quantity\":1},"
                            "\"items\":[{\"sku\":\"b-2\",\"quantity\":2},"
                            "{\"sku\":\"c-3\",\"quantity\":3}],"
                            "\"tags\":[\"x\",\"y\"],\"raw\":{\"k\":[1,2]},\"score\":0.5}");
    struct arena *first = arena_new(), *second = arena_new();
    struct all original, copy;
    const char *errors;
    cr_assert_eq(read_all(first, text, &original, &errors), 0, "%s", errors);
    const char *before = json_struct_text(second, &all_table, &original);

    struct_copy(second, &all_table, &original, &copy);
    arena_reset(first);
    cr_assert_str_eq(json_struct_text(second, &all_table, &copy), before);
    arena_free(first);
    arena_free(second);
}

Test(copy, struct_copy__nothing_there__stays_so)
{
    struct arena *a = arena_new();
    struct all original = {.count = 7}, copy;
    struct_copy(a, &all_table, &original, &copy);
    cr_assert_null(copy.text);
    cr_assert_null(copy.one);
    cr_assert_eq(copy.items.len, 0);
    cr_assert_eq(copy.raw.len, 0);
    cr_assert_eq(copy.count, 7);
    arena_free(a);
}

Test(copy, list_copy__one_changed__other_is_not)
{
    struct arena *a = arena_new();
    struct item items[] = {{"a-1", 1}, {"b-2", 2}};
    struct list copy = list_copy(a, &item_table, (struct list){2, items});
    items[1] = (struct item){"c-3", 3};
    cr_assert_eq(copy.len, 2);
    cr_assert_str_eq(LIST_AT(copy, struct item, 0)->sku, "a-1");
    cr_assert_str_eq(LIST_AT(copy, struct item, 1)->sku, "b-2");
    cr_assert_eq(LIST_AT(copy, struct item, 1)->quantity, 2);
    arena_free(a);
}
