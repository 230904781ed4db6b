/* A connection over rabbitmq-c, arranged so that nothing waits.
 *
 * The library logs in (blocking, bounded) and decodes what arrives. Everything else it would do for
 * us it does by waiting, so we do it ourselves:
 *  - Writing: frames are encoded into `out` and sent with one non-blocking send() for all of them.
 *    The library's writes have no time limit.
 *  - Heartbeats: after the login the library's timers are switched off (heartbeat 0), else it could
 *    put a heartbeat into the middle of a frame that is half sent, close the descriptor behind our
 *    back, or wait without limit before a publish. We know when bytes came and went.
 *  - Reading: zero-timeout frames until there are none; method, content header and body frames are
 *    put together here, since the library's own assembly waits for the body without limit.
 *  - The descriptor that we poll and send on is a duplicate, so that its number stays ours whatever
 *    the library closes.
 * Decoded frames live in the library's pools; whatever is kept is copied out before the pools are
 * released, which happens after each frame. */

#include "common/bus/wire.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/bus/parcel.h"

#define LOGIN_TIMEOUT_S   3
#define FRAMES_PER_READ   512
#define HEARTBEATS_MISSED 2
#define CLOSE_PATIENCE_US (5 * USEC_PER_SEC)
#define OUT_KEPT          (64 * 1024) /* larger buffers are given back once they are empty */

enum assembly { ASSEMBLY_NONE, ASSEMBLY_HEADER, ASSEMBLY_BODY };

struct wire {
    amqp_connection_state_t library;
    int fd;
    unsigned heartbeat_s;
    int64_t last_read_us, last_write_us;
    int64_t closing_us; /* since when channel.close-ok is due; 0: it is not */
    struct buf out;
    size_t out_sent;
    char why[200];
    bool closed; /* connection.close-ok has come */

    /* the content being assembled: of a deliver or a return */
    enum assembly assembly;
    bool is_return;
    struct bus_parcel *parcel; /* NULL: the body is skipped */
    uint64_t tag, body_left;
    bool redelivered;
    char exchange[256], routing_key[256];
    uint64_t fingerprint;
};

/* ---- address ---- */

int wire_address_parse(const char *url, struct wire_address *ret_address)
{
    struct amqp_connection_info info;
    char *memory = mem_strdup(url);
    if (url == NULL || amqp_parse_url(memory, &info) != AMQP_STATUS_OK || info.ssl) {
        mem_free(memory);
        return ERR_INVALID;
    }
    *ret_address = (struct wire_address){.user = info.user,
        .password = info.password,
        .host = info.host,
        /* strictly, a url that ends in "/" names the vhost ""; everybody means "/" by it */
        .vhost = info.vhost[0] ? info.vhost : "/",
        .port = info.port,
        .memory = memory};
    return 0;
}

void wire_address_deinit(struct wire_address *a)
{
    mem_free(a->memory);
    *a = (struct wire_address){0};
}

/* ---- dialing ---- */

static amqp_table_entry_t entry_text(const char *key, const char *text)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static amqp_table_entry_t entry_true(const char *key)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
}

static void copy_text(char *to, size_t size, amqp_bytes_t from)
{
    size_t n = from.len < size ? from.len : size - 1;
    if (n > 0)
        memcpy(to, from.bytes, n);
    to[n] = '\0';
}

static void explain_reply(amqp_rpc_reply_t reply, char *why, size_t why_size)
{
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *c = reply.reply.decoded;
        copy_text(why, why_size, c->reply_text);
    } else {
        snprintf(why, why_size, "login: %s", amqp_error_string2(reply.library_error));
    }
}

