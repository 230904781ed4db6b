/* What becomes of an event that failed: a copy to the next retry tier, or to the dead letters.
 *
 * A copy is confirmed by the broker before the original is acked: a crash in between makes a
 * duplicate, never a loss. Our own headers carry the story; the broker's death headers are not
 * copied, or a replayed message would be dropped as a dead-letter cycle. A dead letter is for
 * people: its JSON is laid out in lines, its secrets are masked. */

#include "common/app/incoming.h"

#include <stdio.h>
#include <unistd.h>

#include "common/app/metrics.h"
#include "common/app/service.h"
#include "common/contract/events.h"
#include "common/json/pretty.h"

#define RETRY_EXCHANGE   "order-events.retry"
#define DEAD_EXCHANGE    "order-events.dlx"
#define RETRY_TIERS      5
#define ERROR_TEXT_LIMIT 512
#define COPY_TIME_US     (10 * USEC_PER_SEC)
#define COPY_ATTEMPTS    5
#define COPY_PAUSE_US    (250 * USEC_PER_MS)

static struct metric retries_total = {.name = "souk_event_retries_total",
    .help = "Copies sent to the retry tiers.",
    .labels = "tier"};
static struct metric dead_letters_total = {.name = "souk_dead_letters_total",
    .help = "Copies sent to the dead letters, by what went wrong.",
    .labels = "code"};

/* A dead letter that somebody moved back (the RabbitMQ page moves it with all its headers) begins
 * at the first tier again. */
static int64_t attempts_of(const struct bus_message *m)
{
    const struct bus_header *h = bus_header_get(m, "souk-attempts");
    if (!h || incoming_is_fresh(m) || bus_header_get(m, "souk-dead-at"))
        return 0;
    return !h->text && h->value >= 0 ? h->value : 0;
}

static void put_header(struct bus_message *m, const char *name, const char *text)
{
    if (text && m->headers_count < BUS_HEADERS_LIMIT)
        m->headers[m->headers_count++] = (struct bus_header){.name = name, .text = text};
}

static const char *time_text(int64_t wall_us)
{
    char *text = arena_alloc(fiber_arena(), CLOCK_TEXT_SIZE);
    clock_format(wall_us, text);
    return text;
}

/* At most `limit` bytes, not ending inside a character. */
static const char *cut_text(const char *text, size_t limit)
{
    size_t n = strnlen(text ? text : "", limit + 1);
    if (n > limit)
        for (n = limit; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    return arena_strndup(fiber_arena(), text ? text : "", n);
}

static struct span masked_body(const struct envelope *e, const struct table *payload)
{
    struct arena *a = fiber_arena();
    struct json_errors errors;
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out), inner;
    struct envelope masked = *e;
    void *value = arena_alloc(a, payload->size);
    if (json_read(a, e->payload, payload, JSON_LENIENT, value, &errors) == 0) {
        inner = json_writer_on(&out);
        json_struct_masked(&inner, payload, value);
    } else {
        buf_put_text(&out, "\"*** (unreadable, and it may hold secrets)\"");
    }
    masked.payload = span_make(arena_strndup(a, out.ptr, out.len), out.len);
    buf_reset(&out);
    json_struct(&w, &envelope_table, &masked);
    struct span body = span_make(arena_strndup(a, out.ptr, out.len), out.len);
    buf_deinit(&out);
    return body;
}

/* What the contract calls a secret. When the envelope can't be read, the message's own type must
 * tell whether there may be secrets in it. */
static struct span without_secrets(const struct incoming *in)
{
    const char *type = in->envelope.type ? in->envelope.type : in->message->type;
    const struct event_kind *kind = in->row ? in->row->kind : type ? event_kind_find(type) : NULL;
    if (!kind || !incoming_has_secrets(kind->payload))
        return in->message->body;
    return in->envelope.type ? masked_body(&in->envelope, kind->payload)
                             : SPAN("\"*** (unreadable, and it may hold secrets)\"");
}

/* The body for a dead letter: laid out for the page, which does not break lines, and without what a
 * member's name alone calls a secret, in types that we don't know as well. */
static struct span dead_body(const struct incoming *in)
{
    struct span body = without_secrets(in);
    struct buf out = {0};
    if (!text_is_object(body))
        return body;
    json_pretty(body, true, &out);
    if (out.len > BUS_BODY_LIMIT) {
        buf_reset(&out);
        json_compact(body, true, &out);
    }
    body = out.len > BUS_BODY_LIMIT
               ? SPAN("\"*** (too big once its secrets are masked)\"")
               : span_make(arena_strndup(fiber_arena(), out.ptr, out.len), out.len);
    buf_deinit(&out);
    return body;
}

