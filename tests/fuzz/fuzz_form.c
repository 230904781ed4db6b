/* Any bytes into the reader of forms. Beside "it does not crash": what was accepted is written,
 * read again and is the same; what was refused says why. */

#include <stdlib.h>
#include <string.h>

#include "common/app/form.h"
#include "common/base/buf.h"

struct sample {
    const char *grant_type, *client_id, *id, *token;
};
static const struct field sample_fields[] = {
    FIELD_TEXT(struct sample, grant_type, "grant_type", .required = true, .max = 32),
    FIELD_TEXT(struct sample, client_id, "client_id", .max = 64),
    FIELD_UUID(struct sample, id, "id"),
    FIELD_TEXT(struct sample, token, "token", .max = 4096),
};
static const struct table sample_table = TABLE("Sample", struct sample, sample_fields);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void must_be_same(const char *a, const char *b)
{
    must(a ? b && strcmp(a, b) == 0 : !b);
}

static void accepted(struct arena *a, const struct sample *value)
{
    struct buf text = {0};
    struct sample back;
    struct json_errors errors;
    form_put(&text, "grant_type", value->grant_type);
    form_put(&text, "client_id", value->client_id);
    form_put(&text, "id", value->id);
    form_put(&text, "token", value->token);
    must(form_read(a, buf_span(&text), &sample_table, &back, &errors) == 0);
    must_be_same(back.grant_type, value->grant_type);
    must_be_same(back.client_id, value->client_id);
    must_be_same(back.id, value->id);
    must_be_same(back.token, value->token);
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct sample value;
    struct json_errors errors;
    if (form_read(a, span_make(data, size), &sample_table, &value, &errors) == 0)
        accepted(a, &value);
    else
        must(errors.count > 0 && errors.count <= JSON_ERRORS_LIMIT);
    (void)form_type_fits(span_make(data, size));
    arena_free(a);
    return 0;
}