static bool log_in(struct wire *w, const struct wire_address *a, const char *name,
    unsigned heartbeat_s, char *why, size_t why_size)
{
    amqp_table_entry_t can[] = {entry_true("connection.blocked"),
        entry_true("consumer_cancel_notify"), entry_true("publisher_confirms"),
        entry_true("basic.nack"), entry_true("authentication_failure_close")};
    amqp_table_entry_t properties[] = {entry_text("connection_name", name),
        entry_text("product", "souk"),
        {.key = amqp_cstring_bytes("capabilities"),
            .value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {ARRAY_SIZE(can), can}}}};
    amqp_table_t table = {ARRAY_SIZE(properties), properties};
    amqp_rpc_reply_t reply = amqp_login_with_properties(w->library, a->vhost, 1, BUS_FRAME_MAX,
        (int)heartbeat_s, &table, AMQP_SASL_METHOD_PLAIN, a->user, a->password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        explain_reply(reply, why, why_size);
        return false;
    }
    if (amqp_get_frame_max(w->library) < BUS_FRAME_MAX) {
        snprintf(why, why_size, "the broker's frame_max is below %d", BUS_FRAME_MAX);
        return false;
    }
    w->heartbeat_s = (unsigned)amqp_get_heartbeat(w->library);
    /* The tuning asserts that no frame is half read. */
    if (!amqp_release_buffers_ok(w->library) ||
        amqp_tune_connection(w->library, 1, BUS_FRAME_MAX, 0) != AMQP_STATUS_OK) {
        snprintf(why, why_size, "half a frame behind the login");
        return false;
    }
    return true;
}

static void offer_dialing_fd(struct mailbox *box, int fd)
{
    pthread_mutex_lock(&box->lock);
    box->dialing_fd = fd;
    pthread_mutex_unlock(&box->lock);
}

struct wire *wire_dial(const struct wire_address *a, const char *name, unsigned heartbeat_s,
    struct mailbox *box, char *why, size_t why_size)
{
    int fd = dial_tcp(a->host, a->port, &box->stopping);
    if (fd < 0) {
        snprintf(why, why_size, "cannot connect to %s port %d", a->host, a->port);
        return NULL;
    }
    struct wire *w = MEM_NEW(struct wire);
    w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    w->library = amqp_new_connection();
    amqp_tcp_socket_set_sockfd(amqp_tcp_socket_new(w->library), fd);
    amqp_set_handshake_timeout(w->library, &(struct timeval){.tv_sec = LOGIN_TIMEOUT_S});
    offer_dialing_fd(box, w->fd);
    bool in = log_in(w, a, name, heartbeat_s, why, why_size);
    offer_dialing_fd(box, -1);
    if (!in) {
        wire_free(w);
        return NULL;
    }
    w->last_read_us = w->last_write_us = clock_mono_us();
    return w;
}

void wire_free(struct wire *w)
{
    if (w == NULL)
        return;
    amqp_destroy_connection(w->library);
    close(w->fd);
    buf_deinit(&w->out);
    mem_free(w->parcel);
    mem_free(w);
}

/* ---- writing ---- */

int wire_fd(const struct wire *w)
{
    return w->fd;
}

const char *wire_why(const struct wire *w)
{
    return w->why;
}

bool wire_has_output(const struct wire *w)
{
    return w->out.len > w->out_sent;
}

static int wire_lost(struct wire *w, const char *why)
{
    if (w->why[0] == '\0')
        snprintf(w->why, sizeof(w->why), "%s", why);
    return ERR_UNKNOWN;
}

