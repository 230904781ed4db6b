#pragma once

/* A server that does exactly what a script tells it, down to the raw bytes: for seeing how the
 * outgoing client takes it. It listens on a loopback port of the kernel's choice; each connection
 * runs the script on a thread of its own. Make it inside the test. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct fake_conn;
typedef void (*fake_script)(struct fake_conn *c);

enum { FAKE_TEXT_SIZE = 8192, FAKE_LINE_SIZE = 512 };

struct fake_server {
    int fd, port;
    char url[64]; /* "http://127.0.0.1:port" */
    fake_script script;
    void *arg;
    /* what happened so far */
    atomic_uint connections, requests, ended, running, running_max;
    struct fake_conn *all;
    struct fake_thread *thread;
};

struct fake_conn {
    struct fake_server *server;
    struct fake_conn *next;
    struct fake_thread *thread;
    int fd;
    unsigned number; /* from 1 */
    char in[FAKE_TEXT_SIZE];
    size_t in_len;
    /* the last request read */
    char method[16], path[512], head[FAKE_TEXT_SIZE], body[FAKE_TEXT_SIZE];
};

struct fake_server *fake_server_new(fake_script script, void *arg);
void fake_server_free(struct fake_server *s);    /* ends all connections */
void fake_stop_listening(struct fake_server *s); /* new connections are refused */

/* False when the client has closed. Counts the request. */
bool fake_read_request(struct fake_conn *c);
bool fake_read_line(struct fake_conn *c, char line[static FAKE_LINE_SIZE]); /* without CRLF */
void fake_write(struct fake_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fake_write_bytes(struct fake_conn *c, const char *bytes, size_t len);
void fake_wait_closed(struct fake_conn *c); /* until the client closes; discards what comes */
void fake_reset(struct fake_conn *c);       /* RST instead of FIN */

/* A loopback port on which nobody listens; and one where connecting hangs. */
int fake_closed_port(void);
struct fake_deaf {
    int fds[8];
    int port;
};
void fake_deaf_open(struct fake_deaf *d);
void fake_deaf_close(struct fake_deaf *d);
