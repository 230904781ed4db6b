/* events tail: the audit stream as it grows, one line an event. Reading a stream takes nothing from
 * anybody. Each message has an offset, and the last one seen is where a lost connection goes on:
 * nothing is shown twice, nothing is left out.
 *
 * "From now on" is exact, too: the stream's last chunk is read and passed over until the broker
 * says that there is nothing more; without waiting, or it would never say so where events come all
 * the time. From then on the place is known, also when the connection is lost before the first
 * event comes. */

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/json/pretty.h"
#include "common/json/reader.h"
#include "common/json/writer.h"
#include "ctl/ctl.h"
#include "ctl/databases.h"
#include "ctl/facts.h"
#include "ctl/sheet.h"
#include "ctl/stream.h"
#include "ctl/topology.h"

#define LISTEN_US (500 * USEC_PER_MS) /* Ctrl-C is heard that late */
#define AGAIN_US  (500 * USEC_PER_MS)
#define NO_OFFSET (-1)

struct tail {
    struct ctl *ctl;
    struct arena *arena; /* of one message */
    struct stream *stream;
    int64_t since_us; /* 0: from now on */
    int64_t last_offset;
    bool passing_over; /* what was there before */
    bool was_empty;    /* the stream, when the end was found */
    bool colours;
    const char *type, *order, *service;
    int64_t left; /* events to show; INT64_MAX: all */
};

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

/* ---- one event ---- */

struct told {
    const char *type, *aggregate_id;
    int64_t timestamp;
    struct span payload;
};
static const struct field told_fields[] = {
    FIELD_TEXT(struct told, type, "type"),
    FIELD_TEXT(struct told, aggregate_id, "aggregateId"),
    FIELD_TIME(struct told, timestamp, "timestamp"),
    FIELD_RAW(struct told, payload, "payload"),
};
static const struct table told_table = TABLE("Told", struct told, told_fields);

/* What can't be read is shown with what its properties say. */
static struct told read_event(struct arena *a, const struct bus_message *m)
{
    struct told t;
    struct json_errors errors = {0};
    if (json_read(a, m->body, &told_table, JSON_LENIENT, &t, &errors) != 0)
        t = (struct told){0};
    if (!t.type)
        t.type = m->type ? m->type : m->routing_key;
    if (!t.timestamp)
        t.timestamp = m->timestamp_s * USEC_PER_SEC;
    return t;
}

static const char *source_of(const struct bus_message *m)
{
    return m->app_id ? m->app_id : m->user_id ? m->user_id : "?";
}

static bool is_wanted(const struct tail *t, const struct bus_message *m, const struct told *e)
{
    if (t->type && !topic_matches(t->type, e->type))
        return false;
    if (t->service && strcmp(t->service, source_of(m)) != 0)
        return false;
    if (!t->order || (e->aggregate_id && strcmp(t->order, e->aggregate_id) == 0))
        return true;
    const char *order = e->payload.len ? facts_order(t->arena, e->payload) : NULL;
    return order && strcmp(t->order, order) == 0;
}

/* By the first word of its type; what went wrong is red. */
static const char *colour_of(const char *type)
{
    static const char *const colours[][2] = {{"order.cancelled", "31"}, {"payment.failed", "31"},
        {"order.", "32"}, {"payment.", "33"}, {"inventory.", "36"}, {"product.", "36"},
        {"user.", "35"}, {"", "0"}};
    size_t i = 0;
    while (!span_starts(span_of(type), span_of(colours[i][0])))
        i++;
    return colours[i][1];
}

static void show_line(const struct tail *t, const struct bus_message *m, const struct told *e)
{
    struct arena *a = t->arena;
    char at[CLOCK_TEXT_SIZE];
    const char *type = text_harmless(a, span_of(e->type));
    const char *colour = t->colours ? arena_printf(a, "\033[%sm", colour_of(type)) : "";
    const char *facts =
        e->payload.len ? facts_of_payload(a, e->payload, e->aggregate_id) : "(it can't be read)";
    clock_format(e->timestamp, at);
    fprintf(t->ctl->out, "%.23sZ  %s%-23s%s  %-8s  %s%s%s\n", at, colour, type,
        t->colours ? "\033[0m" : "", text_harmless(a, span_of(source_of(m))),
        e->aggregate_id ? text_harmless(a, span_of(e->aggregate_id)) : "-", *facts ? "  " : "",
        facts);
}

static void show_json(const struct tail *t, const struct bus_message *m)
{
    struct buf out = {0}, body = {0};
    struct json_writer w = json_writer_on(&out);
    json_object_begin(&w);
    json_put_i64(&w, "offset", t->last_offset);
    json_put_text(&w, "publisher", source_of(m));
    json_key(&w, "event");
    if (text_is_object(m->body)) {
        json_compact(m->body, true, &body);
        json_raw(&w, buf_span(&body));
    } else {
        json_span(&w, m->body);
    }
    json_object_end(&w);
    fprintf(t->ctl->out, "%s\n", out.ptr);
    buf_deinit(&body);
    buf_deinit(&out);
}

static void show(struct tail *t, const struct bus_message *m)
{
    const struct told e = read_event(t->arena, m);
    if (!is_wanted(t, m, &e))
        return;
    if (t->ctl->json)
        show_json(t, m);
    else
        show_line(t, m, &e);
    t->left--;
}

