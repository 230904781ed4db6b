/* Reads a delivery: the envelope, the payload by the table of its type, and who may have sent it.
 *
 * Who may send what: the broker checks that user_id is the sender's own user, so an event straight
 * from the exchange must carry its publisher's name there; without a user_id (a tool's message) the
 * routing key must be the event's type, as who may use which key is checked as well. What comes by
 * another way (the return of a retry tier, a replay, the default exchange) was put there by
 * ourselves or by ops, as only they have the right to; our copies keep the name of the first sender
 * in a header, which is worth nothing on any other way. */

#include "common/app/incoming.h"

#include "common/app/dispatch.h"
#include "common/app/outbox.h"
#include "common/app/service.h"
#include "common/contract/events.h"

#define FUTURE_LIMIT_US (24 * 3600 * USEC_PER_SEC)

static const struct field envelope_fields[] = {
    FIELD_UUID(struct envelope, event_id, "eventId", .required = true),
    FIELD_TEXT(struct envelope, event_type, "eventType", .max = 128),
    FIELD_TEXT(struct envelope, type, "type", .required = true, .max = 128),
    FIELD_TEXT(struct envelope, event_version, "eventVersion", .required = true, .max = 16),
    FIELD_TEXT(struct envelope, source, "source", .max = 64),
    FIELD_TEXT(struct envelope, aggregate_id, "aggregateId", .required = true, .max = 128),
    FIELD_TEXT(struct envelope, correlation_id, "correlationId", .max = 128),
    FIELD_TIME(struct envelope, timestamp, "timestamp", .required = true),
    FIELD_RAW(struct envelope, payload, "payload", .required = true),
};
const struct table envelope_table = TABLE("EventEnvelope", struct envelope, envelope_fields);

static const struct consumer_row *row_find(const char *type)
{
    const struct service *s = app()->service;
    for (size_t i = 0; i < s->consumers_count; i++) {
        const struct consumer_row *row = &s->consumers[i];
        if (strcmp(row->kind->type, type) == 0 || (row->alias && strcmp(row->alias, type) == 0))
            return row;
    }
    return NULL;
}

void incoming_condemn(struct incoming *in, const char *code, const char *text)
{
    in->fate = INCOMING_DEAD;
    in->error_code = code;
    in->error_text = text;
}

static const char *errors_text(const struct json_errors *errors)
{
    return errors->count
               ? arena_printf(fiber_arena(), "%s: %s", errors->at[0].pointer, errors->at[0].detail)
               : "unreadable";
}

static bool major_matches(const char *given, const char *known)
{
    size_t n = strcspn(known, ".");
    return strncmp(given, known, n) == 0 && (given[n] == '.' || given[n] == 0);
}

bool incoming_is_fresh(const struct bus_message *m)
{
    return m->exchange && strcmp(m->exchange, EVENT_EXCHANGE) == 0;
}

const char *incoming_earlier(const struct bus_message *m, const char *name, const char *otherwise)
{
    const struct bus_header *h = incoming_is_fresh(m) ? NULL : bus_header_get(m, name);
    return h && h->text ? h->text : otherwise;
}

const char *incoming_origin_user(const struct bus_message *m)
{
    return incoming_is_fresh(m) ? m->user_id
                                : incoming_earlier(m, "souk-origin-user", INCOMING_OPERATOR);
}

/* NULL when the event may come from where it came; else the name of who sent it. */
static const char *wrong_sender(
    const struct bus_message *m, const struct event_kind *kind, const char *type)
{
    const char *sender = m->user_id;
    if (!incoming_is_fresh(m))
        sender = incoming_origin_user(m);
    else if (strcmp(bus_user(app()->bus), app()->service->name) != 0)
        return NULL; /* this broker does not tell the services apart */
    if (!sender)     /* but the broker let it use the key */
        return strcmp(m->routing_key, type) == 0 ? NULL : "an unnamed user";
    return strcmp(sender, kind->publisher) == 0 || strcmp(sender, INCOMING_OPERATOR) == 0 ? NULL
                                                                                          : sender;
}

bool incoming_has_secrets(const struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->fields[i].secret || (t->fields[i].sub && incoming_has_secrets(t->fields[i].sub)))
            return true;
    return false;
}

/* A dead letter that came back as it was: its secrets are no more. */
static bool secret_is_gone(const struct bus_message *m, const struct table *t, struct span payload)
{
    return !incoming_is_fresh(m) && incoming_has_secrets(t) &&
           memmem(payload.ptr, payload.len, "\"***\"", 5) != NULL;
}

static void describe_event(struct incoming *in)
{
    const struct bus_message *m = in->message;
    const struct envelope *e = &in->envelope;
    const struct bus_header *trace = bus_header_get(m, "traceparent");
    bool sound = e->correlation_id && correlation_valid(span_of(e->correlation_id));
    char *trace_parent = arena_alloc(fiber_arena(), TRACE_PARENT_SIZE);
    trace_parent_make(span_of(trace ? trace->text : NULL), trace_parent);
    in->event = (struct event){.id = e->event_id,
        .type = e->type,
        .version = e->event_version,
        .source = e->source,
        .aggregate_id = e->aggregate_id,
        .correlation_id = sound ? e->correlation_id : e->event_id,
        .timestamp_us = e->timestamp,
        .redelivered = m->redelivered};
    in->work = (struct work){
        .correlation_id = in->event.correlation_id, .trace_parent = trace_parent, .event = true};
}

void incoming_read(struct incoming *in)
{
    struct arena *a = fiber_arena();
    struct json_errors errors = {0};
    struct envelope e;
    if (json_read(a, in->message->body, &envelope_table, JSON_LENIENT, &e, &errors) != 0)
        return incoming_condemn(in, "unreadable_event", errors_text(&errors));
    in->envelope = e;
    describe_event(in);
    in->row = row_find(e.type);
    if (!in->row) {
        if (event_kind_find(e.type))
            in->fate = INCOMING_IGNORED;
        else
            incoming_condemn(
                in, "unknown_event_type", arena_printf(a, "no event is called %s", e.type));
        return;
    }
    const struct event_kind *kind = in->row->kind;
    if (!major_matches(e.event_version, kind->version))
        return incoming_condemn(in, "unknown_event_version",
            arena_printf(
                a, "%s %s, this consumer knows %s", e.type, e.event_version, kind->version));
    /* Where the newest wins, an event of the year 9999 would win for ever. */
    if (e.timestamp > clock_wall_us() + FUTURE_LIMIT_US)
        return incoming_condemn(
            in, "implausible_timestamp", "its timestamp is over a day ahead of our clock");
    const char *sender = wrong_sender(in->message, kind, e.type);
    if (sender)
        return incoming_condemn(in, "wrong_publisher",
            arena_printf(a, "%s may be sent by %s, not by %s", e.type, kind->publisher, sender));
    void *payload = arena_alloc(a, kind->payload->size);
    if (json_read(a, e.payload, kind->payload, JSON_LENIENT, payload, &errors) != 0)
        return incoming_condemn(in, "invalid_payload", errors_text(&errors));
    if (secret_is_gone(in->message, kind->payload, e.payload))
        return incoming_condemn(in, "secret_is_gone",
            "a secret of this event was masked when it died; let its publisher make a new event");
    in->event.payload = payload;
}
