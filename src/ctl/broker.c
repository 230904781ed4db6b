#include "ctl/broker.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <sys/time.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/mem.h"

#define CHANNEL       1
#define FRAME_MAX     32768
#define PATIENCE_S    5
#define CONSUMER_NAME "soukctl"
#define OFFSET_HEADER "x-stream-offset"

struct broker {
    amqp_connection_state_t library;
    char *url; /* the address points into it */
};

static amqp_bytes_t bytes_of(const char *text)
{
    return amqp_cstring_bytes(text);
}

/* The broker's own words where it has some. */
static void explain(amqp_rpc_reply_t reply, char why[static BROKER_WHY_SIZE])
{
    const char *text = "no answer";
    size_t n = strlen(text);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        text = amqp_error_string2(reply.library_error);
        n = strlen(text);
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *c = reply.reply.decoded;
        text = c->reply_text.bytes;
        n = c->reply_text.len;
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *c = reply.reply.decoded;
        text = c->reply_text.bytes;
        n = c->reply_text.len;
    }
    snprintf(why, BROKER_WHY_SIZE, "%.*s", (int)n, text);
}

static bool is_not_found(amqp_rpc_reply_t reply)
{
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
        reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
        return false;
    const amqp_channel_close_t *c = reply.reply.decoded;
    return c->reply_code == 404;
}

static int failed(struct broker *b, char why[static BROKER_WHY_SIZE])
{
    explain(amqp_get_rpc_reply(b->library), why);
    return ERR(ERR_UNAVAILABLE);
}

static bool good(const struct broker *b)
{
    return amqp_get_rpc_reply(b->library).reply_type == AMQP_RESPONSE_NORMAL;
}

static int dial(struct broker *b, const char *url, char why[static BROKER_WHY_SIZE])
{
    struct amqp_connection_info at;
    struct timeval patience = {PATIENCE_S, 0};
    b->url = mem_strdup(url);
    if (amqp_parse_url(b->url, &at) != AMQP_STATUS_OK || at.ssl) {
        snprintf(why, BROKER_WHY_SIZE, "OPS_AMQP_URL is no amqp:// address");
        return ERR(ERR_INVALID);
    }
    amqp_socket_t *socket = amqp_tcp_socket_new(b->library);
    int r = amqp_socket_open_noblock(socket, at.host, at.port, &patience);
    if (r != AMQP_STATUS_OK) {
        snprintf(why, BROKER_WHY_SIZE, "%s:%d: %s", at.host, at.port, amqp_error_string2(r));
        return ERR(ERR_UNAVAILABLE);
    }
    (void)amqp_set_handshake_timeout(b->library, &patience);
    (void)amqp_set_rpc_timeout(b->library, &patience);
    amqp_rpc_reply_t reply = amqp_login(b->library, at.vhost[0] ? at.vhost : "/", 0, FRAME_MAX, 0,
        AMQP_SASL_METHOD_PLAIN, at.user, at.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        explain(reply, why);
        return ERR(ERR_UNAVAILABLE);
    }
    amqp_channel_open(b->library, CHANNEL);
    return good(b) ? 0 : failed(b, why);
}

void broker_free(struct broker *b)
{
    if (!b)
        return;
    amqp_destroy_connection(b->library);
    mem_free(b->url);
    mem_free(b);
}

int broker_open(const char *url, struct broker **ret_broker, char why[static BROKER_WHY_SIZE])
{
    struct broker *b = MEM_NEW(struct broker);
    b->library = amqp_new_connection();
    int r = dial(b, url, why);
    if (r != 0) {
        broker_free(b);
        return r;
    }
    *ret_broker = b;
    return 0;
}

int broker_count(
    struct broker *b, const char *queue, unsigned *ret_count, char why[static BROKER_WHY_SIZE])
{
    const amqp_queue_declare_ok_t *q =
        amqp_queue_declare(b->library, CHANNEL, bytes_of(queue), 1, 1, 0, 0, amqp_empty_table);
    if (!q)
        return is_not_found(amqp_get_rpc_reply(b->library)) ? BROKER_NO_QUEUE : failed(b, why);
    *ret_count = q->message_count;
    return 0;
}

/* ---- consuming ---- */

static amqp_field_value_t offset_value(const struct stream_start *start)
{
    amqp_field_value_t v = {.kind = AMQP_FIELD_KIND_UTF8};
    switch (start->from) {
    case STREAM_FIRST:
        v.value.bytes = bytes_of("first");
        break;
    case STREAM_LAST:
        v.value.bytes = bytes_of("last");
        break;
    case STREAM_NEXT:
        v.value.bytes = bytes_of("next");
        break;
    case STREAM_OFFSET:
        v.kind = AMQP_FIELD_KIND_I64;
        v.value.i64 = start->offset;
        break;
    case STREAM_TIME:
        v.kind = AMQP_FIELD_KIND_TIMESTAMP;
        v.value.u64 = (uint64_t)(start->time_us / USEC_PER_SEC);
        break;
    }
    return v;
}

int broker_consume(struct broker *b, const char *queue, unsigned prefetch,
    const struct stream_start *start, char why[static BROKER_WHY_SIZE])
{
    amqp_table_entry_t entry = {.key = bytes_of(OFFSET_HEADER)};
    amqp_table_t arguments = {0, &entry};
    if (start) {
        entry.value = offset_value(start);
        arguments.num_entries = 1;
    }
    amqp_basic_qos(b->library, CHANNEL, 0, (uint16_t)prefetch, 0);
    if (!good(b))
        return failed(b, why);
    amqp_basic_consume(
        b->library, CHANNEL, bytes_of(queue), bytes_of(CONSUMER_NAME), 0, 0, 0, arguments);
    return good(b) ? 0 : failed(b, why);
}