int wire_flush(struct wire *w)
{
    while (wire_has_output(w)) {
        ssize_t n = send(w->fd, w->out.ptr + w->out_sent, w->out.len - w->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return wire_lost(w, "the connection broke while writing");
        w->out_sent += (size_t)n;
        w->last_write_us = clock_mono_us();
    }
    buf_reset(&w->out);
    if (w->out.cap > OUT_KEPT)
        buf_deinit(&w->out);
    w->out_sent = 0;
    return 0;
}

int64_t wire_stale_us(const struct wire *w)
{
    return w && w->heartbeat_s ? w->last_read_us + HEARTBEATS_MISSED * w->heartbeat_s * USEC_PER_SEC
                               : USEC_NEVER;
}

bool wire_is_stale(const struct wire *w)
{
    return clock_mono_us() > wire_stale_us(w);
}

int wire_tick(struct wire *w)
{
    int64_t now = clock_mono_us(), beat_us = w->heartbeat_s * USEC_PER_SEC;
    if (w->closing_us != 0 && now > w->closing_us + CLOSE_PATIENCE_US)
        return wire_lost(w, "the broker did not answer channel.close");
    if (beat_us == 0)
        return 0;
    if (wire_is_stale(w))
        return wire_lost(w, "no heartbeat from the broker");
    if (now > w->last_write_us + beat_us / 2 && !wire_has_output(w))
        encode_heartbeat(&w->out);
    return 0;
}

void wire_put(struct wire *w, const char *frames, size_t len)
{
    buf_put(&w->out, frames, len);
}

void wire_open_publish(struct wire *w)
{
    encode_method(&w->out, 1, AMQP_CHANNEL_OPEN_METHOD, &(amqp_channel_open_t){0});
    encode_method(&w->out, 1, AMQP_CONFIRM_SELECT_METHOD, &(amqp_confirm_select_t){0});
}

void wire_open_consume(struct wire *w, const char *queue, const char *tag, unsigned prefetch)
{
    encode_method(&w->out, 1, AMQP_CHANNEL_OPEN_METHOD, &(amqp_channel_open_t){0});
    encode_method(&w->out, 1, AMQP_BASIC_QOS_METHOD,
        &(amqp_basic_qos_t){.prefetch_count = (uint16_t)prefetch});
    encode_method(&w->out, 1, AMQP_BASIC_CONSUME_METHOD,
        &(amqp_basic_consume_t){
            .queue = amqp_cstring_bytes(queue), .consumer_tag = amqp_cstring_bytes(tag)});
}

void wire_cancel(struct wire *w, const char *tag)
{
    encode_method(&w->out, 1, AMQP_BASIC_CANCEL_METHOD,
        &(amqp_basic_cancel_t){.consumer_tag = amqp_cstring_bytes(tag)});
}

void wire_ack(struct wire *w, uint64_t tag, bool multiple)
{
    encode_method(&w->out, 1, AMQP_BASIC_ACK_METHOD,
        &(amqp_basic_ack_t){.delivery_tag = tag, .multiple = multiple});
}

void wire_nack(struct wire *w, uint64_t tag, bool requeue)
{
    encode_method(&w->out, 1, AMQP_BASIC_NACK_METHOD,
        &(amqp_basic_nack_t){.delivery_tag = tag, .requeue = requeue});
}

/* A channel of RabbitMQ 3.10.8 that crashes over a basic.cancel it has just been sent, while it is
 * being closed, never answers, and its connection lives on (badkey in rabbit_channel). */
void wire_close_channel(struct wire *w)
{
    w->closing_us = clock_mono_us();
    encode_method(&w->out, 1, AMQP_CHANNEL_CLOSE_METHOD,
        &(amqp_channel_close_t){
            .reply_code = AMQP_REPLY_SUCCESS, .reply_text = amqp_cstring_bytes("done")});
}

/* ---- putting a message together ---- */

static void content_finish(struct wire *w, wire_event_fn fn, void *ctx)
{
    struct wire_event e = {.tag = w->tag, .fingerprint = w->fingerprint, .parcel = w->parcel};
    e.kind = w->is_return ? WIRE_RETURN : w->parcel ? WIRE_DELIVER : WIRE_OVERSIZE;
    w->assembly = ASSEMBLY_NONE;
    w->parcel = NULL;
    fn(ctx, &e);
}

static int take_header(struct wire *w, const amqp_frame_t *f, wire_event_fn fn, void *ctx)
{
    if (w->assembly != ASSEMBLY_HEADER || f->payload.properties.class_id != AMQP_BASIC_CLASS)
        return wire_lost(w, "a content header out of order");
    const amqp_basic_properties_t *p = f->payload.properties.decoded;
    w->body_left = f->payload.properties.body_size;
    if (w->is_return) {
        amqp_bytes_t id = p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG ? p->message_id : amqp_empty_bytes;
        w->fingerprint = message_fingerprint(
            span_of(w->exchange), span_of(w->routing_key), span_make(id.bytes, id.len));
    } else if (w->body_left <= BUS_BODY_LIMIT) {
        w->parcel = parcel_new(&(struct parcel_place){.exchange = w->exchange,
                                   .routing_key = w->routing_key,
                                   .tag = w->tag,
                                   .redelivered = w->redelivered},
            p, (size_t)w->body_left);
    }
    w->assembly = ASSEMBLY_BODY;
    if (w->body_left == 0)
        content_finish(w, fn, ctx);
    return 0;
}

static int take_body(struct wire *w, const amqp_frame_t *f, wire_event_fn fn, void *ctx)
{
    amqp_bytes_t piece = f->payload.body_fragment;
    if (w->assembly != ASSEMBLY_BODY || piece.len > w->body_left)
        return wire_lost(w, "a body out of order");
    if (w->parcel && piece.len > 0) {
        memcpy(w->parcel->body + w->parcel->body_filled, piece.bytes, piece.len);
        w->parcel->body_filled += piece.len;
    }
    w->body_left -= piece.len;
    if (w->body_left == 0)
        content_finish(w, fn, ctx);
    return 0;
}

/* ---- methods ---- */

static void content_begin(struct wire *w, bool is_return, amqp_bytes_t exchange, amqp_bytes_t key)
{
    w->assembly = ASSEMBLY_HEADER;
    w->is_return = is_return;
    copy_text(w->exchange, sizeof(w->exchange), exchange);
    copy_text(w->routing_key, sizeof(w->routing_key), key);
}

static void emit_text(
    enum wire_event_kind kind, int code, amqp_bytes_t text, wire_event_fn fn, void *ctx)
{
    char copy[256];
    copy_text(copy, sizeof(copy), text);
    fn(ctx, &(struct wire_event){.kind = kind, .code = code, .text = copy});
}

static void emit_settled(
    enum wire_event_kind kind, uint64_t tag, bool multiple, wire_event_fn fn, void *ctx)
{
    fn(ctx, &(struct wire_event){.kind = kind, .tag = tag, .multiple = multiple});
}

static int take_close(struct wire *w, const amqp_method_t *m, wire_event_fn fn, void *ctx)
{
    if (m->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *c = m->decoded;
        encode_method(&w->out, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &(amqp_channel_close_ok_t){0});
        copy_text(w->why, sizeof(w->why), c->reply_text);
        emit_text(WIRE_CHANNEL_CLOSED, c->reply_code, c->reply_text, fn, ctx);
    } else {
        const amqp_connection_close_t *c = m->decoded;
        encode_method(
            &w->out, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &(amqp_connection_close_ok_t){0});
        copy_text(w->why, sizeof(w->why), c->reply_text);
        emit_text(WIRE_CONNECTION_CLOSED, c->reply_code, c->reply_text, fn, ctx);
    }
    (void)wire_flush(w);
    return ERR_UNKNOWN;
}

static int take_method(struct wire *w, const amqp_method_t *m, wire_event_fn fn, void *ctx)
{
    if (w->assembly != ASSEMBLY_NONE && m->id != AMQP_CONNECTION_CLOSE_METHOD &&
        m->id != AMQP_CONNECTION_BLOCKED_METHOD && m->id != AMQP_CONNECTION_UNBLOCKED_METHOD)
        return wire_lost(w, "a method in the middle of a message");
    switch (m->id) {
    case AMQP_BASIC_DELIVER_METHOD: {
        const amqp_basic_deliver_t *d = m->decoded;
        w->tag = d->delivery_tag;
        w->redelivered = d->redelivered != 0;
        content_begin(w, false, d->exchange, d->routing_key);
        return 0;
    }
    case AMQP_BASIC_RETURN_METHOD: {
        const amqp_basic_return_t *r = m->decoded;
        content_begin(w, true, r->exchange, r->routing_key);
        return 0;
    }
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *a = m->decoded;
        emit_settled(WIRE_ACK, a->delivery_tag, a->multiple, fn, ctx);
        return 0;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *n = m->decoded;
        emit_settled(WIRE_NACK, n->delivery_tag, n->multiple, fn, ctx);
        return 0;
    }
    case AMQP_CONFIRM_SELECT_OK_METHOD:
    case AMQP_BASIC_CONSUME_OK_METHOD:
        fn(ctx, &(struct wire_event){.kind = WIRE_READY});
        return 0;
    case AMQP_BASIC_CANCEL_METHOD:
        fn(ctx, &(struct wire_event){.kind = WIRE_CANCELED});
        return wire_lost(w, "the broker cancelled the consumer (is its queue gone?)");
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        w->closing_us = 0;
        fn(ctx, &(struct wire_event){.kind = WIRE_CLOSE_OK});
        return 0;
    case AMQP_CONNECTION_CLOSE_OK_METHOD:
        w->closed = true;
        return 0;
    case AMQP_CONNECTION_BLOCKED_METHOD: {
        const amqp_connection_blocked_t *b = m->decoded;
        emit_text(WIRE_BLOCKED, 0, b->reason, fn, ctx);
        return 0;
    }
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        fn(ctx, &(struct wire_event){.kind = WIRE_UNBLOCKED});
        return 0;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
        return take_close(w, m, fn, ctx);
    default: /* channel.open-ok, qos-ok, cancel-ok: nothing waits for them */
        return 0;
    }
}

