#pragma once

/* Private to the door: a connection's state, and what its two files do for each other. */

#include "common/net/server_private.h"

struct evbuffer;

#define HELD_LIMIT (2 * DOOR_HEAD_LIMIT) /* bytes of later requests that wait here, about */

enum phase { READ_HEAD, READ_BODY, HANDLE, FLUSH, LINGER };

struct door {
    struct http_server *server;
    struct bufferevent *socket, *inner;
    struct evhtp_connection *connection; /* NULL: freed */
    struct event *timer;
    LIST_ENTRY(door) link;
    enum phase phase;
    int64_t deadline_us; /* of the phase */
    int64_t timer_us;    /* when the timer rings; 0: not set */
    size_t judged;       /* door_judge's state */
    enum http_method method;
    struct exchange *exchange;
    bool begun;       /* READ_HEAD: the first byte was seen */
    bool engine_busy; /* libevhtp holds the former request still */
    bool closing;     /* after the present reply */
    bool client_done; /* has closed its side */
    bool doomed;      /* the timer closes it */
    bool peer_loopback;
    char peer[INET6_ADDRSTRLEN];
};

/* ---- server_door.c --------------------------------------------------------------------------- */

/* The door's next phase, with the time for it; USEC_NEVER: as long as it takes. */
void door_enter(struct door *d, enum phase phase, int64_t timeout_us);
void door_wake(struct door *d); /* its timer runs soon, and looks */
void door_doom(struct door *d); /* it closes soon: from where it can't be closed at once */

/* ---- server_door_reply.c --------------------------------------------------------------------- */

/* Sends what is in `bytes`, now or later. False: the socket is dead. */
bool door_write(struct door *d, struct evbuffer *bytes);
/* The reply has left. */
void door_flushed(struct door *d);
/* Says no more, and gives the client time to read what was said. */
void door_linger(struct door *d);
/* The request was sound, and there is no room for it: the connection may bring the next one. */
void door_decline(struct door *d, struct http_refusal *refusal);
