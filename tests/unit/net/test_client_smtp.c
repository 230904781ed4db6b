#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/client.h"
#include "common/net/client_curl.h"
#include "fake_server.h"

#define MS USEC_PER_MS

/* --- a mail server that says what it is told at each step --- */

struct mail_script {
    const char *greeting, *from, *to, *data, *end; /* NULL: yes */
    enum { AT_END_REPLY, AT_END_CLOSE, AT_END_FREEZE } at_end;
    bool freezes_at_quit;
    /* what came */
    char from_line[FAKE_LINE_SIZE], to_line[FAKE_LINE_SIZE], text[FAKE_LINE_SIZE];
    unsigned mails;
};

static void say(struct fake_conn *c, const char *told, const char *usual)
{
    fake_write(c, "%s\r\n", told ? told : usual);
}

static void take_text(struct fake_conn *c, struct mail_script *m)
{
    char line[FAKE_LINE_SIZE];
    m->text[0] = '\0';
    while (fake_read_line(c, line) && strcmp(line, ".") != 0) {
        strcat(m->text, line[0] == '.' ? line + 1 : line); /* undo the dot-stuffing */
        strcat(m->text, "|");
    }
}

/* False when the connection is over. */
static bool serve_line(struct fake_conn *c, struct mail_script *m, const char *line)
{
    if (strncmp(line, "EHLO", 4) == 0) {
        fake_write(c, "250-fake\r\n250 8BITMIME\r\n");
    } else if (strncmp(line, "MAIL", 4) == 0) {
        strcpy(m->from_line, line);
        say(c, m->from, "250 ok");
    } else if (strncmp(line, "RCPT", 4) == 0) {
        strcpy(m->to_line, line);
        say(c, m->to, "250 ok");
    } else if (strcmp(line, "DATA") == 0) {
        say(c, m->data, "354 go on");
        if (m->data)
            return true;
        take_text(c, m);
        m->mails++;
        if (m->at_end == AT_END_FREEZE)
            fake_wait_closed(c);
        if (m->at_end != AT_END_REPLY)
            return false;
        say(c, m->end, "250 queued");
    } else {
        if (m->freezes_at_quit)
            fake_wait_closed(c);
        say(c, NULL, "221 bye");
        return false;
    }
    return true;
}

static void mail_server(struct fake_conn *c)
{
    char line[FAKE_LINE_SIZE];
    struct mail_script *m = c->server->arg;
    say(c, m->greeting, "220 fake");
    while (fake_read_line(c, line) && serve_line(c, m, line))
        ;
}

/* --- one mail to it, from a fiber --- */

struct mail_test {
    struct http_client *client;
    char url[64];
    struct smtp_mail mail;
    int64_t timeout_us;
    int r;
    const char *reply;
    char reply_text[256], error[512];
};

static void send_fiber(void *arg)
{
    struct mail_test *t = arg;
    t->r = smtp_send(t->client, t->url, &t->mail, t->timeout_us, &t->reply);
    if (t->reply) /* lives in the fiber's arena */
        snprintf(t->reply_text, sizeof(t->reply_text), "%s", t->reply);
    snprintf(t->error, sizeof(t->error), "%s", error_text());
}

static void send_it(struct mail_test *t)
{
    struct loop *loop = loop_new();
    t->client = http_client_new(loop);
    if (!t->mail.from)
        t->mail.from = "shop@example.com";
    if (!t->mail.to)
        t->mail.to = "ann@example.org";
    if (!t->mail.message.ptr)
        t->mail.message = SPAN("Subject: hello\r\n\r\nHi\r\n");
    if (!t->timeout_us)
        t->timeout_us = 3000 * MS;
    cr_assert_eq(fiber_spawn(loop, "mail", send_fiber, t, NULL), 0);
    loop_run(loop, true);
    http_client_free(t->client);
    loop_free(loop);
}

static void send_to(struct mail_script *m, struct mail_test *t)
{
    struct fake_server *server = fake_server_new(mail_server, m);
    snprintf(t->url, sizeof(t->url), "smtp://127.0.0.1:%d", server->port);
    send_it(t);
    fake_server_free(server);
}

Test(client_smtp, without_libcurl__is_surely_not_taken_and_says_why)
{
    struct mail_script m = {0};
    struct mail_test t = {0};
    client_curl_library = "libnowhere.so.4";
    send_to(&m, &t);
    cr_assert_eq(t.r, ERR_UNAVAILABLE);
    cr_assert(strstr(t.error, "libnowhere.so.4"), "%s", t.error);
}

