#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/net/server.h"

/* What a request costs the HTTP server, door, libevhtp and fiber included: the server's own CPU
 * time over the requests of a closed loop of keep-alive connections that a child process drives.
 * `meson test -C build --benchmark http_server -v`. */

enum { CONNECTIONS = 32, REQUESTS = 200000 };

static const char get[] = "GET /api/v1/hello?x=1 HTTP/1.1\r\nHost: localhost\r\n"
                          "User-Agent: bench\r\nAccept: */*\r\nX-Correlation-ID: bench-1\r\n\r\n";
static char post[1024];

static void hello(void *ctx, struct http_request *req, struct http_response *res)
{
    http_header_add(&res->headers, SPAN("X-Correlation-ID"), SPAN("bench-1"));
    buf_put_text(&res->body, "{\"hello\":\"world\"}");
}

/* ---- the child: load ---- */

static int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        _exit(1);
    return fd;
}

/* Replies are short and come in one piece, so one read is one reply. */
static void load(uint16_t port, const char *text, size_t len)
{
    struct epoll_event events[CONNECTIONS];
    int epoll = epoll_create1(0);
    char reply[4096];

    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = dial(port);
        epoll_ctl(
            epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
        if (write(fd, text, len) != (ssize_t)len)
            _exit(1);
    }
    for (int done = 0; done < REQUESTS;) {
        int n = epoll_wait(epoll, events, CONNECTIONS, -1);
        for (int i = 0; i < n; i++, done++) {
            if (read(events[i].data.fd, reply, sizeof(reply)) < 16 ||
                memcmp(reply, "HTTP/1.1 200", 12) != 0 ||
                write(events[i].data.fd, text, len) != (ssize_t)len)
                _exit(1);
        }
    }
    _exit(0);
}

/* ---- the server ---- */

static int64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * USEC_PER_SEC + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

struct run {
    struct loop *loop;
    pid_t child;
    int status;
};

/* Looks now and then whether the child is through. */
static PARKS void watch(void *arg)
{
    struct run *run = arg;

    while (waitpid(run->child, &run->status, WNOHANG) == 0)
        fiber_sleep(5 * USEC_PER_MS);
    loop_stop(run->loop);
}

static bool bench(const char *what, const char *text, size_t len)
{
    struct run run = {.loop = loop_new()};
    struct http_server *server;

    if (http_server_new(run.loop,
            &(struct http_server_config){.address = "127.0.0.1", .handler = hello}, &server) != 0)
        return false;
    fflush(stdout);
    run.child = fork();
    if (run.child == 0)
        load(http_server_port(server), text, len);

    int64_t cpu = cpu_us(), wall = clock_mono_us();
    fiber_spawn(run.loop, "watch", watch, &run, NULL);
    loop_run(run.loop, false);
    cpu = cpu_us() - cpu;
    wall = clock_mono_us() - wall;
    printf("%-24s %6.2f us CPU a request, %8.0f requests/s\n", what, (double)cpu / REQUESTS,
        (double)REQUESTS * 1e6 / (double)wall);
    http_server_free(server);
    loop_run(run.loop, true);
    loop_free(run.loop);
    return WIFEXITED(run.status) && WEXITSTATUS(run.status) == 0;
}

int main(void)
{
    int n = snprintf(post, sizeof(post),
        "POST /api/v1/cart/items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 512\r\n\r\n%512s",
        "{}");

    return bench("GET", get, sizeof(get) - 1) && bench("POST of 512 bytes", post, (size_t)n) ? 0
                                                                                             : 1;
}
