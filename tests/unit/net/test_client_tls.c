#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_world.h"

/* TLS is libcurl's, which is opened for it. The server is openssl's own, with a certificate that it
 * has signed itself: the handshake goes so far that the client sees that, and no further. */

#define DEADLINE_US (20 * USEC_PER_SEC)

struct tls_server {
    pid_t pid;
    int port;
    FILE *says;
    char folder[64];
};

static void tls_server_run(const char *folder, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(folder) != 0 || dup2(out, STDOUT_FILENO) < 0 || !freopen("/dev/null", "w", stderr))
        _exit(1);
    if (system("openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 1 "
               "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1") != 0)
        _exit(1);
    execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert", "-key",
        "key", "-www", (char *)NULL);
    _exit(1);
}

static struct tls_server tls_server_start(void)
{
    struct tls_server s = {.folder = "/tmp/souk-test-tls-XXXXXX"};
    int pipe_fds[2];
    char line[256];
    cr_assert(mkdtemp(s.folder));
    cr_assert_eq(pipe(pipe_fds), 0);
    s.pid = fork();
    cr_assert_geq(s.pid, 0);
    if (s.pid == 0)
        tls_server_run(s.folder, pipe_fds[1]);
    close(pipe_fds[1]);
    s.says = fdopen(pipe_fds[0], "r");
    cr_assert(s.says);
    while (s.port == 0 && fgets(line, sizeof(line), s.says))
        (void)sscanf(line, "ACCEPT 127.0.0.1:%d", &s.port);
    cr_assert_gt(s.port, 0, "no TLS server");
    return s;
}

static void tls_server_stop(struct tls_server *s)
{
    char path[96];
    kill(s->pid, SIGTERM);
    cr_assert_eq(waitpid(s->pid, NULL, 0), s->pid);
    fclose(s->says);
    snprintf(path, sizeof(path), "%s/key", s->folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/cert", s->folder);
    unlink(path);
    rmdir(s->folder);
}

struct tls_call {
    struct http_peer *peer;
    int r;
    char error[512];
};

static void call_fiber(void *arg)
{
    struct tls_call *call = arg;
    struct http_answer answer;
    call->r = http_call(call->peer, &(struct http_call){.method = HTTP_GET, .path = "/"}, &answer);
    snprintf(call->error, sizeof(call->error), "%s", error_text());
}

Test(client, server_that_nobody_vouches_for__is_told_nothing, .timeout = 60)
{
    struct tls_server s = tls_server_start();
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%d", s.port);
    struct loop *l = loop_new();
    struct http_client *client = http_client_new(l);
    cr_assert_eq(http_client_check(url), 0, "%s", error_text());
    struct tls_call call = {.peer = http_peer_new(client, &(struct http_peer_config){.name = "tls",
                                                              .base_url = url,
                                                              .connect_timeout_us = DEADLINE_US,
                                                              .timeout_us = DEADLINE_US,
                                                              .retry_limit = HTTP_RETRIES_NONE})};
    cr_assert_eq(fiber_spawn(l, "tls", call_fiber, &call, NULL), 0);
    loop_run(l, true);
    http_peer_free(call.peer);
    http_client_free(client);
    loop_free(l);
    tls_server_stop(&s);
    cr_assert_eq(call.r, ERR_UNAVAILABLE, "%s", call.error);
    cr_assert(strstr(call.error, "certificate"), "%s", call.error);
}