Test(client_smtp, mail__arrives_as_it_is)
{
    struct mail_script m = {0};
    struct mail_test t = {
        .mail.message = SPAN("Subject: hello\r\n\r\nHi\r\n.\r\n..dots\r\nbye\r\n")};
    send_to(&m, &t);
    cr_assert_eq(t.r, 0, "%s", t.error);
    cr_assert_str_eq(m.from_line, "MAIL FROM:<shop@example.com>");
    cr_assert_str_eq(m.to_line, "RCPT TO:<ann@example.org>");
    cr_assert_str_eq(m.text, "Subject: hello||Hi|.|..dots|bye|");
    cr_assert_null(t.reply);
}

Test(client_smtp, bare_line_ends__become_crlf)
{
    struct mail_script m = {0};
    struct mail_test t = {.mail.message = SPAN("Subject: a\n\nb\r.\nMAIL FROM:<x>\r\n.\r\nend")};
    send_to(&m, &t);
    cr_assert_eq(t.r, 0, "%s", t.error);
    cr_assert_str_eq(m.text, "Subject: a||b|.|MAIL FROM:<x>|.|end|");
    cr_assert_eq(m.mails, 1);
}

static void expect_refused(struct mail_script m, const char *reply)
{
    struct mail_test t = {0};
    send_to(&m, &t);
    cr_assert_eq(t.r, SMTP_REFUSED, "%s: %s", reply, t.error);
    cr_assert_str_eq(t.reply_text, reply);
}

Test(client_smtp, permanent_no_at_any_step__is_refused_with_the_reply)
{
    expect_refused((struct mail_script){.from = "550 not you"}, "550 not you");
    expect_refused((struct mail_script){.to = "550 5.1.1 no such user"}, "550 5.1.1 no such user");
    expect_refused((struct mail_script){.data = "554 no"}, "554 no");
    expect_refused((struct mail_script){.end = "552 too big"}, "552 too big");
}

static void expect_unavailable(struct mail_script m, const char *note)
{
    struct mail_test t = {0};
    send_to(&m, &t);
    cr_assert_eq(t.r, ERR_UNAVAILABLE, "%s: %s", note, t.error);
    cr_assert(strstr(t.error, note), "%s", t.error);
    cr_assert_null(t.reply);
}

Test(client_smtp, passing_no_at_any_step__was_surely_not_taken)
{
    expect_unavailable((struct mail_script){.from = "451 later"}, "451 later");
    expect_unavailable((struct mail_script){.to = "450 busy"}, "450 busy");
    expect_unavailable((struct mail_script){.data = "421 going down"}, "421 going down");
    expect_unavailable((struct mail_script){.end = "452 full"}, "452 full");
}

Test(client_smtp, server_that_greets_with_no__is_not_the_mails_fault)
{
    expect_unavailable((struct mail_script){.greeting = "554 no service"}, "554 no service");
    expect_unavailable((struct mail_script){.greeting = "421 too many"}, "421 too many");
}

Test(client_smtp, nobody_listens__is_unavailable)
{
    struct mail_test t = {0};
    snprintf(t.url, sizeof(t.url), "smtp://127.0.0.1:%d", fake_closed_port());
    send_it(&t);
    cr_assert_eq(t.r, ERR_UNAVAILABLE);
}

Test(client_smtp, other_protocols__are_refused)
{
    struct fake_server *server = fake_server_new(mail_server, &(struct mail_script){0});
    struct mail_test t = {0};
    snprintf(t.url, sizeof(t.url), "http://127.0.0.1:%d", server->port);
    send_it(&t);
    cr_assert_eq(t.r, ERR_UNAVAILABLE);
    cr_assert_eq(server->connections, 0);
    fake_server_free(server);
}

Test(client_smtp, text_sent_but_no_reply__is_unknown)
{
    struct mail_script m = {.at_end = AT_END_CLOSE};
    struct mail_test t = {0};
    send_to(&m, &t);
    cr_assert_eq(t.r, ERR_UNKNOWN, "%s", t.error);

    m = (struct mail_script){.at_end = AT_END_FREEZE};
    t = (struct mail_test){.timeout_us = 100 * MS};
    send_to(&m, &t);
    cr_assert_eq(t.r, ERR_TIMEOUT, "%s", t.error);
}

Test(client_smtp, server_frozen_before_the_text__was_surely_not_taken)
{
    struct mail_test t = {.timeout_us = 100 * MS};
    struct fake_server *server = fake_server_new(fake_wait_closed, NULL);
    snprintf(t.url, sizeof(t.url), "smtp://127.0.0.1:%d", server->port);
    send_it(&t);
    cr_assert_eq(t.r, ERR_UNAVAILABLE, "%s", t.error);
    fake_server_free(server);
}

/* --- connections that are kept --- */

