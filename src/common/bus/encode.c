/* Frames, encoded by rabbitmq-c's codec into our own buffers. The library's own publish writes to
 * the socket three times per message and may wait there without limit; whole frames in memory can
 * be batched, and the socket never blocks anybody. A frame is: type, channel, size, payload, 0xCE.
 */

#include <amqp.h>
#include <amqp_framing.h>
#include <errno.h>
#include <stdlib.h>

#include "common/bus/wire.h"

#define FRAME_HEAD    7
#define FRAME_END     1
#define FRAME_PAYLOAD (BUS_FRAME_MAX - FRAME_HEAD - FRAME_END)

static void put_u16(char *at, unsigned value)
{
    at[0] = (char)(value >> 8);
    at[1] = (char)value;
}

static void put_u32(char *at, uint32_t value)
{
    put_u16(at, value >> 16);
    put_u16(at + 2, value & 0xffff);
}

/* Begins a frame with room for the biggest payload; returns where the payload goes. */
static char *frame_begin(struct buf *out, unsigned type, unsigned channel)
{
    buf_reserve(out, BUS_FRAME_MAX);
    char *head = out->ptr + out->len;
    head[0] = (char)type;
    put_u16(head + 1, channel);
    return head + FRAME_HEAD;
}

static void frame_end(struct buf *out, size_t payload)
{
    char *head = out->ptr + out->len;
    put_u32(head + 3, (uint32_t)payload);
    head[FRAME_HEAD + payload] = (char)0xCE;
    out->len += FRAME_HEAD + payload + FRAME_END;
}

void encode_method(struct buf *out, unsigned channel, uint32_t id, void *decoded)
{
    char *payload = frame_begin(out, AMQP_FRAME_METHOD, channel);
    put_u32(payload, id);
    int n = amqp_encode_method(id, decoded, (amqp_bytes_t){FRAME_PAYLOAD - 4, payload + 4});
    if (n < 0)
        abort(); /* every caller has checked its texts: they fit by construction */
    frame_end(out, 4 + (size_t)n);
}

void encode_heartbeat(struct buf *out)
{
    frame_begin(out, AMQP_FRAME_HEARTBEAT, 0);
    frame_end(out, 0);
}

static amqp_bytes_t bytes_of(const char *text)
{
    return text ? amqp_cstring_bytes(text) : amqp_empty_bytes;
}

static bool fits_short(const char *text)
{
    return text == NULL || strlen(text) <= 255;
}

bool header_is_brokers(struct span name)
{
    return span_equal(name, SPAN("x-death")) || span_equal(name, SPAN("x-delivery-count")) ||
           span_starts(name, SPAN("x-first-death-")) || span_starts(name, SPAN("x-last-death-"));
}

static bool message_fits(const struct bus_message *m)
{
    const char *const names[] = {m->exchange, m->routing_key, m->message_id, m->type,
        m->correlation_id, m->app_id, m->content_type};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!fits_short(names[i]))
            return false;
    if (m->headers_count > BUS_HEADERS_LIMIT)
        return false;
    for (size_t i = 0; i < m->headers_count; i++) {
        const struct bus_header *h = &m->headers[i];
        if (h->name == NULL || !fits_short(h->name) ||
            (h->text && strlen(h->text) > BUS_TEXT_LIMIT))
            return false;
    }
    return true;
}

static amqp_table_t encode_headers(
    const struct bus_message *m, amqp_table_entry_t entries[static BUS_HEADERS_LIMIT])
{
    int n = 0;
    for (size_t i = 0; i < m->headers_count; i++) {
        const struct bus_header *h = &m->headers[i];
        if (header_is_brokers(span_of(h->name)))
            continue;
        amqp_table_entry_t *e = &entries[n++];
        e->key = amqp_cstring_bytes(h->name);
        if (h->text) {
            e->value.kind = AMQP_FIELD_KIND_UTF8;
            e->value.value.bytes = amqp_cstring_bytes(h->text);
        } else {
            e->value.kind = AMQP_FIELD_KIND_I64;
            e->value.value.i64 = h->value;
        }
    }
    return (amqp_table_t){n, entries};
}

static amqp_basic_properties_t properties_of(
    const struct bus_message *m, const char *user, amqp_table_t headers)
{
    const char *content_type = m->content_type ? m->content_type : "application/json";
    amqp_basic_properties_t p = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG |
                  AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_HEADERS_FLAG,
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .content_type = bytes_of(content_type),
        .user_id = bytes_of(user),
        .headers = headers,
        .message_id = bytes_of(m->message_id),
        .type = bytes_of(m->type),
        .correlation_id = bytes_of(m->correlation_id),
        .app_id = bytes_of(m->app_id),
        .timestamp = (uint64_t)m->timestamp_s,
    };
    p._flags |= m->message_id ? AMQP_BASIC_MESSAGE_ID_FLAG : 0;
    p._flags |= m->type ? AMQP_BASIC_TYPE_FLAG : 0;
    p._flags |= m->correlation_id ? AMQP_BASIC_CORRELATION_ID_FLAG : 0;
    p._flags |= m->app_id ? AMQP_BASIC_APP_ID_FLAG : 0;
    p._flags |= m->timestamp_s > 0 ? AMQP_BASIC_TIMESTAMP_FLAG : 0;
    return p;
}

/* The content header: class, weight, body size, properties. */
static int encode_header_frame(const struct bus_message *m, const char *user, struct buf *out)
{
    amqp_table_entry_t entries[BUS_HEADERS_LIMIT];
    amqp_basic_properties_t p = properties_of(m, user, encode_headers(m, entries));
    char *payload = frame_begin(out, AMQP_FRAME_HEADER, 1);
    put_u16(payload, AMQP_BASIC_CLASS);
    put_u16(payload + 2, 0);
    put_u32(payload + 4, (uint32_t)((uint64_t)m->body.len >> 32));
    put_u32(payload + 8, (uint32_t)m->body.len);
    int n = amqp_encode_properties(
        AMQP_BASIC_CLASS, &p, (amqp_bytes_t){FRAME_PAYLOAD - 12, payload + 12});
    if (n < 0)
        return -EMSGSIZE;
    frame_end(out, 12 + (size_t)n);
    return 0;
}

int encode_publish(const struct bus_message *m, const char *user, struct buf *out)
{
    if (!message_fits(m))
        return ERR_INVALID;
    if (m->body.len > BUS_BODY_LIMIT)
        return -EMSGSIZE;
    size_t start = out->len;
    amqp_basic_publish_t method = {
        .exchange = bytes_of(m->exchange), .routing_key = bytes_of(m->routing_key), .mandatory = 1};
    encode_method(out, 1, AMQP_BASIC_PUBLISH_METHOD, &method);
    int r = encode_header_frame(m, user, out);
    if (r < 0) {
        out->len = start;
        return r;
    }
    for (size_t at = 0; at < m->body.len;) {
        size_t n = m->body.len - at < FRAME_PAYLOAD ? m->body.len - at : FRAME_PAYLOAD;
        memcpy(frame_begin(out, AMQP_FRAME_BODY, 1), m->body.ptr + at, n);
        frame_end(out, n);
        at += n;
    }
    return 0;
}

static uint64_t hash_span(uint64_t hash, struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.ptr[i]) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

/* FNV-1a over all three: a return carries them and nothing shorter that is ours. */
uint64_t message_fingerprint(struct span exchange, struct span routing_key, struct span message_id)
{
    uint64_t hash = hash_span(UINT64_C(0xcbf29ce484222325), exchange);
    return hash_span(hash_span(hash, routing_key), message_id);
}
