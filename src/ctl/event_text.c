#include "ctl/event_text.h"

#include "common/contract/events.h"
#include "common/json/reader.h"

struct event_parts {
    const char *event_id, *type, *version, *aggregate_id, *correlation_id;
    int64_t timestamp;
    struct span payload;
};
static const struct field event_fields[] = {
    FIELD_UUID(struct event_parts, event_id, "eventId", .required = true),
    FIELD_TEXT(struct event_parts, type, "type", .required = true, .max = 128),
    FIELD_TEXT(struct event_parts, version, "eventVersion", .required = true, .max = 16),
    FIELD_TEXT(struct event_parts, aggregate_id, "aggregateId", .required = true, .max = 128),
    FIELD_TEXT(struct event_parts, correlation_id, "correlationId", .max = 128),
    FIELD_TIME(struct event_parts, timestamp, "timestamp", .required = true),
    FIELD_RAW(struct event_parts, payload, "payload", .required = true),
};
static const struct table event_table = TABLE("Event", struct event_parts, event_fields);

static const char *problems_text(struct arena *a, const struct json_errors *errors, const char *at)
{
    const char *text = "";
    for (size_t i = 0; i < errors->count; i++)
        text = arena_printf(a, "%s%s%s%s: %s", text, *text ? "\n" : "", at, errors->at[i].pointer,
            errors->at[i].detail);
    return *text ? text : "it can't be read";
}

const char *event_problem(struct arena *a, struct span text)
{
    struct event_parts e;
    struct json_errors errors = {0};
    if (json_read(a, text, &event_table, JSON_LENIENT, &e, &errors) != 0)
        return problems_text(a, &errors, "");
    const struct event_kind *kind = event_kind_find(e.type);
    if (!kind)
        return arena_printf(a, "/type: no event is called %s", e.type);
    if (strcspn(e.version, ".") != strcspn(kind->version, ".") ||
        strncmp(e.version, kind->version, strcspn(kind->version, ".")) != 0)
        return arena_printf(a, "/eventVersion: %s is known as %s", e.type, kind->version);
    void *payload = arena_alloc(a, kind->payload->size);
    if (json_read(a, e.payload, kind->payload, JSON_LENIENT, payload, &errors) != 0)
        return problems_text(a, &errors, "/payload");
    return NULL;
}

/* Each member by itself: one that is broken must not hide the others. */
static const char *member_of(struct arena *a, struct span text, const char *name)
{
    struct one {
        const char *text;
    } one;
    const struct field field = FIELD_TEXT(struct one, text, name, .max = 255);
    const struct table single = {
        .name = "One", .size = sizeof(struct one), .fields = &field, .count = 1};
    struct json_errors errors = {0};
    return json_read(a, text, &single, JSON_LENIENT, &one, &errors) == 0 ? one.text : NULL;
}

struct event_identity event_identity(struct arena *a, struct span text)
{
    return (struct event_identity){.event_id = member_of(a, text, "eventId"),
        .type = member_of(a, text, "type"),
        .aggregate_id = member_of(a, text, "aggregateId"),
        .correlation_id = member_of(a, text, "correlationId")};
}

static bool changed(const char *before, const char *after)
{
    return before && (!after || strcmp(before, after) != 0);
}

const char *identity_changed(
    const struct event_identity *before, const struct event_identity *after)
{
    if (changed(before->event_id, after->event_id))
        return "eventId";
    if (changed(before->type, after->type))
        return "type";
    if (changed(before->aggregate_id, after->aggregate_id))
        return "aggregateId";
    return changed(before->correlation_id, after->correlation_id) ? "correlationId" : NULL;
}

static bool has_secrets(const struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->fields[i].secret || (t->fields[i].sub && has_secrets(t->fields[i].sub)))
            return true;
    return false;
}

bool event_is_masked(const char *type, struct span text)
{
    const struct event_kind *kind = event_kind_find(type);
    return kind && has_secrets(kind->payload) && memmem(text.ptr, text.len, "\"***", 4) != NULL;
}
