/* Both alternatives are quoted-printable: ASCII with short lines whatever is in them, readable in
 * a log, and never with "=_" in them, which therefore is the boundary between the parts. */

#include "notification/mail.h"

#include <time.h>

#include "common/base/clock.h"

#define BOUNDARY     "=_souk"
#define LINE_LIMIT   76 /* quoted-printable */
#define PLAIN_LIMIT  200
#define WORD_OPEN    "=?utf-8?Q?"
#define WORD_CLOSE   "?="
#define WORD_LIMIT   (75 - sizeof(WORD_OPEN WORD_CLOSE) + 1)
#define ENCODED_BYTE 3 /* "=C3" */

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text > 0x7e)
            return false;
    return true;
}

static void put_encoded(struct buf *out, char c)
{
    buf_printf(out, "=%02X", (unsigned char)c);
}

/* ---- headers ---- */

static void put_clean(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_put_char(out, is_control(*text) ? ' ' : *text);
}

static void put_header(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s: ", name);
    put_clean(out, value);
    buf_put_text(out, "\r\n");
}

static bool is_word_safe(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 2047: encoded words of at most 75 bytes, each with whole characters, one to a line. */
static void put_encoded_words(struct buf *out, const char *text)
{
    size_t used = 0;
    buf_put_text(out, WORD_OPEN);
    while (*text) {
        size_t bytes = 1;
        while (((unsigned char)text[bytes] & 0xc0) == 0x80)
            bytes++;
        char c = is_control(*text) ? ' ' : *text;
        bool plain = bytes == 1 && (is_word_safe(c) || c == ' ');
        size_t need = plain ? 1 : bytes * ENCODED_BYTE;
        if (used && used + need > WORD_LIMIT) {
            buf_put_text(out, WORD_CLOSE "\r\n " WORD_OPEN);
            used = 0;
        }
        if (plain)
            buf_put_char(out, c == ' ' ? '_' : c);
        else
            for (size_t i = 0; i < bytes; i++)
                put_encoded(out, text[i]);
        used += need;
        text += bytes;
    }
    buf_put_text(out, WORD_CLOSE);
}

static void put_subject(struct buf *out, const char *subject)
{
    if (is_ascii(subject) && strlen(subject) <= PLAIN_LIMIT && !strstr(subject, "=?")) {
        put_header(out, "Subject", subject);
        return;
    }
    buf_put_text(out, "Subject: ");
    put_encoded_words(out, subject);
    buf_put_text(out, "\r\n");
}

static void put_date(struct buf *out, int64_t date_us)
{
    time_t seconds = (time_t)(date_us / USEC_PER_SEC);
    struct tm utc;
    char text[64];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &utc);
    put_header(out, "Date", text);
}

/* ---- bodies ---- */

/* A blank at the end of a line would be lost on the way. */
static bool needs_code(char c, char next)
{
    if (c == ' ' || c == '\t')
        return next == '\n' || next == '\0';
    return c == '=' || is_control(c) || (unsigned char)c > 0x7e;
}

static void put_quoted_printable(struct buf *out, const char *text)
{
    size_t used = 0;
    for (; *text; text++) {
        if (*text == '\n') {
            buf_put_text(out, "\r\n");
            used = 0;
            continue;
        }
        bool coded = needs_code(text[0], text[1]);
        size_t need = coded ? ENCODED_BYTE : 1;
        if (used + need > LINE_LIMIT - 1) {
            buf_put_text(out, "=\r\n");
            used = 0;
        }
        if (coded)
            put_encoded(out, *text);
        else
            buf_put_char(out, *text);
        used += need;
    }
    if (used)
        buf_put_text(out, "\r\n");
}

static void put_part(struct buf *out, const char *type, const char *text)
{
    buf_printf(out,
        "--" BOUNDARY "\r\nContent-Type: %s; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        type);
    put_quoted_printable(out, text);
}

void mail_compose(struct buf *out, const struct mail *m)
{
    put_date(out, m->date_us);
    buf_printf(out, "From: %s <", m->from_name);
    put_clean(out, m->from);
    buf_put_text(out, ">\r\nTo: <");
    put_clean(out, m->to);
    buf_put_text(out, ">\r\n");
    put_subject(out, m->subject);
    put_header(out, "Message-ID", m->message_id);
    put_header(out, "Auto-Submitted", "auto-generated");
    put_header(out, "MIME-Version", "1.0");
    put_header(out, "Content-Type", "multipart/alternative; boundary=\"" BOUNDARY "\"");
    buf_put_text(out, "\r\n");
    put_part(out, "text/plain", m->text);
    put_part(out, "text/html", m->html);
    buf_put_text(out, "--" BOUNDARY "--\r\n");
}
