#pragma once

/* One connection with one channel to the broker, and AMQP's frames: the only part of this room that
 * knows rabbitmq-c. Nothing here waits except wire_dial and wire_hang_up. Used on the AMQP thread
 * only, except the encoder, which has no state. */

#include "common/bus/core.h"

struct wire_address {
    const char *user, *password, *host, *vhost; /* in `memory` */
    int port;
    char *memory;
};
int wire_address_parse(const char *url, struct wire_address *ret_address); /* 0 or ERR_INVALID */
void wire_address_deinit(struct wire_address *a);

/* A non-blocking socket, or -1. */
int dial_tcp(const char *host, int port, const atomic_bool *stopping);

enum wire_event_kind {
    WIRE_READY, /* confirm.select-ok or consume-ok */
    WIRE_DELIVER,
    WIRE_OVERSIZE, /* a delivery beyond BUS_BODY_LIMIT: only its tag */
    WIRE_RETURN,
    WIRE_ACK,
    WIRE_NACK,
    WIRE_CANCELED,       /* the broker ended our consumer */
    WIRE_CHANNEL_CLOSED, /* the broker closed the channel: code, text */
    WIRE_CONNECTION_CLOSED,
    WIRE_CLOSE_OK, /* our own channel.close is done */
    WIRE_BLOCKED,
    WIRE_UNBLOCKED,
};
struct wire_event {
    enum wire_event_kind kind;
    uint64_t tag;
    bool multiple;
    int code;
    const char *text; /* only during the call */
    uint64_t fingerprint;
    struct bus_parcel *parcel; /* passes to the callee */
};
typedef void (*wire_event_fn)(void *ctx, const struct wire_event *event);

struct wire;
/* Connects, logs in; at most some 6 s. NULL with a sentence in `why`. */
struct wire *wire_dial(const struct wire_address *a, const char *name, unsigned heartbeat_s,
    struct mailbox *box, char *why, size_t why_size);
void wire_free(struct wire *w);                         /* NULL ok; just drops the socket */
void wire_hang_up(struct wire *w, int64_t deadline_us); /* sends what is due, connection.close */

int wire_fd(const struct wire *w);
bool wire_has_output(const struct wire *w);
int wire_flush(struct wire *w); /* 0 (perhaps with output left) or negative: lost */
/* Reads what is there: 0 all, 1 stopped to be fair, negative lost (wire_why tells). */
int wire_read(struct wire *w, wire_event_fn fn, void *ctx);
/* When two heartbeats will have been missed; USEC_NEVER for NULL. */
int64_t wire_stale_us(const struct wire *w);
bool wire_is_stale(const struct wire *w); /* silent for two heartbeats: send it nothing more */
/* Heartbeats both ways; negative when the broker was silent for two of them, or owes us the answer
 * to channel.close. */
int wire_tick(struct wire *w);
const char *wire_why(const struct wire *w);

void wire_put(struct wire *w, const char *frames, size_t len);
void wire_open_publish(struct wire *w); /* channel.open, confirm.select */
void wire_open_consume(struct wire *w, const char *queue, const char *tag, unsigned prefetch);
void wire_cancel(struct wire *w, const char *tag);
void wire_ack(struct wire *w, uint64_t tag, bool multiple);
void wire_nack(struct wire *w, uint64_t tag, bool requeue);
void wire_close_channel(struct wire *w);

/* Appends the frames of one persistent, mandatory basic.publish. 0; ERR_INVALID: a name is too long
 * or a header is; -EMSGSIZE: body or header frame over the limit. */
int encode_publish(const struct bus_message *m, const char *user, struct buf *out);
/* Appends one method frame. */
void encode_method(struct buf *out, unsigned channel, uint32_t id, void *decoded);
void encode_heartbeat(struct buf *out);
uint64_t message_fingerprint(struct span exchange, struct span routing_key, struct span message_id);
/* Headers the broker adds; a copy that keeps them vanishes in a dead-letter cycle. */
bool header_is_brokers(struct span name);
