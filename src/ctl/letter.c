#include "ctl/letter.h"

#include <stdio.h>

#include "common/base/crypto.h"

static const char *header_text(const struct bus_message *m, const char *name, const char *otherwise)
{
    const struct bus_header *h = bus_header_get(m, name);
    return h && h->text ? h->text : otherwise;
}

static const char *id_of(struct arena *a, const struct bus_message *m)
{
    char hex[SHA256_HEX_SIZE];
    if (m->message_id && *m->message_id)
        return m->message_id;
    crypto_sha256_hex(m->body, hex);
    return arena_printf(a, "body:%.12s", hex);
}

static const char *code_of(struct arena *a, const struct bus_message *m)
{
    const char *code = header_text(m, "souk-error-code", NULL);
    const char *reason = header_text(m, "x-first-death-reason", NULL);
    if (code)
        return code;
    return reason ? arena_printf(a, "broker:%s", reason) : "unknown";
}

static void group_make(struct arena *a, struct letter *l)
{
    char hex[SHA256_HEX_SIZE];
    const char *key = arena_printf(a, "%s\n%s\n%s", l->queue->queue, l->code, l->type);
    crypto_sha256_hex(span_of(key), hex);
    memcpy(l->group, hex, GROUP_SIZE - 1);
    l->group[GROUP_SIZE - 1] = '\0';
}

void letter_read(struct arena *a, const struct queue_row *queue, const struct bus_message *message,
    struct letter *ret_letter)
{
    struct letter l = {.queue = queue, .message = message};
    l.id = id_of(a, message);
    l.code = code_of(a, message);
    l.error = header_text(message, "souk-error", "");
    l.type = message->type && *message->type ? message->type : "unknown";
    if (!clock_parse(span_of(header_text(message, "souk-last-failed-at", NULL)), &l.failed_us))
        l.failed_us = message->timestamp_s * USEC_PER_SEC;
    group_make(a, &l);
    *ret_letter = l;
}

/* The whole list is an id, too: strangers put commas into theirs. */
static bool is_listed(const char *list, const char *id)
{
    struct span rest = span_of(list), piece;
    if (strcmp(list, id) == 0)
        return true;
    while (span_cut(&rest, ',', &piece))
        if (span_equal(span_trim(piece), span_of(id)))
            return true;
    return false;
}

bool letter_matches(const struct letter_filter *f, const struct letter *l)
{
    int64_t age_us = f->now_us - l->failed_us;
    if (f->queue && f->queue != l->queue)
        return false;
    if (f->ids && !is_listed(f->ids, l->id))
        return false;
    if ((f->code && strcmp(f->code, l->code) != 0) || (f->type && strcmp(f->type, l->type) != 0) ||
        (f->group && strcmp(f->group, l->group) != 0))
        return false;
    if ((f->older_us || f->newer_us) && !l->failed_us)
        return false;
    return (!f->older_us || age_us > f->older_us) && (!f->newer_us || age_us < f->newer_us);
}

void letter_mark(struct bus_message *m, const char *name, const char *text)
{
    if (!text)
        return;
    for (size_t i = 0; i < m->headers_count; i++)
        if (strcmp(m->headers[i].name, name) == 0) {
            m->headers[i] = (struct bus_header){.name = name, .text = text};
            return;
        }
    if (m->headers_count < BUS_HEADERS_LIMIT)
        m->headers[m->headers_count++] = (struct bus_header){.name = name, .text = text};
}

static bool header_is_of_failure(const char *name)
{
    static const char *const names[] = {"souk-error-code", "souk-error", "souk-consumer",
        "souk-host", "souk-last-failed-at", "souk-dead-at", "souk-attempts", "souk-replayed-by",
        "souk-replayed-at", "x-death", "x-delivery-count"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return span_starts(span_of(name), SPAN("x-first-death-")) ||
           span_starts(span_of(name), SPAN("x-last-death-"));
}

/* The marks that must survive come before headers of strangers, which may fill the table. */
struct bus_message letter_replay(
    struct arena *a, const struct letter *l, const char *who, const char *stamp)
{
    const struct bus_message *from = l->message;
    struct bus_message to = *from;
    to.exchange = "order-events.retry";
    to.routing_key = arena_printf(a, "%s.0", l->queue->queue);
    to.user_id = NULL;
    to.headers_count = 0;
    letter_mark(&to, "souk-replayed-by", who);
    letter_mark(&to, "souk-replayed-at", stamp);
    letter_mark(&to, "souk-origin-user", header_text(from, "souk-origin-user", from->user_id));
    to.headers[to.headers_count++] = (struct bus_header){.name = "souk-attempts", .value = 0};
    for (size_t i = 0; i < from->headers_count && to.headers_count < BUS_HEADERS_LIMIT; i++) {
        const struct bus_header *h = &from->headers[i];
        if (!header_is_of_failure(h->name) && strcmp(h->name, "souk-origin-user") != 0)
            to.headers[to.headers_count++] = *h;
    }
    return to;
}

struct bus_message letter_again(struct arena *a, const struct letter *l)
{
    struct bus_message to = *l->message;
    to.exchange = "order-events.dlx";
    to.routing_key = l->queue->dead_letters;
    if (!bus_header_get(&to, "souk-origin-user"))
        letter_mark(&to, "souk-origin-user", to.user_id);
    to.user_id = NULL;
    return to;
}
