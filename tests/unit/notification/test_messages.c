#include <criterion/criterion.h>
#include <errno.h>

#include "common/base/arena.h"
#include "common/base/crypto.h"
#include "common/json/writer.h"
#include "notification/notification.h"

#define PUBLIC "https://souk.example"

static struct arena *a;
static void begin(void)
{
    a = arena_new();
}
static void end(void)
{
    arena_free(a);
}

TestSuite(messages, .init = begin, .fini = end);

static struct preview rendered(const char *name, const struct message *m)
{
    struct preview texts;
    const struct template *template = template_find(name);
    cr_assert_not_null(template, "%s", name);
    cr_assert_eq(message_render(a, template, m, &texts), 0, "%s: %s", name, error_text());
    return texts;
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

Test(messages, every_template__renders_the_sample_in_full_and_with_nothing_known)
{
    struct message sample, empty = {0};
    message_sample(a, PUBLIC, &sample);
    cr_assert_geq(templates_count, 6);
    for (size_t i = 0; i < templates_count; i++) {
        struct preview full = rendered(templates[i].name, &sample);
        rendered(templates[i].name, &empty);
        cr_assert(has(full.text, PUBLIC "/api/v1/notifications/preferences"));
        cr_assert_not(has(full.subject, "\n") || has(full.text, "{{") || has(full.html, "{{"));
        cr_assert(has(full.html, "Zo\xc3\xab") && has(full.html, "</html>"));
    }
}

Test(messages, template__of_no_such_name__is_null)
{
    cr_assert_null(template_find("order_conf"));
    cr_assert_null(template_find(""));
}

Test(messages, what_is_kept_of_a_message__renders_to_the_same_texts)
{
    struct message sample, empty = {0};
    message_sample(a, PUBLIC, &sample);
    for (size_t i = 0; i < 2 * templates_count; i++) {
        const struct message *m = i % 2 ? &empty : &sample;
        const char *name = templates[i / 2].name;
        struct preview told = rendered(name, m);
        struct delivery d = {.template = name, .message = json_struct_text(a, &message_table, m)};
        cr_assert_eq(delivery_texts(a, &d), 0, "%s", name);
        cr_assert_str_eq(d.text, told.text);
        cr_assert_str_eq(d.html, told.html);
    }
}

Test(messages, delivery__without_a_message__says_its_subject_or_what_it_has)
{
    struct delivery push = {.template = "welcome", .subject = "Hello"};
    cr_assert_eq(delivery_texts(a, &push), 0);
    cr_assert_str_eq(push.text, "Hello");
    struct delivery old = {.template = "welcome", .subject = "Hello", .text = "Hello you"};
    cr_assert_eq(delivery_texts(a, &old), 0);
    cr_assert_str_eq(old.text, "Hello you");
}

Test(messages, delivery__whose_message_or_template_is_not_there__is_refused)
{
    struct delivery broken = {.template = "welcome", .message = "{\"name\":"};
    cr_assert_eq(delivery_texts(a, &broken), ERR_INVALID);
    struct delivery gone = {.template = "farewell", .message = "{}"};
    cr_assert_eq(delivery_texts(a, &gone), ERR_INVALID);
}

static struct order_item items[] = {
    {"TEA-1", "Tea <b>", NULL, 3, {1050, "EUR"}}, {"POT-1", "Pot", NULL, 1, {4999, "EUR"}}};
static const struct order_created order = {.order_id = "o1",
    .user_name = "Ann\nBcc: x@y.example",
    .items = {2, items},
    .total_amount = 8149,
    .currency = "EUR"};

Test(messages, order_confirmation__shows_lines_sums_and_total)
{
    struct message m;
    cr_assert_eq(message_of_order_created(a, PUBLIC, &order, &m), 0);
    struct preview texts = rendered("order_confirmation", &m);
    cr_assert_str_eq(texts.subject, "Your order o1 over 81.49 EUR");
    cr_assert(has(texts.text, "  3 x Tea <b> at 10.50 EUR: 31.50 EUR\n  1 x Pot at"));
    cr_assert(has(texts.html, "<td>Tea &lt;b&gt;</td><td>10.50 EUR</td><td>3</td>"));
    cr_assert(has(texts.html, "<b>81.49 EUR</b>"));
    cr_assert(has(texts.text, PUBLIC "/api/v1/orders/o1"));
    cr_assert(has(texts.text, "Hello Ann Bcc: x@y.example,\n"));
}

Test(messages, order_created__with_a_sum_beyond_all_numbers__is_refused)
{
    struct order_item huge[] = {{"A", "A", NULL, 999, {INT64_MAX / 2, "EUR"}}};
    struct order_created o = {.order_id = "o1", .items = {1, huge}, .currency = "EUR"};
    struct message m;
    cr_assert_eq(message_of_order_created(a, PUBLIC, &o, &m), -ERANGE);
}

Test(messages, cancellation__names_the_reason_when_there_is_one)
{
    struct order_event o = {.order_id = "o1", .status = "cancelled", .reason = "too late"};
    struct message m;
    message_of_order(a, PUBLIC, &o, &m);
    cr_assert(has(rendered("order_cancelled", &m).text, "\nReason: too late\n"));
    o.reason = NULL;
    message_of_order(a, PUBLIC, &o, &m);
    cr_assert_not(has(rendered("order_cancelled", &m).text, "Reason"));
}

Test(messages, refund__shows_the_sum_of_all_only_after_earlier_ones)
{
    struct payment_event p = {
        .order_id = "o1", .amount = 500, .currency = "JPY", .refunded_total = 500};
    struct message m;
    message_of_payment(a, PUBLIC, &p, &m);
    struct preview first = rendered("payment_refunded", &m);
    cr_assert(has(first.subject, "500 JPY") && !has(first.text, "All refunds"));
    p.refunded_total = 900;
    message_of_payment(a, PUBLIC, &p, &m);
    cr_assert(has(rendered("payment_refunded", &m).text, "so far: 900 JPY"));
}

Test(messages, welcome__greets_by_name_when_it_is_known)
{
    struct user_event u = {.email = "ann@people.example", .name = "Ann"};
    struct message m;
    message_of_user(a, PUBLIC, &u, &m);
    cr_assert_str_eq(rendered("welcome", &m).subject, "Welcome to Souk, Ann");
    u.name = NULL;
    message_of_user(a, PUBLIC, &u, &m);
    cr_assert_str_eq(rendered("welcome", &m).subject, "Welcome to Souk");
    cr_assert(has(rendered("welcome", &m).text, "Hello,\n"));
}

/* ---- links ---- */

Test(messages, link__token__is_sealed_until_it_is_opened)
{
    char sealed[CRYPTO_SEALED_SIZE(43)];
    const char *token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP_-";
    struct message m;
    cr_assert_eq(crypto_init(), 0);
    crypto_seal(SPAN("key"), SPAN("anna"), span_make(token, 43), sealed, sizeof(sealed));
    const struct user_link_event l = {
        .user_id = "anna", .token = sealed, .expires_at = INT64_C(1769860800000000)};
    cr_assert(message_token_readable(&l));
    message_of_link(a, PUBLIC, "/page", &l, &m);
    cr_assert_str_eq(m.url, arena_printf(a, "%s/page?token=%s", PUBLIC, sealed));
    cr_assert_str_eq(m.until, "2026-01-31 12:00 UTC");
    const char *twice = arena_printf(a, "<%s> and %s.", m.url, sealed);
    cr_assert_str_eq(message_unseal(a, SPAN("key"), "anna", sealed, twice),
        arena_printf(a, "<%s/page?token=%.43s> and %.43s.", PUBLIC, token, token));
    cr_assert_null(message_unseal(a, SPAN("key"), "ben", sealed, twice));
    cr_assert_null(message_unseal(a, SPAN("yek"), "anna", sealed, twice));
    cr_assert_null(message_unseal(a, SPAN("key"), "anna", "", twice));
}

Test(messages, link__masked_token__is_not_readable)
{
    cr_assert_not(message_token_readable(&(struct user_link_event){.token = "***"}));
    cr_assert_not(message_token_readable(&(struct user_link_event){.token = ""}));
}
