/* What a door says: libevhtp's replies, which come out of the pair and get their status line here,
 * and refusals of its own, which never reach libevhtp.
 *
 * A reply is written straight to the socket; only what the kernel does not take goes through the
 * bufferevent's output. One system call a reply instead of three.
 *
 * After the last one our side is closed and the door lingers: closing the socket while the client
 * still sends would reset the connection, and he would not read why he was refused. */

#include "common/net/server_door.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base/uuid.h"
#include "common/json/problem.h"

#define LINGER_US USEC_PER_SEC

/* ---- writing --------------------------------------------------------------------------------- */

bool door_write(struct door *d, struct evbuffer *bytes)
{
    if (evbuffer_get_length(bufferevent_get_output(d->socket)) == 0) {
        while (evbuffer_get_length(bytes) > 0) {
            int n = evbuffer_write(bytes, bufferevent_getfd(d->socket));
            if (n < 0 && EVUTIL_SOCKET_ERROR() == EINTR)
                continue;
            if (n < 0 && EVUTIL_SOCKET_ERROR() != EAGAIN)
                return false;
            if (n <= 0)
                break;
        }
    }
    if (evbuffer_get_length(bytes) > 0)
        bufferevent_write_buffer(d->socket, bytes);
    return true;
}

void door_linger(struct door *d)
{
    struct evbuffer *input = bufferevent_get_input(d->socket);

    if (d->client_done || shutdown(bufferevent_getfd(d->socket), SHUT_WR) != 0) {
        door_doom(d);
        return;
    }
    evbuffer_drain(input, evbuffer_get_length(input));
    bufferevent_setwatermark(d->socket, EV_READ, 0, HELD_LIMIT);
    door_enter(d, LINGER, LINGER_US);
}

void door_flushed(struct door *d)
{
    if (d->closing) {
        door_linger(d);
        return;
    }
    d->judged = 0;
    d->begun = false;
    door_enter(d, READ_HEAD, d->server->config.idle_timeout_us);
    if (evbuffer_get_length(bufferevent_get_input(d->socket)) > 0 && !d->engine_busy)
        door_wake(d); /* not at once: a row of refusals would pile up on the stack */
}

static void send_and_flush(struct door *d, struct evbuffer *bytes)
{
    if (!door_write(d, bytes)) {
        door_doom(d);
        return;
    }
    if (evbuffer_get_length(bufferevent_get_output(d->socket)) > 0)
        door_enter(d, FLUSH, d->server->config.write_timeout_us);
    else
        door_flushed(d);
}

static const char *reason_phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 207:
        return "Multi-Status";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    default:
        return status >= 400 ? problem_status_title(status) : "";
    }
}

bool door_closes(const struct door *d)
{
    return d->closing || d->client_done || d->server->draining || !d->exchange->head.keep_alive;
}

void door_forward(struct door *d, int status)
{
    struct evbuffer *reply = bufferevent_get_input(d->inner);
    struct buf *line = &d->server->scratch;
    size_t eol_len;

    struct evbuffer_ptr eol = evbuffer_search_eol(reply, NULL, &eol_len, EVBUFFER_EOL_CRLF_STRICT);
    assert(eol.pos > 0 && "the pair hands a reply over at once");
    evbuffer_drain(reply, (size_t)eol.pos);
    buf_reset(line);
    buf_put_text(line, "HTTP/1.1 ");
    buf_put_i64(line, status);
    buf_put_char(line, ' ');
    buf_put_text(line, reason_phrase(status));
    evbuffer_prepend(reply, line->ptr, line->len);

    d->closing = door_closes(d);
    struct exchange *x = d->exchange;
    d->exchange = NULL;
    x->door = NULL;
    x->request = NULL;
    send_and_flush(d, reply);
    exchange_unref(x);
}

/* ---- refusing -------------------------------------------------------------------------------- */

void door_problem(
    struct http_server *s, int status, const char *detail, char *correlation_id, struct buf *out)
{
    uuid_make(correlation_id);
    problem_write(out, &(struct problem){
                           .status = status,
                           .code = problem_status_code(status),
                           .title = problem_status_title(status),
                           .detail = detail,
                           .correlation_id = correlation_id,
                       });
    if (s->config.on_refused)
        s->config.on_refused(s->config.ctx, status);
}

/* `lines` are more header lines, each with its CRLF. A page of another origin may read it, as it
 * may read any other answer: for a page, what it may not read is a broken network. */
static void problem_send(struct door *d, int status, const char *correlation_id,
    int64_t retry_after_s, const char *lines, const struct buf *body)
{
    struct evbuffer *bytes = evbuffer_new();

    evbuffer_add_printf(bytes,
        "HTTP/1.1 %d %s\r\n"
        "Content-Type: " PROBLEM_CONTENT_TYPE "\r\n"
        "Content-Length: %zu\r\n"
        "Date: %s\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "X-Correlation-ID: %s\r\n"
        "Cache-Control: no-store\r\n"
        "Access-Control-Allow-Origin: *\r\n"
        "%s%s",
        status, reason_phrase(status), body->len, http_server_date(d->server), correlation_id,
        d->closing ? "Connection: close\r\n" : "", lines);
    if (retry_after_s > 0)
        evbuffer_add_printf(bytes, "Retry-After: %lld\r\n", (long long)retry_after_s);
    evbuffer_add(bytes, "\r\n", 2);
    if (d->method != HTTP_HEAD)
        evbuffer_add(bytes, body->ptr, body->len);
    send_and_flush(d, bytes);
    evbuffer_free(bytes);
}

void door_refuse(struct door *d, int status, const char *detail)
{
    char correlation_id[UUID_TEXT_SIZE];
    struct buf body = {0};

    door_problem(d->server, status, detail, correlation_id, &body);
    d->closing = true;
    problem_send(d, status, correlation_id, status == 503,
        "Access-Control-Expose-Headers: Retry-After, X-Correlation-ID\r\n", &body);
    buf_deinit(&body);
}

void door_decline(struct door *d, struct http_refusal *refusal)
{
    struct exchange *x = d->exchange;
    struct buf body = {0};

    if (!*refusal->correlation_id)
        uuid_make(refusal->correlation_id);
    problem_write(&body, &(struct problem){
                             .status = refusal->status,
                             .code = refusal->code,
                             .title = refusal->title,
                             .detail = refusal->detail,
                             .correlation_id = refusal->correlation_id,
                         });
    d->closing = door_closes(d) || !x->head.http11;
    d->exchange = NULL;
    exchange_unref(x);
    problem_send(
        d, refusal->status, refusal->correlation_id, refusal->retry_after_s, refusal->lines, &body);
    buf_deinit(&body);
}