/* ---- copying ---- */

static const char *keep(struct arena *a, amqp_bytes_t text)
{
    return arena_strndup(a, text.bytes ? text.bytes : "", text.len);
}

static const char *keep_if(
    struct arena *a, const amqp_basic_properties_t *p, amqp_flags_t flag, amqp_bytes_t text)
{
    return p->_flags & flag ? keep(a, text) : NULL;
}

static bool whole_number(const amqp_field_value_t *v, int64_t *ret_value)
{
    switch (v->kind) {
    case AMQP_FIELD_KIND_I8:
        return *ret_value = v->value.i8, true;
    case AMQP_FIELD_KIND_U8:
        return *ret_value = v->value.u8, true;
    case AMQP_FIELD_KIND_I16:
        return *ret_value = v->value.i16, true;
    case AMQP_FIELD_KIND_U16:
        return *ret_value = v->value.u16, true;
    case AMQP_FIELD_KIND_I32:
        return *ret_value = v->value.i32, true;
    case AMQP_FIELD_KIND_U32:
        return *ret_value = v->value.u32, true;
    case AMQP_FIELD_KIND_I64:
        return *ret_value = v->value.i64, true;
    default:
        return false;
    }
}

/* The flat headers, as the consumers see them. How often it was looked at and where it lies is not
 * of the message. */
static void keep_headers(struct arena *a, const amqp_table_t *t, struct bus_message *m)
{
    for (int i = 0; i < t->num_entries && m->headers_count < BUS_HEADERS_LIMIT; i++) {
        const amqp_table_entry_t *e = &t->entries[i];
        struct bus_header h = {.name = keep(a, e->key)};
        if (strcmp(h.name, "x-delivery-count") == 0 || strcmp(h.name, OFFSET_HEADER) == 0)
            continue;
        bool text = e->value.kind == AMQP_FIELD_KIND_UTF8 || e->value.kind == AMQP_FIELD_KIND_BYTES;
        if (text)
            h.text = keep(a, e->value.value.bytes);
        else if (!whole_number(&e->value, &h.value))
            continue;
        m->headers[m->headers_count++] = h;
    }
}

static struct bus_message *copy_of(struct arena *a, const amqp_envelope_t *e)
{
    const amqp_basic_properties_t *p = &e->message.properties;
    struct bus_message *m = ARENA_NEW(a, struct bus_message);
    m->exchange = keep(a, e->exchange);
    m->routing_key = keep(a, e->routing_key);
    m->message_id = keep_if(a, p, AMQP_BASIC_MESSAGE_ID_FLAG, p->message_id);
    m->type = keep_if(a, p, AMQP_BASIC_TYPE_FLAG, p->type);
    m->correlation_id = keep_if(a, p, AMQP_BASIC_CORRELATION_ID_FLAG, p->correlation_id);
    m->app_id = keep_if(a, p, AMQP_BASIC_APP_ID_FLAG, p->app_id);
    m->user_id = keep_if(a, p, AMQP_BASIC_USER_ID_FLAG, p->user_id);
    m->content_type = keep_if(a, p, AMQP_BASIC_CONTENT_TYPE_FLAG, p->content_type);
    m->timestamp_s = p->_flags & AMQP_BASIC_TIMESTAMP_FLAG ? (int64_t)p->timestamp : 0;
    if (p->_flags & AMQP_BASIC_HEADERS_FLAG)
        keep_headers(a, &p->headers, m);
    m->body = span_make(keep(a, e->message.body), e->message.body.len);
    m->tag = e->delivery_tag;
    m->redelivered = e->redelivered != 0;
    return m;
}

static int64_t offset_of(const amqp_basic_properties_t *p)
{
    int64_t offset = -1;
    for (int i = 0; p->_flags & AMQP_BASIC_HEADERS_FLAG && i < p->headers.num_entries; i++) {
        const amqp_table_entry_t *e = &p->headers.entries[i];
        if (e->key.len == strlen(OFFSET_HEADER) &&
            memcmp(e->key.bytes, OFFSET_HEADER, e->key.len) == 0)
            (void)whole_number(&e->value, &offset);
    }
    return offset;
}

int broker_next(struct broker *b, struct arena *a, int64_t timeout_us,
    struct bus_message **ret_message, int64_t *ret_offset)
{
    struct timeval timeout = {timeout_us / USEC_PER_SEC, timeout_us % USEC_PER_SEC};
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(b->library);
    amqp_rpc_reply_t reply = amqp_consume_message(b->library, &envelope, &timeout, 0);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        *ret_message = copy_of(a, &envelope);
        *ret_offset = offset_of(&envelope.message.properties);
        amqp_destroy_envelope(&envelope);
        return 0;
    }
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        reply.library_error == AMQP_STATUS_TIMEOUT)
        return BROKER_NOTHING;
    return ERR(ERR_UNAVAILABLE);
}

int broker_ack(struct broker *b, uint64_t tag, bool multiple)
{
    return amqp_basic_ack(b->library, CHANNEL, tag, multiple) == 0 ? 0 : ERR(ERR_UNAVAILABLE);
}

int broker_close(struct broker *b)
{
    amqp_rpc_reply_t reply = amqp_channel_close(b->library, CHANNEL, AMQP_REPLY_SUCCESS);
    bool closed = reply.reply_type == AMQP_RESPONSE_NORMAL;
    if (closed)
        (void)amqp_connection_close(b->library, AMQP_REPLY_SUCCESS);
    broker_free(b);
    return closed ? 0 : ERR(ERR_UNAVAILABLE);
}