struct kept_script {
    enum {
        KEPT_WELL,
        KEPT_CLOSED_BETWEEN,
        KEPT_CLOSED_AT_FROM,
        KEPT_SAYS_421,
        KEPT_SAYS_451,
        KEPT_FROZEN,
        KEPT_CLOSED_IN_TEXT,
    } second; /* what becomes of the first connection's second mail */
    bool freezes_at_quit;
    atomic_uint mails, quits;
};

static bool serve_second(struct fake_conn *c, const struct kept_script *k, const char *line)
{
    if (strncmp(line, "MAIL", 4) == 0 && k->second == KEPT_SAYS_421)
        return fake_write(c, "421 bye\r\n"), false;
    if (strncmp(line, "MAIL", 4) == 0 && k->second == KEPT_SAYS_451)
        return fake_write(c, "451 later\r\n"), true;
    if (k->second == KEPT_FROZEN)
        return fake_wait_closed(c), false;
    struct mail_script lost = {
        .at_end = k->second == KEPT_CLOSED_IN_TEXT ? AT_END_CLOSE : AT_END_REPLY};
    return k->second != KEPT_CLOSED_AT_FROM && serve_line(c, &lost, line);
}

static void kept_server(struct fake_conn *c)
{
    struct kept_script *k = c->server->arg;
    struct mail_script mine = {.freezes_at_quit = k->freezes_at_quit};
    char line[FAKE_LINE_SIZE];
    say(c, NULL, "220 fake");
    for (bool on = true; on && fake_read_line(c, line);) {
        unsigned before = mine.mails;
        if (strcmp(line, "QUIT") == 0)
            atomic_fetch_add(&k->quits, 1);
        bool odd = c->number == 1 && mine.mails == 1 && k->second != KEPT_WELL;
        on = odd ? serve_second(c, k, line) : serve_line(c, &mine, line);
        atomic_fetch_add(&k->mails, mine.mails - before);
        if (mine.mails == 1 && before == 0 && c->number == 1 && k->second == KEPT_CLOSED_BETWEEN)
            on = false;
    }
}

enum { SOME_MAILS = 101 };
struct mails_test {
    struct http_client *client;
    struct fake_server *server;
    unsigned count, ended; /* ended: connections to wait for after the mails */
    int64_t timeout_us, longest_us;
    int r[SOME_MAILS];
};

static void some_fiber(void *arg)
{
    struct mails_test *t = arg;
    struct smtp_mail mail = {"a@example.com", "b@example.com", SPAN("Subject: a\r\n\r\nHi\r\n")};
    int64_t deadline = clock_mono_us() + 20000 * MS;
    const char *reply;
    char url[64];
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%d", t->server->port);
    for (unsigned i = 0; i < t->count; i++) {
        t->r[i] = smtp_send(t->client, url, &mail, t->timeout_us, &reply);
        error_clear();
    }
    while (atomic_load(&t->server->ended) < t->ended && clock_mono_us() < deadline)
        fiber_sleep(20 * MS);
}

/* Until the connection has ended: the longest that a sleep of 5 ms took. */
static void ticker(void *arg)
{
    struct mails_test *t = arg;
    while (atomic_load(&t->server->ended) < t->ended) {
        int64_t start = clock_mono_us();
        fiber_sleep(5 * MS);
        if (clock_mono_us() - start > t->longest_us)
            t->longest_us = clock_mono_us() - start;
    }
}

static void send_some(struct kept_script *k, struct mails_test *t)
{
    struct loop *loop = loop_new();
    t->server = fake_server_new(kept_server, k);
    t->client = http_client_new(loop);
    if (!t->timeout_us)
        t->timeout_us = 10000 * MS;
    cr_assert_eq(fiber_spawn(loop, "mails", some_fiber, t, NULL), 0);
    loop_run(loop, true);
    http_client_free(t->client);
    loop_free(loop);
}

Test(client_smtp, mails_one_after_the_other__share_a_connection)
{
    struct kept_script k = {0};
    struct mails_test t = {.count = 3};
    send_some(&k, &t);
    for (unsigned i = 0; i < t.count; i++)
        cr_assert_eq(t.r[i], 0);
    cr_assert_eq(t.server->connections, 1);
    fake_server_free(t.server); /* waits for its threads, which count */
    cr_assert_eq(k.mails, 3);
    cr_assert_eq(k.quits, 1, "the end of the client is polite");
}

Test(client_smtp, connection_that_has_served_long__is_replaced)
{
    struct kept_script k = {0};
    struct mails_test t = {.count = SOME_MAILS};
    send_some(&k, &t);
    cr_assert_eq(t.server->connections, 2);
    fake_server_free(t.server);
    cr_assert_eq(k.mails, SOME_MAILS);
}

