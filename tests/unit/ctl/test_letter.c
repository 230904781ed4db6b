#include <criterion/criterion.h>
#include <stdio.h>

#include "ctl/letter.h"

static struct arena *test_arena(void)
{
    static struct arena *arena; /* goes with the test's process */
    return arena ? arena : (arena = arena_new());
}

#define MINUTE_US (60 * USEC_PER_SEC)

static struct bus_message dead(void)
{
    struct bus_message m = {.message_id = "e-1",
        .type = "payment.completed",
        .user_id = "order",
        .timestamp_s = 1000,
        .body = SPAN("{}")};
    letter_mark(&m, "souk-error-code", "ETIMEDOUT");
    letter_mark(&m, "souk-error", "too slow");
    letter_mark(&m, "souk-last-failed-at", "2026-01-02T03:04:05Z");
    letter_mark(&m, "souk-first-failed-at", "2026-01-01T03:04:05Z");
    letter_mark(&m, "souk-origin-user", "payment");
    letter_mark(&m, "souk-dead-at", "2026-01-02T03:04:05Z");
    letter_mark(&m, "x-first-death-queue", "order-queue");
    letter_mark(&m, "traceparent", "00-1");
    m.headers[m.headers_count++] = (struct bus_header){.name = "souk-attempts", .value = 5};
    return m;
}

static struct letter letter_of(const struct bus_message *m)
{
    struct letter l;
    letter_read(test_arena(), queue_find("order"), m, &l);
    return l;
}

static const char *text_of(const struct bus_message *m, const char *name)
{
    const struct bus_header *h = bus_header_get(m, name);
    return h ? h->text : NULL;
}

Test(letter, read__our_own_copy__has_its_story)
{
    struct bus_message m = dead();
    struct letter l = letter_of(&m);
    cr_assert_str_eq(l.id, "e-1");
    cr_assert_str_eq(l.code, "ETIMEDOUT");
    cr_assert_str_eq(l.error, "too slow");
    cr_assert_str_eq(l.type, "payment.completed");
    cr_assert_eq(l.failed_us, 1767323045 * USEC_PER_SEC);
    cr_assert_eq(strlen(l.group), GROUP_SIZE - 1);
}

Test(letter, read__the_brokers_own__has_its_reason)
{
    struct bus_message m = {.timestamp_s = 1000, .body = SPAN("x")};
    letter_mark(&m, "x-first-death-reason", "delivery_limit");
    struct letter l = letter_of(&m), again = letter_of(&m);
    cr_assert_str_eq(l.code, "broker:delivery_limit");
    cr_assert_str_eq(l.type, "unknown");
    cr_assert_eq(l.failed_us, 1000 * USEC_PER_SEC);
    cr_assert_eq(strncmp(l.id, "body:", 5), 0);
    cr_assert_str_eq(l.id, again.id);
}

Test(letter, matches__each_filter__narrows)
{
    struct bus_message m = dead();
    struct letter l = letter_of(&m);
    int64_t now = l.failed_us + 10 * MINUTE_US;
#define MATCHES(...) letter_matches(&(struct letter_filter){.now_us = now, __VA_ARGS__}, &l)
    cr_assert(MATCHES(.ids = NULL));
    cr_assert(MATCHES(.ids = "e-0, e-1"));
    cr_assert_not(MATCHES(.ids = "e-11,e"));
    cr_assert(MATCHES(.code = "ETIMEDOUT", .type = "payment.completed", .group = l.group));
    cr_assert_not(MATCHES(.code = "ETIMEDOUT", .type = "payment.failed"));
    cr_assert_not(MATCHES(.group = "00000000"));
    cr_assert(MATCHES(.queue = queue_find("order-queue.dlq")));
    cr_assert_not(MATCHES(.queue = queue_find("cart")));
    cr_assert(MATCHES(.older_us = 9 * MINUTE_US, .newer_us = 11 * MINUTE_US));
    cr_assert_not(MATCHES(.older_us = 11 * MINUTE_US));
    cr_assert_not(MATCHES(.newer_us = 9 * MINUTE_US));
    l.failed_us = 0;
    cr_assert_not(MATCHES(.older_us = 1));
    l.id = "a,b";
    cr_assert(MATCHES(.ids = "a,b"));
    cr_assert_not(MATCHES(.ids = "a"));
}

Test(letter, replay__goes_to_its_one_queue__without_the_failures_marks)
{
    struct bus_message m = dead();
    struct letter l = letter_of(&m);
    struct bus_message to = letter_replay(test_arena(), &l, "ann", "now");
    cr_assert_str_eq(to.exchange, "order-events.retry");
    cr_assert_str_eq(to.routing_key, "order-queue.0");
    cr_assert_null(to.user_id);
    cr_assert_str_eq(to.message_id, "e-1");
    cr_assert_str_eq(text_of(&to, "souk-replayed-by"), "ann");
    cr_assert_str_eq(text_of(&to, "souk-replayed-at"), "now");
    cr_assert_str_eq(text_of(&to, "souk-origin-user"), "payment");
    cr_assert_str_eq(text_of(&to, "souk-first-failed-at"), "2026-01-01T03:04:05Z");
    cr_assert_str_eq(text_of(&to, "traceparent"), "00-1");
    cr_assert_eq(bus_header_get(&to, "souk-attempts")->value, 0);
    static const char *const gone[] = {"souk-error-code", "souk-error", "souk-last-failed-at",
        "souk-dead-at", "x-first-death-queue"};
    for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
        cr_assert_null(bus_header_get(&to, gone[i]), "%s", gone[i]);
}

Test(letter, replay__of_the_brokers_own__names_its_sender)
{
    struct bus_message m = {.user_id = "payment", .body = SPAN("{}")};
    struct letter l = letter_of(&m);
    struct bus_message to = letter_replay(test_arena(), &l, "ann", "now");
    cr_assert_str_eq(text_of(&to, "souk-origin-user"), "payment");
}

Test(letter, replay__a_full_table_of_headers__keeps_our_marks)
{
    struct bus_message m = {.body = SPAN("{}")};
    static char names[BUS_HEADERS_LIMIT][8];
    for (size_t i = 0; i < BUS_HEADERS_LIMIT; i++) {
        snprintf(names[i], sizeof(names[i]), "h-%zu", i);
        letter_mark(&m, names[i], "x");
    }
    struct letter l = letter_of(&m);
    struct bus_message to = letter_replay(test_arena(), &l, "ann", "now");
    cr_assert_eq(to.headers_count, BUS_HEADERS_LIMIT);
    cr_assert_str_eq(text_of(&to, "souk-replayed-at"), "now");
    cr_assert_not_null(bus_header_get(&to, "souk-attempts"));
}

Test(letter, again__stays_dead_with_its_story)
{
    struct bus_message m = dead();
    struct letter l = letter_of(&m);
    struct bus_message to = letter_again(test_arena(), &l);
    cr_assert_str_eq(to.exchange, "order-events.dlx");
    cr_assert_str_eq(to.routing_key, "order-queue.dlq");
    cr_assert_str_eq(text_of(&to, "souk-error-code"), "ETIMEDOUT");
    cr_assert_str_eq(text_of(&to, "souk-origin-user"), "payment");
}

Test(letter, queue__by_any_of_its_names__is_found)
{
    cr_assert_eq(queue_find("aibuddy"), queue_find("ai-events-queue"));
    cr_assert_eq(queue_find("aibuddy"), queue_find("ai-events-queue.dlq"));
    cr_assert_null(queue_find("order-events.audit"));
}
