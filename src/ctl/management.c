#include "ctl/management.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/net/client.h"
#include "ctl/sheet.h"

#define TIME_US (10 * USEC_PER_SEC)

struct management {
    struct http_client *client;
    struct http_peer *peer;
    char *name;
};

/* Without user and password. */
static char *shown_url(const char *url)
{
    struct buf out = {0};
    const char *host = strstr(url, "://"), *at = strrchr(url, '@');
    if (host && at && at > host) {
        buf_put(&out, url, (size_t)(host + 3 - url));
        buf_put_text(&out, at + 1);
    } else {
        buf_put_text(&out, url);
    }
    return out.ptr;
}

int management_new(struct ctl *ctl, struct management **ret_management)
{
    const char *url = getenv("RABBITMQ_MANAGEMENT_URL");
    if (!url || !*url)
        return ctl_fail(CTL_USAGE, "RABBITMQ_MANAGEMENT_URL is not set; ./souk ctl sets it");
    struct management *m = MEM_NEW(struct management);
    m->name = shown_url(url);
    m->client = http_client_new(ctl->loop);
    m->peer = http_peer_new(m->client,
        &(struct http_peer_config){.name = "rabbitmq", .base_url = url, .timeout_us = TIME_US});
    *ret_management = m;
    return 0;
}

void management_free(struct management *m)
{
    if (!m)
        return;
    http_peer_free(m->peer);
    http_client_free(m->client);
    mem_free(m->name);
    mem_free(m);
}

const char *management_name(const struct management *m)
{
    return m->name;
}

static int call(struct management *m, const struct http_call *c, struct span *ret_body)
{
    struct http_answer answer;
    int r = http_call(m->peer, c, &answer);
    if (r != 0)
        return ctl_fail(CTL_UNREACHABLE,
            "the management API of RabbitMQ can't be reached at %s (%s)\n"
            "  ./souk up starts the broker, ./souk status tells; ./souk ctl knows its address",
            m->name, error_name(r));
    if (answer.status == 401 || answer.status == 403)
        return ctl_fail(CTL_UNREACHABLE,
            "the management API at %s refuses this user (RABBITMQ_MANAGEMENT_URL)", m->name);
    bool gone = c->method == HTTP_DELETE && answer.status == 404;
    if ((answer.status < 200 || answer.status > 299) && !gone)
        return ctl_fail(CTL_WRONG, "%s %s: RabbitMQ answers %d: %s", http_method_name(c->method),
            c->path, answer.status, text_harmless(fiber_arena(), answer.body));
    if (ret_body)
        *ret_body = answer.body;
    return 0;
}

int management_get(struct management *m, const char *path, struct span *ret_body)
{
    return call(m, &(struct http_call){.method = HTTP_GET, .path = path}, ret_body);
}

int management_delete(struct management *m, const char *path)
{
    return call(
        m, &(struct http_call){.method = HTTP_DELETE, .path = path, .idempotent = true}, NULL);
}

int management_post(struct management *m, const char *path, struct span body)
{
    return call(m,
        &(struct http_call){.method = HTTP_POST, .path = path, .body = body, .idempotent = true},
        NULL);
}

const char *management_part(struct arena *a, const char *text)
{
    struct buf out = {0};
    http_percent_encode(&out, span_of(text));
    const char *part = arena_strdup(a, out.ptr ? out.ptr : "");
    buf_deinit(&out);
    return part;
}
