#include <criterion/criterion.h>

#include "auth/auth.h"

#define S USEC_PER_SEC

/* ---- texts ---- */

Test(rules, email_normal__mixed_case__is_lower)
{
    struct arena *a = arena_new();
    cr_assert_str_eq(email_normal(a, "Anna.B+X@Souk.EXAMPLE"), "anna.b+x@souk.example");
    arena_free(a);
}

Test(rules, text_tame__any_bytes__become_printable_and_short)
{
    struct arena *a = arena_new();
    cr_assert_str_eq(text_tame(a, SPAN("curl/7.88 (x)"), 64), "curl/7.88 (x)");
    cr_assert_str_eq(text_tame(a, SPAN("a\x80\xff\n\tb"), 64), "a????b");
    cr_assert_str_eq(text_tame(a, SPAN("abcdef"), 3), "abc");
    cr_assert_str_eq(text_tame(a, (struct span){0}, 3), "");
    arena_free(a);
}

/* ---- roles ---- */

static struct list names(const char **texts, size_t n)
{
    return (struct list){.len = n, .items = texts};
}

Test(rules, roles__names_and_array__agree)
{
    struct arena *a = arena_new();
    const char *all[] = {"seller", "user", "nonsense", "admin", "user"};
    cr_assert_eq(roles_of(names(all, 5)), ROLE_SIGNED_IN);
    cr_assert_str_eq(roles_array(a, ROLE_SIGNED_IN), "{user,seller,admin}");
    cr_assert_str_eq(roles_array(a, ROLE_SELLER), "{seller}");
    cr_assert_str_eq(roles_array(a, ROLE_SERVICE), "{}", "the service role is nobody's to have");
    arena_free(a);
}

Test(rules, roles_for_people__none_or_service__is_refused)
{
    cr_assert(roles_for_people(ROLE_USER));
    cr_assert(roles_for_people(ROLE_SIGNED_IN));
    cr_assert_not(roles_for_people(0));
    cr_assert_not(roles_for_people(ROLE_USER | ROLE_SERVICE));
}

/* ---- refresh tokens ---- */

Test(rules, refresh_successor__same_token_and_secret__is_the_same_and_no_other)
{
    char one[CRYPTO_TOKEN_SIZE], again[CRYPTO_TOKEN_SIZE], other[CRYPTO_TOKEN_SIZE];
    refresh_successor(SPAN("secret"), "token", one);
    refresh_successor(SPAN("secret"), "token", again);
    cr_assert_str_eq(one, again);
    cr_assert_eq(strlen(one), CRYPTO_TOKEN_SIZE - 1);
    refresh_successor(SPAN("secret"), "tokem", other);
    cr_assert_str_neq(one, other);
    refresh_successor(SPAN("secreT"), "token", other);
    cr_assert_str_neq(one, other);
}

static struct refresh_state spent(void)
{
    return (struct refresh_state){.spent_at = 1000 * S,
        .session_expires_at = 5000 * S,
        .session_live = true,
        .client = "phone",
        .session_id = "s",
        .user_id = "u"};
}

Test(rules, refresh_judge__soon_after_by_the_same_client__is_a_repeat)
{
    struct refresh_state s = spent();
    cr_assert_eq(refresh_judge(&s, "phone", 1000 * S), REFRESH_REPEAT);
    cr_assert_eq(refresh_judge(&s, "phone", 1010 * S), REFRESH_REPEAT);
}

Test(rules, refresh_judge__late_or_by_another_or_overtaken__is_reuse)
{
    struct refresh_state s = spent();
    cr_assert_eq(refresh_judge(&s, "phone", 1010 * S + 1), REFRESH_REUSED);
    cr_assert_eq(refresh_judge(&s, "thief", 1001 * S), REFRESH_REUSED);
    s.successor_spent = true;
    cr_assert_eq(refresh_judge(&s, "phone", 1001 * S), REFRESH_REUSED);
    s = spent();
    s.client = NULL;
    cr_assert_eq(refresh_judge(&s, "phone", 1001 * S), REFRESH_REUSED);
}

Test(rules, refresh_judge__nothing_to_protect__is_unknown)
{
    struct refresh_state s = spent();
    cr_assert_eq(refresh_judge(NULL, "phone", 1001 * S), REFRESH_UNKNOWN);
    s.session_live = false;
    cr_assert_eq(refresh_judge(&s, "thief", 1001 * S), REFRESH_UNKNOWN);
    s = spent();
    cr_assert_eq(refresh_judge(&s, "thief", 5000 * S), REFRESH_UNKNOWN);
    s.spent_at = 0;
    cr_assert_eq(refresh_judge(&s, "phone", 1001 * S), REFRESH_UNKNOWN);
}

Test(rules, address__stands_for_its_network)
{
    struct arena *a = arena_new();
    cr_assert_str_eq(address_network(a, "203.0.113.7"), "203.0.113.7");
    cr_assert_str_eq(address_network(a, "::ffff:203.0.113.7"), "203.0.113.7");
    cr_assert_str_eq(address_network(a, "2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    cr_assert_str_eq(address_network(a, "2001:0DB8:1:2::ffff"), "2001:db8:1:2::/64");
    cr_assert_str_eq(address_network(a, "2001:db8:1:3::1"), "2001:db8:1:3::/64");
    cr_assert_str_eq(address_network(a, "::1"), "::/64");
    cr_assert_str_eq(address_network(a, "unknown"), "unknown");
    cr_assert_str_eq(address_network(a, ""), "");
    arena_free(a);
}
