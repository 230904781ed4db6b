#pragma once

/* Mails over SMTP, blocking: for worker threads. Private to the outgoing client. */

#include "common/net/client.h"

/* The connections that are kept between mails. Made and freed on the loop's thread, freed when no
 * job runs any more. */
struct mail_lines;
struct mail_lines *mail_lines_new(struct loop *l);
void mail_lines_free(struct mail_lines *lines); /* NULL ok; does not wait for a server */
/* After a job, on the loop's thread: sees to it that its connection does not stay for long. */
void mail_lines_watch(struct mail_lines *lines);

#define MAIL_TEXT_SIZE 200
struct mail_job {
    struct mail_lines *lines;
    const char *url; /* smtp:// or smtps://[user:password@]host[:port] */
    const char *from, *to;
    struct span message; /* every line ends with CRLF */
    int64_t deadline_us;
    /* out: 0, SMTP_REFUSED, ERR_UNAVAILABLE (surely not taken: no connection, a 4xx reply),
     * ERR_TIMEOUT, ERR_UNKNOWN (the text went out, no reply came) */
    int r;
    char reply[MAIL_TEXT_SIZE];  /* the server's last 4xx or 5xx line */
    char detail[MAIL_TEXT_SIZE]; /* what went wrong, for error_note() */
};

/* For offload_run(): `arg` is a struct mail_job. Returns soon after `deadline_us` at the latest. */
void mail_job_run(void *arg);
