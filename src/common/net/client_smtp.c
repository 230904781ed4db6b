#include "common/net/client_smtp.h"

#include <assert.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/mem.h"
#include "common/net/client_curl.h"

/* Why mails do not share the loop's multi handle: when curl 7.88 closes an SMTP connection it says
 * QUIT and then waits for the reply in a blocking loop (lib/smtp.c, smtp_disconnect), for up to two
 * minutes. A frozen mail server would freeze the whole process. So each mail is a blocking transfer
 * on a worker thread, whose reply timeout bounds also the QUIT after a mail that failed.
 *
 * Connecting, greeting, EHLO and QUIT cost more than a mail does, so connections are kept. A line
 * is an easy handle with (at most) one connection. The line used last is the first to be used
 * again, so that under a falling load the others grow old and are closed: after LINE_IDLE_US, or
 * MAILS_PER_LINE mails, or any mail that did not go through. Closing a line shuts our reading end
 * first: curl then still says QUIT, but finds the reply's end at once and waits for nothing, so the
 * loop itself may do it.
 *
 * A server may end a kept connection at any time, also between our look at it and our MAIL FROM.
 * Such a mail is sent once more over a new connection, but only while it was surely not taken: no
 * byte of its text was asked for, and the server has said nothing about it, or 421 ("closing").
 * Once the text is on its way there is no second time here: whether it was taken is unknown, and
 * the caller is told so. (curl itself never repeats an upload that is not HTTP's.) A kept
 * connection that froze costs its mail the deadline, as a server that freezes later does. */

/* Of libcurl, which client_curl.c opens. */
#define FUNCTIONS(F)                                                                               \
    F(easy_cleanup)                                                                                \
    F(easy_getinfo)                                                                                \
    F(easy_init)                                                                                   \
    F(easy_perform) F(easy_reset) F(easy_setopt) F(easy_strerror) F(slist_append) F(slist_free_all)
#define MEMBER(name) __typeof__(&curl_##name) name;
#define SYMBOL(name) {"curl_" #name, (void **)&curl.name},
static struct {
    FUNCTIONS(MEMBER)
} curl;
static const struct client_curl_symbol symbols[] = {FUNCTIONS(SYMBOL)};

#define LINE_IDLE_US   (3 * USEC_PER_SEC)
#define MAILS_PER_LINE 100
#define SWEEP_US       USEC_PER_SEC

struct mail_line {
    struct mail_line *next;
    CURL *easy;
    char *url;
    unsigned mails; /* that went through */
    int64_t idle_since_us;
};

struct mail_lines {
    struct event sweep;
    pthread_mutex_t lock;
    struct mail_line *idle; /* guarded by lock; the newest first */
};

struct mail_transfer {
    struct mail_job *job;
    size_t read;       /* of the message */
    bool connected;    /* greeting, EHLO and AUTH are over: replies are about this mail */
    bool body_started; /* DATA was accepted, the text is on its way */
};

/* ---- lines ---- */

static void line_free(struct mail_line *line)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (!line)
        return;
    if (curl.easy_getinfo(line->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK &&
        fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RD);
    curl.easy_cleanup(line->easy);
    mem_free(line->url);
    mem_free(line);
}

static struct mail_line *line_new(const char *url)
{
    struct mail_line *line = MEM_NEW(struct mail_line);
    line->easy = curl.easy_init();
    assert(line->easy);
    line->url = mem_strdup(url);
    return line;
}

/* The one used last, or NULL. */
static struct mail_line *lines_take(struct mail_lines *lines, const char *url)
{
    struct mail_line *line = NULL;
    pthread_mutex_lock(&lines->lock);
    for (struct mail_line **at = &lines->idle; *at && !line; at = &(*at)->next)
        if (strcmp((*at)->url, url) == 0) {
            line = *at;
            *at = line->next;
            break;
        }
    pthread_mutex_unlock(&lines->lock);
    return line;
}

static void lines_give(struct mail_lines *lines, struct mail_line *line)
{
    if (line->mails >= MAILS_PER_LINE) {
        line_free(line);
        return;
    }
    line->idle_since_us = clock_mono_us();
    pthread_mutex_lock(&lines->lock);
    line->next = lines->idle;
    lines->idle = line;
    pthread_mutex_unlock(&lines->lock);
}

/* Closes those that were not used since `before_us`; true when others are left. */
static bool lines_close(struct mail_lines *lines, int64_t before_us)
{
    pthread_mutex_lock(&lines->lock);
    struct mail_line **at = &lines->idle;
    while (*at && (*at)->idle_since_us > before_us)
        at = &(*at)->next;
    struct mail_line *old = *at; /* and all behind it are older */
    *at = NULL;
    bool left = lines->idle != NULL;
    pthread_mutex_unlock(&lines->lock);
    while (old) {
        struct mail_line *next = old->next;
        line_free(old);
        old = next;
    }
    return left;
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct mail_lines *lines = arg;
    if (lines_close(lines, clock_mono_us() - LINE_IDLE_US))
        mail_lines_watch(lines);
}

struct mail_lines *mail_lines_new(struct loop *l)
{
    struct mail_lines *lines = MEM_NEW(struct mail_lines);
    pthread_mutex_init(&lines->lock, NULL);
    event_assign(&lines->sweep, loop_base(l), -1, 0, on_sweep, lines);
    return lines;
}

