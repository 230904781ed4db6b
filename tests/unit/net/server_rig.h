#pragma once

/* The server runs on a loop in the test's thread; a client that knows nothing of the tree's code
 * talks to it with blocking sockets from a thread of its own. What the client finds wrong is noted
 * and asserted in the test's thread. `rig_sync` waits until the loop has looked at its sockets, so
 * that pieces sent one after the other are also read so: no test sleeps. */

#include <criterion/criterion.h>
#include <semaphore.h>

#include "common/fiber/sync.h"
#include "common/net/server.h"

struct rig {
    struct loop *loop;
    struct http_server *server;
    struct http_server_config config;
    void (*client)(struct rig *rig);
    char failure[512];
    sem_t reached;          /* posted by the loop, and by handlers that are about to park */
    struct fiber_signal go; /* what /wait waits for */
    struct latch room;      /* what the fillers of the fiber limit wait for */
    int park_result;
    unsigned handled, refused, ended;
    int refused_status;
    int64_t deadline_left_us;
    char client_address[64];
};

void rig_start(struct rig *rig);
void rig_stop(struct rig *rig);
/* Both, and the client between them. */
void rig_run(struct rig *rig, void (*client)(struct rig *rig));

/* ---- for the client's thread ----------------------------------------------------------------- */

#define HOST     "Host: a\r\n"
#define SHORT_US (60 * USEC_PER_MS)

void rig_note(int line, const char *what, const char *fmt, ...) PRINTF(3, 4);
#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            rig_note(__LINE__, #cond, " " __VA_ARGS__);                                            \
            return;                                                                                \
        }                                                                                          \
    } while (0)

void rig_sync(struct rig *rig);
void wait_reached(struct rig *rig); /* until a handler is about to park */
void until_nobody(struct rig *rig); /* no connection, no request */

int dial(struct rig *rig); /* below 0: refused */
void send_span(int fd, struct span s);
void send_text(int fd, const char *text);
bool at_end(int fd);

struct answer {
    int status;
    char head[2048];
    char *body;
    size_t body_len;
};

/* Byte by byte until the empty line, so that nothing of the next reply is taken. False: no reply.
 * The last one's body is freed; the very last one's is the caller's to free. */
bool read_answer(int fd, bool head_only, struct answer *a);
bool has(const struct answer *a, const char *text); /* in the head */