static void expect_sent_again(int second, const char *what)
{
    struct kept_script k = {.second = second};
    struct mails_test t = {.count = 3};
    send_some(&k, &t);
    for (unsigned i = 0; i < t.count; i++)
        cr_assert_eq(t.r[i], 0, "%s: mail %u", what, i);
    cr_assert_eq(t.server->connections, 2, "%s", what);
    fake_server_free(t.server);
    cr_assert_eq(k.mails, 3, "%s", what);
}

Test(client_smtp, kept_connection_that_ended__is_no_mails_failure)
{
    expect_sent_again(KEPT_CLOSED_BETWEEN, "closed between two mails");
    expect_sent_again(KEPT_CLOSED_AT_FROM, "closed at MAIL");
    expect_sent_again(KEPT_SAYS_421, "421");
}

static void expect_not_again(int second, int r)
{
    struct kept_script k = {.second = second};
    struct mails_test t = {.count = 3, .timeout_us = second == KEPT_FROZEN ? 500 * MS : 0};
    send_some(&k, &t);
    cr_assert_eq(t.r[1], r, "%d", second);
    cr_assert_eq(t.r[2], 0, "%d: the next one goes over a new connection", second);
    cr_assert_eq(t.server->connections, 2);
    fake_server_free(t.server);
    cr_assert_eq(k.mails, 2, "%d: once is enough", second);
}

Test(client_smtp, kept_connection_with_another_failure__is_not_tried_again)
{
    expect_not_again(KEPT_SAYS_451, ERR_UNAVAILABLE);
    expect_not_again(KEPT_FROZEN, ERR_UNAVAILABLE);
    expect_not_again(KEPT_CLOSED_IN_TEXT, ERR_UNKNOWN);
}

/* curl waits for QUIT's reply in a blocking loop, if it is let. */
Test(client_smtp, idle_connection_to_a_frozen_server__ends_without_stopping_the_loop)
{
    struct kept_script k = {.freezes_at_quit = true};
    struct fake_server *server = fake_server_new(kept_server, &k);
    struct loop *loop = loop_new();
    struct mails_test t = {.client = http_client_new(loop),
        .server = server,
        .count = 1,
        .ended = 1,
        .timeout_us = 10000 * MS};
    int64_t start = clock_mono_us();
    fiber_spawn(loop, "mails", some_fiber, &t, NULL);
    fiber_spawn(loop, "ticker", ticker, &t, NULL);
    loop_run(loop, true);
    cr_assert_eq(t.r[0], 0);
    cr_assert_eq(server->ended, 1, "it was closed while the client lived");
    cr_assert_eq(k.quits, 1);
    cr_assert_lt(t.longest_us, 1000 * MS);
    cr_assert_lt(clock_mono_us() - start, 15000 * MS);
    http_client_free(t.client);
    loop_free(loop);
    fake_server_free(server);
}

Test(client_smtp, addresses_that_carry_commands__are_refused)
{
    static const char *const bad[] = {
        "", "a@b\r\nRCPT TO:<c@d>", "a@b>", "<a@b>", "a b@c", "a@b\n", "a@b\x7f"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct mail_test from = {.url = "smtp://127.0.0.1:1", .mail.from = bad[i]};
        struct mail_test to = {.url = "smtp://127.0.0.1:1", .mail.to = bad[i]};
        send_it(&from);
        send_it(&to);
        cr_assert_eq(from.r, ERR_INVALID, "%zu", i);
        cr_assert_eq(to.r, ERR_INVALID, "%zu", i);
    }
}

enum { MAILS = 100 };
struct many {
    struct http_client *client;
    const char *url;
    unsigned sent;
};

static void many_fiber(void *arg)
{
    struct many *many = arg;
    struct smtp_mail mail = {"a@example.com", "b@example.com", SPAN("Subject: a\r\n\r\n")};
    const char *reply;
    many->sent += smtp_send(many->client, many->url, &mail, 20000 * MS, &reply) == 0;
}

static void count_mail(struct fake_conn *c)
{
    struct mail_script mine = {0};
    char line[FAKE_LINE_SIZE];
    say(c, NULL, "220 fake");
    while (fake_read_line(c, line) && serve_line(c, &mine, line))
        ;
    atomic_fetch_add(&c->server->requests, mine.mails);
}

Test(client_smtp, many_mails_at_once__all_arrive)
{
    struct fake_server *server = fake_server_new(count_mail, NULL);
    char url[64];
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%d", server->port);
    struct loop *loop = loop_new();
    struct many many = {.client = http_client_new(loop), .url = url};
    for (unsigned i = 0; i < MAILS; i++)
        cr_assert_eq(fiber_spawn(loop, "mail", many_fiber, &many, NULL), 0);
    loop_run(loop, true);
    cr_assert_eq(many.sent, MAILS);
    http_client_free(many.client);
    loop_free(loop);
    fake_server_free(server);
}
