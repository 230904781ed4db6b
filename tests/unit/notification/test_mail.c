#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "notification/mail.h"

static struct mail mail(void)
{
    return (struct mail){.from = "shop@souk.example",
        .from_name = "Souk",
        .to = "ann@people.example",
        .subject = "Hello",
        .message_id = "<e1.welcome@souk.example>",
        .date_us = INT64_C(1795260243) * USEC_PER_SEC,
        .text = "Hi\n",
        .html = "<p>Hi</p>\n"};
}

static char *composed(const struct mail *m)
{
    static struct buf out;
    buf_reset(&out);
    mail_compose(&out, m);
    return out.ptr;
}

/* The header's value with its folding; NULL when there is none. */
static const char *header(const char *message, const char *name)
{
    static char value[2048];
    const char *body = strstr(message, "\r\n\r\n");
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "\r\n%s: ", name);
    const char *at = strstr(message, wanted);
    if (!at || at > body)
        return NULL;
    at += strlen(wanted);
    const char *end = strstr(at, "\r\n");
    while (end[2] == ' ')
        end = strstr(end + 2, "\r\n");
    snprintf(value, sizeof(value), "%.*s", (int)(end - at), at);
    return value;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    while ((text = strstr(text, part))) {
        n++;
        text += strlen(part);
    }
    return n;
}

static void assert_wire_form(const char *message)
{
    size_t line = 0;
    for (const char *c = message; *c; c++) {
        cr_assert((unsigned char)*c < 0x7f, "byte %d", *c);
        cr_assert(*c != '\n' || (c > message && c[-1] == '\r'));
        cr_assert(*c != '\r' || c[1] == '\n');
        line = *c == '\n' ? 0 : line + 1;
        cr_assert_leq(line, 998);
    }
    cr_assert_eq(line, 0);
}

Test(mail, compose__of_a_plain_mail__has_every_header_and_both_parts)
{
    struct mail m = mail();
    const char *message = composed(&m);
    assert_wire_form(message);
    cr_assert_eq(strncmp(message, "Date: Sat, 21 Nov 2026 11:24:03 +0000\r\n", 39), 0);
    cr_assert_str_eq(header(message, "From"), "Souk <shop@souk.example>");
    cr_assert_str_eq(header(message, "To"), "<ann@people.example>");
    cr_assert_str_eq(header(message, "Subject"), "Hello");
    cr_assert_str_eq(header(message, "Message-ID"), "<e1.welcome@souk.example>");
    cr_assert_str_eq(header(message, "Auto-Submitted"), "auto-generated");
    cr_assert_str_eq(header(message, "MIME-Version"), "1.0");
    cr_assert_not_null(strstr(message, "Content-Type: text/plain; charset=utf-8\r\n"));
    cr_assert_not_null(strstr(message, "\r\n\r\nHi\r\n--=_souk\r\n"));
    cr_assert_not_null(strstr(message, "\r\n\r\n<p>Hi</p>\r\n--=_souk--\r\n"));
}

Test(mail, compose__twice__gives_the_same_bytes)
{
    struct mail m = mail();
    char first[4096];
    snprintf(first, sizeof(first), "%s", composed(&m));
    cr_assert_str_eq(composed(&m), first);
}

Test(mail, header_values__with_line_ends__stay_in_their_header)
{
    struct mail m = mail();
    m.subject = "Hi\r\nBcc: eve@evil.example\r\n\r\nbody";
    m.to = "ann@people.example>\r\nBcc: <eve@evil.example";
    m.from = "a@b.example\nX-Evil: 1";
    m.message_id = "<x>\rX-Evil: 2";
    const char *message = composed(&m);
    assert_wire_form(message);
    cr_assert_null(header(message, "Bcc"));
    cr_assert_null(header(message, "X-Evil"));
    cr_assert_str_eq(header(message, "Subject"), "Hi  Bcc: eve@evil.example    body");
    cr_assert_eq(count(message, "\r\nBcc"), 0);
}

Test(mail, subject__in_another_script__is_encoded_words_of_whole_characters)
{
    struct mail m = mail();
    m.subject = "\xc3\x9c"
                "ber\xe2\x82\xac 5";
    cr_assert_str_eq(header(composed(&m), "Subject"), "=?utf-8?Q?=C3=9Cber=E2=82=AC_5?=");
    m.subject = "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82"
                "\xac\xe2\x82\xac";
    cr_assert_str_eq(header(composed(&m), "Subject"),
        "=?utf-8?Q?=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC=E2=82=AC?=\r\n"
        " =?utf-8?Q?=E2=82=AC?=");
    m.subject = "\xc3\xa9\r\nBcc: eve@evil.example";
    cr_assert_str_eq(
        header(composed(&m), "Subject"), "=?utf-8?Q?=C3=A9__Bcc=3A_eve=40evil=2Eexample?=");
}

Test(mail, subject__that_is_long_or_looks_encoded__is_encoded)
{
    struct mail m = mail();
    char subject[500];
    memset(subject, 'x', sizeof(subject) - 1);
    subject[sizeof(subject) - 1] = '\0';
    m.subject = subject;
    const char *message = composed(&m);
    assert_wire_form(message);
    for (const char *line = strstr(message, "Subject: "); strncmp(line, "Message-ID", 10) != 0;
         line = strstr(line, "\r\n") + 2)
        cr_assert_leq(strcspn(line, "\r"), 86);
    m.subject = "=?utf-8?Q?fake?=";
    cr_assert_str_eq(header(composed(&m), "Subject"), "=?utf-8?Q?=3D=3Futf=2D8=3FQ=3Ffake=3F=3D?=");
}

Test(mail, body__of_any_bytes__is_short_ascii_lines_that_hide_no_boundary)
{
    struct mail m = mail();
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    m.text = text;
    m.html = "--=_souk--\n.\na=b \t\n\xe2\x82\xac\x01\rz";
    const char *message = composed(&m);
    assert_wire_form(message);
    for (const char *line = message; *line; line = strstr(line, "\r\n") + 2)
        cr_assert_leq(strcspn(line, "\r"), 76);
    cr_assert_eq(count(message, "--=_souk"), 3);
    cr_assert_not_null(strstr(message, "--=3D_souk--\r\n.\r\na=3Db =09\r\n=E2=82=AC=01=0Dz\r\n"));
}