void mail_lines_free(struct mail_lines *lines)
{
    if (!lines)
        return;
    event_del(&lines->sweep);
    lines_close(lines, USEC_NEVER);
    pthread_mutex_destroy(&lines->lock);
    mem_free(lines);
}

void mail_lines_watch(struct mail_lines *lines)
{
    struct timeval after = {.tv_sec = SWEEP_US / USEC_PER_SEC};
    if (!event_pending(&lines->sweep, EV_TIMEOUT, NULL))
        event_add(&lines->sweep, &after);
}

/* ---- one mail ---- */

static int on_connected(void *user, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    (void)peer_ip, (void)own_ip, (void)peer_port, (void)own_port;
    struct mail_transfer *t = user;
    t->connected = true;
    return CURL_PREREQFUNC_OK;
}

static size_t on_read(char *bytes, size_t size, size_t count, void *user)
{
    struct mail_transfer *t = user;
    size_t left = t->job->message.len - t->read, len = size * count < left ? size * count : left;
    t->body_started = true;
    memcpy(bytes, t->job->message.ptr + t->read, len);
    t->read += len;
    return len;
}

/* Reply lines of the server; kept is the last one that says no. */
static size_t on_reply(char *bytes, size_t size, size_t count, void *user)
{
    struct mail_transfer *t = user;
    size_t len = size * count;
    if (len == 0 || (bytes[0] != '4' && bytes[0] != '5'))
        return len;
    size_t kept = 0;
    for (size_t i = 0; i < len && kept < MAIL_TEXT_SIZE - 1; i++)
        if ((unsigned char)bytes[i] >= ' ')
            t->job->reply[kept++] = bytes[i];
    t->job->reply[kept] = '\0';
    return len;
}

static int mail_result(const struct mail_transfer *t, CURLcode code, long last_reply)
{
    if (code == CURLE_OK)
        return 0;
    bool has_reply = t->job->reply[0] != '\0';
    if (t->connected && last_reply >= 500 && last_reply < 600 && has_reply)
        return SMTP_REFUSED;
    if (!t->body_started || (last_reply >= 400 && last_reply < 500 && has_reply))
        return ERR_UNAVAILABLE;
    return code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UNKNOWN;
}

static void mail_set_options(
    CURL *easy, struct mail_transfer *t, struct curl_slist *to, int64_t left_ms)
{
    struct mail_job *job = t->job;
    curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl.easy_setopt(easy, CURLOPT_PROXY, "");
    curl.easy_setopt(easy, CURLOPT_URL, job->url);
    curl.easy_setopt(easy, CURLOPT_MAIL_FROM, job->from);
    curl.easy_setopt(easy, CURLOPT_MAIL_RCPT, to);
    curl.easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl.easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)job->message.len);
    curl.easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl.easy_setopt(easy, CURLOPT_READDATA, t);
    curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_reply);
    curl.easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl.easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl.easy_setopt(easy, CURLOPT_PREREQDATA, t);
    curl.easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(LINE_IDLE_US / USEC_PER_SEC));
    curl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl.easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)((left_ms + 999) / 1000));
}

/* Whether a mail that failed on a kept connection may be sent again without any doubt. */
static bool may_send_again(const struct mail_transfer *t, CURLcode code)
{
    const char *reply = t->job->reply;
    return code != CURLE_OK && code != CURLE_OPERATION_TIMEDOUT && !t->body_started &&
           (!reply[0] || strncmp(reply, "421", 3) == 0);
}

/* True when another connection should be tried. */
static bool mail_send(struct mail_line *line, struct mail_job *job, int64_t left_ms)
{
    struct mail_transfer t = {.job = job};
    struct curl_slist *to = curl.slist_append(NULL, job->to);
    long last_reply = 0;
    job->reply[0] = '\0';
    curl.easy_reset(line->easy); /* its connection stays */
    mail_set_options(line->easy, &t, to, left_ms);
    CURLcode code = curl.easy_perform(line->easy);
    curl.easy_getinfo(line->easy, CURLINFO_RESPONSE_CODE, &last_reply);
    curl.slist_free_all(to);
    if (line->mails > 0 && may_send_again(&t, code))
        return true;
    job->r = mail_result(&t, code, last_reply);
    snprintf(
        job->detail, MAIL_TEXT_SIZE, "%s", job->reply[0] ? job->reply : curl.easy_strerror(code));
    return false;
}

void mail_job_run(void *arg)
{
    struct mail_job *job = arg;
    struct mail_line *line = NULL;
    bool again = true;
    job->reply[0] = job->detail[0] = '\0';
    for (bool first = true; again; first = false) {
        int64_t left_ms = (job->deadline_us - clock_mono_us()) / USEC_PER_MS;
        if (left_ms <= 0) { /* waited too long for a worker; nothing was sent */
            snprintf(job->detail, sizeof(job->detail), "%s", "no time left");
            job->r = ERR_UNAVAILABLE;
            return;
        }
        if (!client_curl_open(symbols, ARRAY_SIZE(symbols), job->detail, sizeof(job->detail))) {
            job->r = ERR_UNAVAILABLE;
            return;
        }
        line = first ? lines_take(job->lines, job->url) : NULL;
        if (!line)
            line = line_new(job->url);
        again = mail_send(line, job, left_ms);
        if (again)
            line_free(line);
    }
    if (job->r != 0) { /* whatever state it is in */
        line_free(line);
        return;
    }
    line->mails++;
    lines_give(job->lines, line);
}
