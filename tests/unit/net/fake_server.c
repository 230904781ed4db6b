#include "fake_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_thread {
    pthread_t id;
};

static int listen_on_loopback(int backlog, int *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    if (bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, backlog) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        abort();
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static struct fake_thread *thread_start(void *(*fn)(void *), void *arg)
{
    struct fake_thread *t = calloc(1, sizeof(*t));
    if (pthread_create(&t->id, NULL, fn, arg) != 0)
        abort();
    return t;
}

static void thread_join(struct fake_thread *t)
{
    pthread_join(t->id, NULL);
    free(t);
}

static void *conn_main(void *arg)
{
    struct fake_conn *c = arg;
    c->server->script(c);
    shutdown(c->fd, SHUT_RDWR); /* the number is given back by fake_server_free() */
    atomic_fetch_add(&c->server->ended, 1);
    return NULL;
}

static void *server_main(void *arg)
{
    struct fake_server *s = arg;
    for (int fd; (fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        struct fake_conn *c = calloc(1, sizeof(*c));
        c->server = s;
        c->fd = fd;
        c->number = atomic_fetch_add(&s->connections, 1) + 1;
        c->next = s->all;
        s->all = c;
        c->thread = thread_start(conn_main, c);
    }
    return NULL;
}

struct fake_server *fake_server_new(fake_script script, void *arg)
{
    struct fake_server *s = calloc(1, sizeof(*s));
    s->script = script;
    s->arg = arg;
    s->fd = listen_on_loopback(512, &s->port);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", s->port);
    s->thread = thread_start(server_main, s);
    return s;
}

void fake_stop_listening(struct fake_server *s)
{
    shutdown(s->fd, SHUT_RDWR); /* ends accept() too */
}

void fake_server_free(struct fake_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    thread_join(s->thread);
    close(s->fd);
    for (struct fake_conn *c = s->all, *next; c; c = next) {
        next = c->next;
        shutdown(c->fd, SHUT_RDWR);
        thread_join(c->thread);
        close(c->fd);
        free(c);
    }
    free(s);
}

static bool conn_fill(struct fake_conn *c)
{
    assert(c->in_len < FAKE_TEXT_SIZE);
    ssize_t n = recv(c->fd, c->in + c->in_len, FAKE_TEXT_SIZE - c->in_len, 0);
    if (n <= 0)
        return false;
    c->in_len += (size_t)n;
    return true;
}

static void conn_take(struct fake_conn *c, char *to, size_t len)
{
    memcpy(to, c->in, len);
    to[len] = '\0';
    memmove(c->in, c->in + len, c->in_len - len);
    c->in_len -= len;
}

bool fake_read_request(struct fake_conn *c)
{
    char *end;
    while (!(end = memmem(c->in, c->in_len, "\r\n\r\n", 4)))
        if (!conn_fill(c))
            return false;
    conn_take(c, c->head, (size_t)(end - c->in) + 4);
    sscanf(c->head, "%15s %511s", c->method, c->path);
    const char *length = strcasestr(c->head, "\r\nContent-Length:");
    size_t len = length ? strtoul(length + 17, NULL, 10) : 0;
    while (c->in_len < len)
        if (!conn_fill(c))
            return false;
    conn_take(c, c->body, len);
    atomic_fetch_add(&c->server->requests, 1);
    return true;
}

bool fake_read_line(struct fake_conn *c, char line[static FAKE_LINE_SIZE])
{
    char *end;
    while (!(end = memmem(c->in, c->in_len, "\r\n", 2)))
        if (!conn_fill(c))
            return false;
    assert(end - c->in + 2 < FAKE_LINE_SIZE);
    conn_take(c, line, (size_t)(end - c->in) + 2);
    line[strlen(line) - 2] = '\0';
    return true;
}

void fake_write_bytes(struct fake_conn *c, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

void fake_write(struct fake_conn *c, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0)
        abort();
    fake_write_bytes(c, text, (size_t)n);
    free(text);
}

void fake_wait_closed(struct fake_conn *c)
{
    while (recv(c->fd, c->in, FAKE_TEXT_SIZE, 0) > 0)
        ;
    c->in_len = 0;
}

void fake_reset(struct fake_conn *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    int gone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    dup3(gone, c->fd, O_CLOEXEC); /* closes the connection at once, keeps the number */
    close(gone);
}

int fake_closed_port(void)
{
    int port, fd = listen_on_loopback(1, &port);
    close(fd);
    return port;
}

/* A full accept queue: the kernel drops further SYNs. */
void fake_deaf_open(struct fake_deaf *d)
{
    d->fds[0] = listen_on_loopback(0, &d->port);
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)d->port)};
    for (size_t i = 1; i < sizeof(d->fds) / sizeof(d->fds[0]); i++) {
        d->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(d->fds[i], (struct sockaddr *)&at, sizeof(at));
    }
}

void fake_deaf_close(struct fake_deaf *d)
{
    for (size_t i = 0; i < sizeof(d->fds) / sizeof(d->fds[0]); i++)
        close(d->fds[i]);
}
