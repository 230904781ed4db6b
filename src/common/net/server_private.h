#pragma once

/* The HTTP server's inside. Four parts:
 *
 *   server.c             life: listening, draining, freeing
 *   server_door.c        a connection: owns the socket, lets whole requests through, one at a time
 *   server_door_reply.c  what is sent to it
 *   server_exchange.c    one request and its reply: owned by the door and by the handler's fiber
 *   server_evhtp.c       libevhtp, behind the door (the only includer of evhtp)
 */

#include <netinet/in.h>
#include <sys/queue.h>

#include "common/fiber/sync.h"
#include "common/net/door.h"
#include "common/net/server.h"

struct bufferevent;
struct evhtp;
struct evhtp_connection;
struct evhtp_request;
struct event;
struct sockaddr;

#define HTTP_DATE_SIZE 80 /* the compiler does not know how many digits a year has */

struct http_server {
    struct http_server_config config;
    struct loop *loop;
    struct evhtp *evhtp;
    struct event *accept_pause; /* runs while accepting is off for want of descriptors */
    uint16_t port;
    bool draining;
    unsigned connections, active;
    struct fiber_signal changed; /* a connection ended */
    LIST_HEAD(, door) doors;
    LIST_HEAD(, exchange) exchanges;
    struct door_head head; /* where heads are judged, before they are worth an exchange */
    struct buf scratch;    /* what is put together and given away at once */
    int64_t date_s;
    char date[HTTP_DATE_SIZE];
};

const char *http_server_date(struct http_server *s); /* "Sat, 21 Nov 2026 10:12:33 GMT" */

/* ---- the exchange ---------------------------------------------------------------------------- */

/* Counted by its holders, the door and the fiber. Each pointer to one who may go first is cleared
 * by the one who goes; libevhtp's request object is never reached by another way. */
struct exchange {
    unsigned refs;
    struct http_server *server;    /* NULL: freed */
    struct door *door;             /* NULL: the client has left, or has its reply */
    struct evhtp_request *request; /* NULL: libevhtp does not wait for a reply */
    struct fiber *fiber;           /* NULL: not started, or ended */
    LIST_ENTRY(exchange) link;
    const void *route; /* the application's word for it */
    int64_t received_us;
    int64_t admitted_us; /* 0: nobody was asked */
    int status;          /* of the reply; 0: none yet */
    bool peer_loopback;
    char peer[INET6_ADDRSTRLEN];
    struct span body;
    char *body_block;      /* when the body came later than the head */
    struct door_head head; /* spans into `bytes` */
    char bytes[];          /* the head, and the body if it was there as well */
};

/* `head` lies in `bytes`; room for `size` bytes, which the caller fills in. */
struct exchange *exchange_new(
    struct http_server *s, const struct door_head *head, const char *bytes, size_t size);
void exchange_unref(struct exchange *x);
/* Starts the handler's fiber. False: it could not and has answered 503; the exchange is over. */
bool exchange_start(struct exchange *x);
/* May it go on? False with the refusal. */
bool exchange_admit(struct exchange *x, struct http_refusal *ret_refusal);
/* The client has left: the fiber's waits end, its reply will go nowhere. */
void exchange_abandon(struct exchange *x);

/* ---- the door's plumbing --------------------------------------------------------------------- */

struct door;

/* Takes over both bufferevents (`inner` is our end of the pair). */
struct door *door_new(struct http_server *s, struct bufferevent *socket, struct bufferevent *inner,
    struct evhtp_connection *connection, const struct sockaddr *peer);
void doors_close(struct http_server *s); /* at once */
void doors_drain(struct http_server *s); /* the idle ones; the others close after their reply */
/* Answers `status` as a problem document and closes when the client has had time to read it. */
void door_refuse(struct door *d, int status, const char *detail);
/* A problem document as the door writes it. `correlation_id` of UUID_TEXT_SIZE is made. */
void door_problem(
    struct http_server *s, int status, const char *detail, char *correlation_id, struct buf *out);

/* From libevhtp's side. */
void door_on_request(struct door *d, struct evhtp_request *request); /* it wants a reply */
void door_on_request_done(struct door *d);                           /* it has forgotten it */
void door_on_engine_gone(struct door *d);                            /* it has freed itself */

bool door_closes(const struct door *d);        /* after the present reply */
void door_forward(struct door *d, int status); /* libevhtp's reply, complete in the pair */

/* ---- libevhtp -------------------------------------------------------------------------------- */

void engine_init(struct http_server *s);
int engine_listen(struct http_server *s, int fd); /* takes the descriptor when 0 */
void engine_unlisten(struct http_server *s);
void engine_deinit(struct http_server *s);
void engine_connection_free(struct evhtp_connection *c);

struct engine_reply {
    int status;
    const char *content_type;
    const struct http_headers *headers; /* NULL: none. Needs the fiber's arena */
    const char *correlation_id;         /* NULL: the headers have it */
    bool retry_later;                   /* Retry-After: 1 */
    const char *connection;             /* the header's value, NULL for none */
    const char *date;
    bool head_only;
    struct buf *body; /* taken */
};
void engine_send(struct evhtp_request *request, const struct engine_reply *reply);
