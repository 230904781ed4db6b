#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/auth.h"

static const struct config_row rows[] = {
    {"PASSWORD_LIST_FILE", CONFIG_TEXT, .fallback = "", .doc = "a list"},
};

/* A list with this text is read from a file and loaded. */
static void load(const char *list)
{
    char path[] = "/tmp/souk-test-list-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, list, strlen(list)), (ssize_t)strlen(list));
    close(fd);
    setenv("PASSWORD_LIST_FILE", path, 1);
    cr_assert_eq(config_load(rows, ARRAY_SIZE(rows), NULL, 0), 0);
    int r = password_list_load();
    unlink(path);
    cr_assert_eq(r, 0, "%s", error_text());
}

static bool listed(const char *password)
{
    struct arena *a = arena_new();
    bool is = password_listed(a, password);
    arena_free(a);
    return is;
}

static void expect_words(void)
{
    static const char *const words[] = {
        "abbey", "Abbey", "bishop", "cactus", "zebra", "12zebra!", "cActus99"};
    static const char *const others[] = {
        "abbe", "abbeys", "bish", "remark", "# remark", "zebras", ""};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        cr_expect(listed(words[i]), "%s", words[i]);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        cr_expect_not(listed(others[i]), "%s", others[i]);
}

Test(password_list, sorted__finds_what_is_on_it)
{
    load("abbey\nbishop\ncactus\nzebra\n");
    expect_words();
}

Test(password_list, unsorted_with_remarks_capitals_and_line_ends_of_both_kinds__finds_the_same)
{
    load("# remark\r\nZebra\r\n\nbishop\ncactus\n#remark\nABBEY\nbishop\nabbey");
    expect_words();
}

Test(password_list, empty__has_nothing)
{
    load("");
    cr_assert_not(listed("abbey"));
}

Test(password_list, missing_file__fails)
{
    setenv("PASSWORD_LIST_FILE", "/nowhere/list", 1);
    cr_assert_eq(config_load(rows, ARRAY_SIZE(rows), NULL, 0), 0);
    cr_assert_lt(password_list_load(), 0);
    cr_assert(strstr(error_text(), "/nowhere/list"));
}
