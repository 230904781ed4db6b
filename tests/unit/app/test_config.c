#include "common/app/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"

static const struct config_row rows[] = {
    {"T_TEXT", CONFIG_TEXT, .fallback = "plain", .doc = "a text"},
    {"T_SECRET", CONFIG_TEXT, .fallback = "", .secret = true, .doc = "a secret"},
    {"T_NUMBER", CONFIG_I64, .fallback = "7", .min = 1, .max = 9, .doc = "a number"},
    {"T_SWITCH", CONFIG_BOOL, .fallback = "off", .doc = "a switch"},
    {"T_NEEDED", CONFIG_TEXT, .fallback = NULL, .doc = "needed"},
};
#define LOAD() config_load(rows, 4, rows + 4, 1)

static void setup(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        unsetenv(rows[i].name);
    setenv("T_NEEDED", "yes", 1);
}
TestSuite(config, .init = setup);

Test(config, values__come_from_the_environment_or_their_fallback)
{
    setenv("T_NUMBER", "9", 1);
    setenv("T_SWITCH", "true", 1);
    cr_assert_eq(LOAD(), 0);
    cr_assert_str_eq(config_text("T_TEXT"), "plain");
    cr_assert_eq(config_i64("T_NUMBER"), 9);
    cr_assert(config_bool("T_SWITCH"));
    unsetenv("T_SWITCH");
    cr_assert(config_bool("T_SWITCH"), "the environment is read once");
    cr_assert_eq(LOAD(), 0);
    cr_assert_not(config_bool("T_SWITCH"));
}

Test(config, bad_values__fail_the_start)
{
    static const char *const numbers[] = {"0", "10", "x", "7 ", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        setenv("T_NUMBER", numbers[i], 1);
        cr_assert_eq(LOAD(), -EINVAL, "%s", numbers[i]);
    }
    setup();
    setenv("T_SWITCH", "perhaps", 1);
    cr_assert_eq(LOAD(), -EINVAL);
    setup();
    unsetenv("T_NEEDED");
    cr_assert_eq(LOAD(), -EINVAL);
}

Test(config, secrets__may_be_in_a_file_and_are_not_printed)
{
    char path[] = "/tmp/souk-config-XXXXXX";
    struct buf out = {0};
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "hush\n", 5), 5);
    close(fd);
    setenv("T_SECRET_FILE", path, 1);
    cr_assert_eq(LOAD(), 0);
    cr_assert_str_eq(config_text("T_SECRET"), "hush");
    config_print(&out);
    cr_assert(strstr(out.ptr, "T_TEXT=plain\n"));
    cr_assert(strstr(out.ptr, "T_SECRET="));
    cr_assert_null(strstr(out.ptr, "hush"));
    buf_deinit(&out);
    cr_assert_eq(truncate(path, 5000), 0);
    cr_assert_eq(LOAD(), -EINVAL, "a part of a secret is no secret");
    unlink(path);
    cr_assert_eq(LOAD(), -EINVAL, "a file that is named must be there");
}
