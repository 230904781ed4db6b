/* A TCP connection with a time limit, one address after the other; looks every 100 ms whether the
 * process is ending. Only the name lookup waits as long as it likes. */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/bus/wire.h"

#define CONNECT_TIMEOUT_US (3 * USEC_PER_SEC)

static bool connect_finished(int fd, int64_t deadline_us, const atomic_bool *stopping)
{
    while (clock_mono_us() < deadline_us && !atomic_load(stopping)) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, 100) <= 0)
            continue;
        int error = 0;
        socklen_t len = sizeof(error);
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
    }
    return false;
}

static int connect_address(
    const struct addrinfo *ai, int64_t deadline_us, const atomic_bool *stopping)
{
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0)
        return -1;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 ||
        (errno == EINPROGRESS && connect_finished(fd, deadline_us, stopping)))
        return fd;
    close(fd);
    return -1;
}

int dial_tcp(const char *host, int port, const atomic_bool *stopping)
{
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(host, service, &hints, &list) != 0)
        return -1;
    int64_t deadline_us = clock_mono_us() + CONNECT_TIMEOUT_US;
    int fd = -1;
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        fd = connect_address(ai, deadline_us, stopping);
    freeaddrinfo(list);
    return fd;
}
