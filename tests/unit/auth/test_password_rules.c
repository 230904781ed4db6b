#include <criterion/criterion.h>

#include "auth/auth.h"

static char *repeated(const char *piece, size_t times)
{
    static char text[2048];
    text[0] = 0;
    for (size_t i = 0; i < times; i++)
        strcat(text, piece);
    return text;
}

Test(password, good_ones__are_good)
{
    static const char *const good[] = {"correct horse", "souk-demo-2026", "battery staple",
        "quite long 1795269597", "x7x7x7x7", "Zürich & Genève", "mnbtwqxr", "trees9 grow4 up",
        "qwxrtzplm", "sunshine over Hamburg", "abc def ghx", "漢字漢字かなカナ", "0x5f3759df"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        cr_assert_null(password_problem(good[i], "anna@people.example"), "%s", good[i]);
    cr_assert_null(password_problem(repeated("x7", 64), NULL));
}

Test(password, length__is_counted_in_characters_not_bytes)
{
    cr_assert_not_null(password_problem(repeated("éa", 3), NULL));
    cr_assert_null(password_problem(repeated("éa", 4), NULL));
    cr_assert_null(password_problem(repeated("漢字", 64), NULL));
    cr_assert_not_null(password_problem(repeated("漢字", 65), NULL));
    cr_assert_not_null(password_problem("", NULL));
    cr_assert_not_null(password_problem("1x3q5w7", NULL));
}

/* What the lists of leaked passwords begin with. */
Test(password, common_ones__are_refused)
{
    static const char *const common[] = {"password", "password1", "Password123", "P@ssw0rd!",
        "passw0rd2024", "12345678", "123456789", "1234567890", "0123456789", "87654321", "11111111",
        "aaaaaaaa", "11112222", "123123123", "qwertyui", "qwerty123", "Qwertz123", "azertyuiop",
        "asdfghjkl", "asdf1234", "1qaz2wsx", "1q2w3e4r5t", "zxcvbnm123", "abcd1234", "abcdefgh",
        "iloveyou1", "sunshine", "Summer2024!", "letmein123", "trustno1", "welcome1", "Dragon99",
        "m0nkey12", "football7", "jordan23", "testtest", "superman!", "charlie1", "michael1",
        "starwars1977", "00000000", "!@#$%^&*", "changeme", "admin1234", "qazwsxedc", "147258369",
        "souk2026"};
    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        cr_assert_not_null(password_problem(common[i], NULL), "%s", common[i]);
}

Test(password, own_address__is_refused_in_any_case_and_decorated)
{
    cr_assert_not_null(password_problem("Anna@Souk.example", "anna@souk.example"));
    cr_assert_not_null(password_problem("Annabel1", "annabel@souk.example"));
    cr_assert_not_null(password_problem("12annabel!", "annabel@souk.example"));
    cr_assert_null(password_problem("annabel and ben", "annabel@souk.example"));
    cr_assert_null(password_problem("jokanna77", "jo@souk.example"));
}

Test(password, any_bytes__do_no_harm)
{
    char text[PASSWORD_BYTES_LIMIT * 2];
    for (size_t seed = 1; seed < 20000; seed++) {
        uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15);
        size_t len = x % 40;
        for (size_t i = 0; i < len; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            text[i] = "aA1!\xc3\xa9 0qQ@$x9"[(x >> 33) % 14];
        }
        text[len] = 0;
        (void)password_problem(text, "aaaa@a.example");
    }
    cr_assert_not_null(password_problem(repeated("a", 1500), NULL));
}
