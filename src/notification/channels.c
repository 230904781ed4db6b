/* The ways a message can go: each is one function that hands it over and says how that ended. Mail
 * goes by SMTP. SMS and push have no provider yet: theirs is a log, in a file of its own when one
 * is named, and mail does the same where no mail server is. */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/json/writer.h"
#include "notification/mail.h"
#include "notification/notification.h"

#define MAIL_NAME "Souk"

/* The tokens of links are opened at the last moment, and only here: no row and no log has them. */
static bool open_links(const struct delivery *d, const char **ret_text, const char **ret_html)
{
    struct arena *a = fiber_arena();
    struct span key = span_of(config_text("MAIL_TOKEN_KEY"));
    *ret_text = d->text;
    *ret_html = d->html;
    if (d->sealed) {
        *ret_text = message_unseal(a, key, d->user_id, d->sealed, d->text);
        *ret_html = message_unseal(a, key, d->user_id, d->sealed, d->html);
    }
    return *ret_text && *ret_html;
}

static int send_by_smtp(const struct delivery *d, const char **ret_why)
{
    const char *text, *html;
    if (!open_links(d, &text, &html)) {
        *ret_why = "the link can't be opened: auth has another MAIL_TOKEN_KEY";
        return CHANNEL_REFUSED;
    }
    const struct mail mail = {.from = config_text("MAIL_FROM"),
        .from_name = MAIL_NAME,
        .to = d->recipient,
        .subject = d->subject,
        .message_id = d->message_id,
        .date_us = d->created_at,
        .text = text,
        .html = html};
    struct buf message = {0};
    mail_compose(&message, &mail);
    int r = smtp_send(app()->client, config_text("SMTP_URL"),
        &(struct smtp_mail){mail.from, mail.to, buf_span(&message)}, MAIL_TIME_US, ret_why);
    buf_deinit(&message);
    if (r == SMTP_REFUSED)
        return CHANNEL_REFUSED;
    if (r == ERR_INVALID) {
        *ret_why = "the address can't be used";
        return CHANNEL_REFUSED;
    }
    return r < 0 ? ERR(r) : r;
}

static int append_line(const char *path, struct span line)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return ERR(-errno);
    ssize_t written = write(fd, line.ptr, line.len); /* one write: lines don't mix */
    int r = written < 0 ? -errno : (size_t)written == line.len ? 0 : -EIO;
    close(fd);
    return r < 0 ? ERR(r) : 0;
}

static int send_to_log(const struct delivery *d, const char **ret_why)
{
    const char *path = config_text("NOTIFY_LOG_FILE");
    if (!path[0]) {
        log_info("message", LF_TEXT("channel", d->channel), LF_TEXT("recipient", d->recipient),
            LF_TEXT("template", d->template), LF_TEXT("subject", d->subject));
        return 0;
    }
    struct buf line = {0};
    struct json_writer w = json_writer_on(&line);
    json_object_begin(&w);
    json_put_time(&w, "at", clock_wall_us());
    json_put_text(&w, "deliveryId", d->id);
    json_put_text(&w, "channel", d->channel);
    json_put_text(&w, "recipient", d->recipient);
    json_put_text(&w, "text", d->text);
    json_object_end(&w);
    buf_put_char(&line, '\n');
    int r = append_line(path, buf_span(&line));
    buf_deinit(&line);
    return r < 0 ? ERR(r) : r;
}

int message_send(const struct delivery *d, const char **ret_why)
{
    if (!d->recipient[0]) {
        *ret_why = "no address is known";
        return CHANNEL_REFUSED;
    }
    bool mail = strcmp(d->channel, "email") == 0 && config_text("SMTP_URL")[0];
    return mail ? send_by_smtp(d, ret_why) : send_to_log(d, ret_why);
}
