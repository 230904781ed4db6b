#include "common/net/client_smtp.h"

#include <curl/curl.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/error.h"

/* Why mails do not share the loop's multi handle: when curl 7.88 closes an SMTP connection it says
 * QUIT and then waits for the reply in a blocking loop (lib/smtp.c, smtp_disconnect), for up to two
 * minutes. A frozen mail server would freeze the whole process. So each mail is a blocking transfer
 * of its own on a worker thread, and the connection ends within the transfer
 * (CURLOPT_FORBID_REUSE), where the reply timeout set here bounds QUIT too. */

struct mail_transfer {
    struct mail_job *job;
    size_t read;       /* of the message */
    bool connected;    /* greeting, EHLO and AUTH are over: replies are about this mail */
    bool body_started; /* DATA was accepted, the text is on its way */
};

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
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_URL, job->url);
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, job->from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)job->message.len);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_reply);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)((left_ms + 999) / 1000));
}

void mail_job_run(void *arg)
{
    struct mail_job *job = arg;
    job->reply[0] = job->detail[0] = '\0';
    int64_t left_ms = (job->deadline_us - clock_mono_us()) / USEC_PER_MS;
    if (left_ms <= 0) { /* waited too long for a worker; nothing was sent */
        snprintf(job->detail, sizeof(job->detail), "%s", "no time left");
        job->r = ERR_UNAVAILABLE;
        return;
    }
    struct mail_transfer t = {.job = job};
    CURL *easy = curl_easy_init();
    struct curl_slist *to = curl_slist_append(NULL, job->to);
    mail_set_options(easy, &t, to, left_ms);
    CURLcode code = curl_easy_perform(easy);
    long last_reply = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &last_reply);
    job->r = mail_result(&t, code, last_reply);
    snprintf(
        job->detail, MAIL_TEXT_SIZE, "%s", job->reply[0] ? job->reply : curl_easy_strerror(code));
    curl_slist_free_all(to);
    curl_easy_cleanup(easy);
}
