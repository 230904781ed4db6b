#include "common/net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/net/server_private.h"

static void config_complete(struct http_server_config *c)
{
#define DEFAULT(member, value) c->member = c->member ? c->member : (value)
    DEFAULT(body_limit, 64 * 1024);
    DEFAULT(head_timeout_us, 5 * USEC_PER_SEC);
    DEFAULT(body_timeout_us, 15 * USEC_PER_SEC);
    DEFAULT(idle_timeout_us, 60 * USEC_PER_SEC);
    DEFAULT(request_timeout_us, 10 * USEC_PER_SEC);
    DEFAULT(write_timeout_us, 15 * USEC_PER_SEC);
    DEFAULT(connections_limit, 10000);
#undef DEFAULT
}

/* ---- listening ------------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static int address_parse(const char *text, uint16_t port, union address *ret_address)
{
    union address a = {0};

    if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1) {
        a.in6.sin6_family = AF_INET6;
        a.in6.sin6_port = htons(port);
    } else {
        return ERR(-EINVAL);
    }
    *ret_address = a;
    return 0;
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* The options are inherited by the accepted sockets. */
static int socket_open(const struct http_server_config *c, union address *a, int *ret_fd)
{
    CLEANUP(fd_close)
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0)
        return ERR(-errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        return ERR(-errno);
    if (bind(fd, &a->any, sizeof(*a)) != 0 || listen(fd, SOMAXCONN) != 0)
        return ERR(-errno);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int server_listen(struct http_server *s)
{
    const struct http_server_config *c = &s->config;
    union address a;
    socklen_t size = sizeof(a);
    int fd = -1;

    int r = address_parse(c->address, c->port, &a);
    if (r == 0)
        r = socket_open(c, &a, &fd);
    if (r == 0) {
        getsockname(fd, &a.any, &size);
        s->port = ntohs(a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
        r = engine_listen(s, fd);
        if (r < 0)
            fd_close(&fd);
    }
    if (r < 0)
        error_note("listen on %s port %d", c->address, (int)c->port);
    return r < 0 ? ERR(r) : 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

int http_server_new(
    struct loop *l, const struct http_server_config *config, struct http_server **ret_server)
{
    struct http_server *s = MEM_NEW(struct http_server);

    signal(SIGPIPE, SIG_IGN); /* a write to a client that has left is an error code, not our end */
    s->config = *config;
    config_complete(&s->config);
    s->loop = l;
    engine_init(s);
    int r = server_listen(s);
    if (r < 0) {
        http_server_free(s);
        return ERR(r);
    }
    *ret_server = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

int http_server_drain(struct http_server *s, int64_t deadline_us)
{
    s->draining = true;
    engine_unlisten(s);
    doors_drain(s);
    while (s->connections > 0) {
        int r = fiber_signal_wait(&s->changed, "connections to end", deadline_us);
        if (r < 0)
            return ERR(r);
    }
    return 0;
}

void http_server_free(struct http_server *s)
{
    struct exchange *x;

    if (!s)
        return;
    doors_close(s);
    while ((x = LIST_FIRST(&s->exchanges))) { /* their fibers have not ended yet */
        LIST_REMOVE(x, link);
        x->server = NULL;
    }
    engine_deinit(s);
    buf_deinit(&s->scratch);
    mem_free(s);
}

unsigned http_server_connections(const struct http_server *s)
{
    return s->connections;
}

unsigned http_server_active(const struct http_server *s)
{
    return s->active;
}

const char *http_server_date(struct http_server *s)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(clock_wall_us() / USEC_PER_SEC);
    struct tm tm;

    if (now != s->date_s) {
        gmtime_r(&now, &tm);
        snprintf(s->date, sizeof(s->date), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
            days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
            tm.tm_hour, tm.tm_min, tm.tm_sec);
        s->date_s = now;
    }
    return s->date;
}