/* ---- the stream ---- */

static struct stream_start place_of(const struct tail *t)
{
    if (t->last_offset != NO_OFFSET && !t->passing_over)
        return (struct stream_start){STREAM_OFFSET, .offset = t->last_offset + 1};
    if (t->since_us)
        return (struct stream_start){STREAM_TIME, .time_us = t->since_us};
    return (struct stream_start){t->was_empty ? STREAM_FIRST : STREAM_LAST};
}

static int tail_open(struct tail *t, char why[static BROKER_WHY_SIZE])
{
    const struct stream_start start = place_of(t);
    TRY(stream_open(t->ctl->amqp_url, STREAM_AUDIT, &start, &t->stream, why));
    t->passing_over = start.from == STREAM_LAST;
    return 0;
}

static void open_again(struct tail *t)
{
    char why[BROKER_WHY_SIZE];
    stream_close(t->stream);
    t->stream = NULL;
    fflush(t->ctl->out);
    fputs("soukctl: the connection to RabbitMQ was lost, trying again\n", stderr);
    while (!stopped && tail_open(t, why) != 0) {
        error_clear();
        (void)fiber_sleep(AGAIN_US);
    }
    if (t->stream)
        fputs("soukctl: connected again\n", stderr);
}

static void take(struct tail *t, const struct bus_message *m, int64_t offset)
{
    if (offset <= t->last_offset)
        return;
    t->last_offset = offset;
    if (!t->passing_over)
        show(t, m);
}

static void at_the_end(struct tail *t)
{
    if (t->passing_over && isatty(STDERR_FILENO) == 1)
        fputs("soukctl: waiting for events (Ctrl-C ends it)\n", stderr);
    t->was_empty = t->was_empty || (t->passing_over && t->last_offset == NO_OFFSET);
    t->passing_over = false;
}

static int tail_follow(struct tail *t)
{
    while (!stopped && t->left > 0 && !ferror(t->ctl->out)) {
        struct bus_message *m;
        int64_t offset;
        arena_reset(t->arena);
        int r = stream_next(t->stream, t->arena, t->passing_over ? 0 : LISTEN_US, &m, &offset);
        if (r == 0)
            take(t, m, offset);
        else if (r == STREAM_END)
            at_the_end(t);
        else
            open_again(t);
        fflush(t->ctl->out);
        error_clear();
    }
    return CTL_DONE; /* whether it could be written is asked for at the very end */
}

/* ---- the command ---- */

static bool is_service(const char *name)
{
    for (size_t i = 0; i < SERVICES_COUNT; i++)
        if (strcmp(ctl_services[i], name) == 0)
            return true;
    return false;
}

static int read_options(const struct args *args, struct tail *t)
{
    const char *since = args_text(args, "since");
    t->type = args_text(args, "type");
    t->order = args_text(args, "order");
    t->service = args_text(args, "service");
    t->left = args_number(args, "count", INT64_MAX);
    if (t->service && !is_service(t->service))
        return ctl_fail(CTL_USAGE, "--service %s: there is no such service", t->service);
    if (since && !since_parse(since, &t->since_us))
        return ctl_fail(CTL_USAGE, SINCE_USAGE, since);
    return *t->ctl->amqp_url ? 0
                             : ctl_fail(CTL_USAGE, "OPS_AMQP_URL is not set; ./souk ctl sets it");
}

static int tail_start(struct tail *t)
{
    char why[BROKER_WHY_SIZE];
    int r = tail_open(t, why);
    if (r == STREAM_NO_QUEUE)
        return ctl_fail(CTL_WRONG, "the broker has no stream %s: import rabbitmq/definitions.json",
            STREAM_AUDIT);
    if (r == ERR_INVALID)
        return ctl_fail(CTL_USAGE, "%s", why);
    return r == 0 ? 0 : broker_unreachable(why);
}

static int tail_run(struct ctl *ctl, const struct args *args)
{
    struct tail t = {.ctl = ctl, .last_offset = NO_OFFSET, .colours = ctl->tty};
    const struct sigaction stop = {.sa_handler = on_stop};
    int r = read_options(args, &t);
    if (r == 0)
        r = tail_start(&t);
    if (r != 0)
        return r;
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    t.arena = arena_new();
    r = tail_follow(&t);
    stream_close(t.stream);
    arena_free(t.arena);
    return r;
}

static const struct option_row tail_options[] = {
    {"type", "PATTERN", OPTION_TEXT, "of these types: order.created, 'payment.*', '#.failed'"},
    {"order", "ID", OPTION_TEXT, "about this order"},
    {"service", "NAME", OPTION_TEXT, "published by this service"},
    {"since", "TIME", OPTION_TEXT, "also those made since: an age (2h) or a time"},
    {"count", "N", OPTION_COUNT, "ends after so many"},
};
const struct command events_tail_command = {"events", "tail", NULL,
    "Shows events as they are published, one a line. Takes none from anybody.",
    "soukctl events tail\n"
    "soukctl events tail --type 'payment.*' --since 15m\n"
    "soukctl events tail --order 0190c5b4-8d0e-7c3e-a0f2-5b9d6a1c7e42 --since 3d\n"
    "soukctl events tail --json --type order.created | jq --unbuffered .event.payload.totalAmount",
    tail_options, ARRAY_SIZE(tail_options), tail_run};
