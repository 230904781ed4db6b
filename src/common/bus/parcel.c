/* A delivery's properties, copied out of the library's pools into one block. It is sized first and
 * filled afterwards by the same rules: whatever bytes came, each text is kept up to its limit and
 * ends with a NUL, nested and floating header values are left out, and of the flat ones there are
 * at most BUS_HEADERS_LIMIT. The body's room is at the end; it is filled as its frames come. */

#include "common/bus/parcel.h"

#include <amqp.h>
#include <amqp_framing.h>

#include "common/base/mem.h"

static bool header_value(const amqp_field_value_t *v, int64_t *ret_value)
{
    switch (v->kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
        *ret_value = v->value.boolean ? 1 : 0;
        return true;
    case AMQP_FIELD_KIND_I8:
        *ret_value = v->value.i8;
        return true;
    case AMQP_FIELD_KIND_U8:
        *ret_value = v->value.u8;
        return true;
    case AMQP_FIELD_KIND_I16:
        *ret_value = v->value.i16;
        return true;
    case AMQP_FIELD_KIND_U16:
        *ret_value = v->value.u16;
        return true;
    case AMQP_FIELD_KIND_I32:
        *ret_value = v->value.i32;
        return true;
    case AMQP_FIELD_KIND_U32:
        *ret_value = v->value.u32;
        return true;
    case AMQP_FIELD_KIND_I64:
        *ret_value = v->value.i64;
        return true;
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        *ret_value = (int64_t)v->value.u64;
        return true;
    default: /* texts are somebody else's, nested and floating values nobody's */
        return false;
    }
}

static bool header_is_text(const amqp_field_value_t *v)
{
    return v->kind == AMQP_FIELD_KIND_UTF8 || v->kind == AMQP_FIELD_KIND_BYTES;
}

static size_t text_len(amqp_bytes_t text)
{
    return text.len < BUS_TEXT_LIMIT ? text.len : BUS_TEXT_LIMIT;
}

static size_t size_if(bool there, amqp_bytes_t text)
{
    return there ? text_len(text) + 1 : 0;
}

static const char *keep(char **at, amqp_bytes_t text)
{
    char *start = *at;
    size_t n = text_len(text);
    if (n > 0)
        memcpy(start, text.bytes, n);
    start[n] = '\0';
    *at += n + 1;
    return start;
}

static const char *keep_if(char **at, bool there, amqp_bytes_t text)
{
    return there ? keep(at, text) : NULL;
}

static size_t headers_size(const amqp_table_t *t)
{
    size_t size = 0;
    for (int i = 0; i < t->num_entries; i++) {
        const amqp_table_entry_t *e = &t->entries[i];
        size += text_len(e->key) + 1;
        if (header_is_text(&e->value))
            size += text_len(e->value.value.bytes) + 1;
    }
    return size;
}

static void keep_headers(char **at, const amqp_table_t *t, struct bus_message *m)
{
    for (int i = 0; i < t->num_entries && m->headers_count < BUS_HEADERS_LIMIT; i++) {
        const amqp_table_entry_t *e = &t->entries[i];
        struct bus_header h = {0};
        if (span_equal(span_make(e->key.bytes, e->key.len), SPAN("x-delivery-count"))) {
            (void)header_value(&e->value, &m->delivery_count);
            continue;
        }
        if (!header_is_text(&e->value) && !header_value(&e->value, &h.value))
            continue;
        h.name = keep(at, e->key);
        if (header_is_text(&e->value))
            h.text = keep(at, e->value.value.bytes);
        m->headers[m->headers_count++] = h;
    }
}

struct bus_parcel *parcel_new(
    const struct parcel_place *place, const amqp_basic_properties_t *p, size_t body_len)
{
    amqp_flags_t f = p->_flags;
    bool has_headers = (f & AMQP_BASIC_HEADERS_FLAG) != 0;
    size_t texts = size_if(true, amqp_cstring_bytes(place->exchange)) +
                   size_if(true, amqp_cstring_bytes(place->routing_key)) +
                   size_if(f & AMQP_BASIC_MESSAGE_ID_FLAG, p->message_id) +
                   size_if(f & AMQP_BASIC_TYPE_FLAG, p->type) +
                   size_if(f & AMQP_BASIC_CORRELATION_ID_FLAG, p->correlation_id) +
                   size_if(f & AMQP_BASIC_APP_ID_FLAG, p->app_id) +
                   size_if(f & AMQP_BASIC_USER_ID_FLAG, p->user_id) +
                   size_if(f & AMQP_BASIC_CONTENT_TYPE_FLAG, p->content_type);
    size_t headers = has_headers ? headers_size(&p->headers) : 0;
    struct bus_parcel *parcel = mem_resize(NULL, sizeof(*parcel) + texts + headers + body_len + 1);
    *parcel = (struct bus_parcel){0};
    struct bus_message *m = &parcel->message;
    char *at = parcel->bytes;
    m->exchange = keep(&at, amqp_cstring_bytes(place->exchange));
    m->routing_key = keep(&at, amqp_cstring_bytes(place->routing_key));
    m->message_id = keep_if(&at, f & AMQP_BASIC_MESSAGE_ID_FLAG, p->message_id);
    m->type = keep_if(&at, f & AMQP_BASIC_TYPE_FLAG, p->type);
    m->correlation_id = keep_if(&at, f & AMQP_BASIC_CORRELATION_ID_FLAG, p->correlation_id);
    m->app_id = keep_if(&at, f & AMQP_BASIC_APP_ID_FLAG, p->app_id);
    m->user_id = keep_if(&at, f & AMQP_BASIC_USER_ID_FLAG, p->user_id);
    m->content_type = keep_if(&at, f & AMQP_BASIC_CONTENT_TYPE_FLAG, p->content_type);
    m->timestamp_s = f & AMQP_BASIC_TIMESTAMP_FLAG ? (int64_t)p->timestamp : 0;
    if (has_headers)
        keep_headers(&at, &p->headers, m);
    m->tag = place->tag;
    m->redelivered = place->redelivered;
    parcel->body = at;
    parcel->body[body_len] = '\0';
    m->body = span_make(at, body_len);
    return parcel;
}
