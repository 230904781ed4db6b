/* Any bytes as an event's payload, of every kind there is, and as a dead letter's body. What a kind
 * accepts is written, masked or not, as JSON that it accepts again; what is laid out for people
 * says the same as before. */

#include <stdlib.h>

#include "common/contract/events.h"
#include "common/json/pretty.h"
#include "common/json/reader.h"
#include "common/json/writer.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void as_payload(struct arena *a, const struct event_kind *kind, struct span text)
{
    struct json_errors errors = {0};
    void *value = arena_alloc(a, kind->payload->size);
    void *again = arena_alloc(a, kind->payload->size);
    struct buf out = {0}, masked = {0};
    struct json_writer w = json_writer_on(&out), m = json_writer_on(&masked);
    if (json_read(a, text, kind->payload, JSON_LENIENT, value, &errors) != 0) {
        must(errors.count > 0);
        return;
    }
    json_struct(&w, kind->payload, value);
    json_struct_masked(&m, kind->payload, value);
    must(json_read(a, buf_span(&out), kind->payload, JSON_STRICT, again, &errors) == 0);
    must(text_is_object(buf_span(&masked)));
    buf_deinit(&out);
    buf_deinit(&masked);
}

static void as_letter(struct span text)
{
    struct buf pretty = {0}, masked = {0}, before = {0}, after = {0};
    json_pretty(text, false, &pretty);
    json_pretty(text, true, &masked);
    must(text_is_object(buf_span(&pretty)) && text_is_object(buf_span(&masked)));
    json_compact(text, false, &before);
    json_compact(buf_span(&pretty), false, &after);
    must(span_equal(buf_span(&before), buf_span(&after)));
    buf_deinit(&pretty);
    buf_deinit(&masked);
    buf_deinit(&before);
    buf_deinit(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct span text = span_make(data, size);
    for (size_t i = 0; event_kinds[i]; i++)
        as_payload(a, event_kinds[i], text);
    if (text_is_object(text))
        as_letter(text);
    arena_free(a);
    return 0;
}