/* The copy's own headers are the ops interface in the RabbitMQ page. */
static struct bus_message copy_of(struct incoming *in, bool dead, int64_t attempts)
{
    struct bus_message *from = in->message, to = *from;
    const char *queue = app()->service->queue, *now = time_text(clock_wall_us());
    static char host[64];
    if (!*host && gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "unknown");
    to.exchange = dead ? DEAD_EXCHANGE : RETRY_EXCHANGE;
    to.routing_key = dead ? arena_printf(fiber_arena(), "%s.dlq", queue)
                          : arena_printf(fiber_arena(), "%s.%lld", queue, (long long)attempts);
    to.user_id = NULL;
    to.headers_count = 0;
    if (dead)
        to.body = dead_body(in);
    put_header(&to, "souk-error-code", in->error_code);
    put_header(&to, "souk-error", cut_text(in->error_text, ERROR_TEXT_LIMIT));
    put_header(&to, "souk-consumer", app()->service->name);
    put_header(&to, "souk-host", host);
    put_header(&to, "souk-first-failed-at", incoming_earlier(from, "souk-first-failed-at", now));
    put_header(&to, "souk-last-failed-at", now);
    put_header(&to, "souk-origin-queue", queue);
    put_header(
        &to, "souk-origin-key", incoming_earlier(from, "souk-origin-key", from->routing_key));
    const char *sender = incoming_origin_user(from);
    bool doubted = strcmp(in->error_code, "wrong_publisher") == 0;
    put_header(&to, "souk-origin-user", sender ? sender : doubted ? "unknown" : INCOMING_OPERATOR);
    put_header(&to, "souk-dead-at", dead ? now : NULL);
    /* By these soukctl knows what failed again. */
    put_header(&to, "souk-replayed-by", incoming_earlier(from, "souk-replayed-by", NULL));
    put_header(&to, "souk-replayed-at", incoming_earlier(from, "souk-replayed-at", NULL));
    put_header(&to, "traceparent", in->work.trace_parent);
    to.headers[to.headers_count++] =
        (struct bus_header){.name = "souk-attempts", .value = attempts};
    return to;
}

static void tell_copied(const struct incoming *in, bool dead, int64_t attempts)
{
    const char *type = in->event.type ? in->event.type : "unreadable";
    metric_add(&inbox_handled_total, 1, in->row ? type : "unknown", dead ? "dead_letter" : "retry");
    if (dead)
        metric_add(&dead_letters_total, 1, in->error_code);
    else
        metric_add(&retries_total, 1, arena_printf(fiber_arena(), "%lld", (long long)attempts + 1));
    log_warn(dead ? "event goes to the dead letters" : "event will be retried",
        LF_TEXT("type", type), LF_TEXT("eventId", in->event.id), LF_TEXT("code", in->error_code),
        LF_TEXT("error", in->error_text), LF_I64("attempts", attempts));
}

/* Not given up at the first difficulty: it would cost the original one of its deliveries. */
int incoming_copy(struct incoming *in)
{
    int64_t attempts = attempts_of(in->message);
    bool dead = in->fate == INCOMING_DEAD || attempts >= RETRY_TIERS;
    struct bus_message copy = copy_of(in, dead, dead ? attempts : attempts + 1);
    for (int i = 0; i < COPY_ATTEMPTS && !(i > 0 && app()->draining); i++) {
        int result = ERR_UNKNOWN;
        int r = bus_publish(app()->bus, &copy, 1, &result, clock_mono_us() + COPY_TIME_US);
        if (r == 0 && result == 0)
            return tell_copied(in, dead, attempts), 0;
        log_error("an event's copy was not taken", LF_TEXT("eventId", in->event.id),
            LF_TEXT("key", copy.routing_key),
            LF_TEXT("why", result == BUS_RETURNED ? "no queue is bound: check the topology"
                           : result == BUS_NACKED ? "the broker refused it"
                                                  : error_name(result)));
        error_clear();
        (void)fiber_sleep(COPY_PAUSE_US << i);
    }
    return ERR(ERR_UNAVAILABLE);
}

void incoming_metrics_begin(void)
{
    static const char *const tiers[RETRY_TIERS] = {"1", "2", "3", "4", "5"};
    for (size_t i = 0; i < RETRY_TIERS; i++)
        metric_add(&retries_total, 0, tiers[i]);
}