static int take_frame(struct wire *w, const amqp_frame_t *f, wire_event_fn fn, void *ctx)
{
    switch (f->frame_type) {
    case AMQP_FRAME_METHOD:
        return take_method(w, &f->payload.method, fn, ctx);
    case AMQP_FRAME_HEADER:
        return take_header(w, f, fn, ctx);
    case AMQP_FRAME_BODY:
        return take_body(w, f, fn, ctx);
    default:
        return 0;
    }
}

int wire_read(struct wire *w, wire_event_fn fn, void *ctx)
{
    /* Heartbeats are swallowed by the library, so the socket itself says that bytes came. */
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    if (poll(&p, 1, 0) == 1)
        w->last_read_us = clock_mono_us();
    for (unsigned i = 0; i < FRAMES_PER_READ; i++) {
        amqp_frame_t frame;
        int r = amqp_simple_wait_frame_noblock(w->library, &frame, &(struct timeval){0});
        if (r == AMQP_STATUS_TIMEOUT)
            return 0;
        if (r != AMQP_STATUS_OK)
            return wire_lost(w, amqp_error_string2(r));
        r = take_frame(w, &frame, fn, ctx);
        amqp_maybe_release_buffers(w->library);
        if (r < 0)
            return r;
    }
    return 1;
}

/* ---- the polite end ---- */

static void ignore_event(void *ctx, const struct wire_event *e)
{
    mem_free(e->parcel);
}

void wire_hang_up(struct wire *w, int64_t deadline_us)
{
    encode_method(&w->out, 0, AMQP_CONNECTION_CLOSE_METHOD,
        &(amqp_connection_close_t){
            .reply_code = AMQP_REPLY_SUCCESS, .reply_text = amqp_cstring_bytes("bye")});
    while (!w->closed && clock_mono_us() < deadline_us) {
        if (wire_flush(w) < 0 || wire_read(w, ignore_event, NULL) < 0)
            return;
        struct pollfd p = {
            .fd = w->fd, .events = (short)(POLLIN | (wire_has_output(w) ? POLLOUT : 0))};
        if (!w->closed)
            poll(&p, 1, 50);
    }
}
