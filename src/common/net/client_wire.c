#include "common/net/client_wire.h"

#include <assert.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "common/fiber/sync.h"
#include "common/net/client_curl.h"
#include "common/net/client_plain.h"

/* How a call runs, unless client_plain.c does it.
 *
 * The fiber prepares the slot's easy handle, adds it to the multi handle and parks on the slot's
 * latch. From then on everything happens on the loop: curl asks for sockets to be watched
 * (on_socket) and for one timer (on_timer); when one fires, curl.multi_socket_action() runs curl's
 * state machine, which calls back with head lines and body bytes; client_wire_drain() then takes
 * finished handles out and sets their latches. No fiber ever runs inside a curl callback, so a
 * fiber that gives up (deadline, cancel) may take its handle out at once; curl then closes that
 * connection.
 *
 * Was it sent? curl calls on_request() after the connection stands and before the first byte of a
 * request goes out. As long as it was not called, the peer surely has not seen the call. On a kept
 * connection that turns out to be closed with no byte answered, curl would by itself send the same
 * request again on a fresh one, whatever its method (lib/transfer.c, Curl_retry_request, seen in
 * 7.88.1), even though the peer may have acted on it before it died. on_request() sees that second
 * time and refuses it unless the call is idempotent. Such a race is rare, because curl looks at a
 * kept socket before using it again and drops those idle for KEEP_IDLE_S.
 *
 * What a call costs: the easy handle, its options and its buffers stay; per call only URL, method,
 * body and the header list are set, and the list's nodes live in the fiber's arena. */

/* Of libcurl, which client_curl.c opens. */
#define FUNCTIONS(F)                                                                               \
    F(easy_cleanup)                                                                                \
    F(easy_getinfo)                                                                                \
    F(easy_init)                                                                                   \
    F(easy_setopt)                                                                                 \
    F(easy_strerror)                                                                               \
    F(multi_add_handle)                                                                            \
    F(multi_assign)                                                                                \
    F(multi_cleanup)                                                                               \
    F(multi_info_read) F(multi_init) F(multi_remove_handle) F(multi_setopt) F(multi_socket_action)
#define MEMBER(name) __typeof__(&curl_##name) name;
#define SYMBOL(name) {"curl_" #name, (void **)&curl.name},
static struct {
    FUNCTIONS(MEMBER)
} curl;
static const struct client_curl_symbol symbols[] = {FUNCTIONS(SYMBOL)};

enum {
    KEEP_CONNECTIONS = 1024,
    KEEP_IDLE_S = 15,
    HEADERS_OUT_LIMIT = 64,
};

struct client_wire {
    struct loop *loop;
    CURLM *multi; /* made for the first call that is not plain */
    struct event_base *base;
    struct event timer;
    unsigned slots;
};

/* A socket that curl has asked us to watch. */
struct watch {
    struct client_wire *wire;
    struct event event;
};

struct client_wire_slot {
    struct client_wire *wire;
    struct client_plain *plain; /* does it without curl; all below is unused then */
    CURL *easy;                 /* made for its first call */
    char *base_url;
    int64_t connect_timeout_us;
    struct latch latch;
    CURLcode code; /* once the latch is set */
    /* the running attempt */
    struct arena *arena;
    struct http_headers *headers;
    struct buf body;
    bool idempotent, sent, refused_resend, head_done, too_much;
    char error[CURL_ERROR_SIZE];
};

/* A setopt can only fail on a wrong option or without memory: both are the end. */
#define SET(easy, option, value)                                                                   \
    do {                                                                                           \
        CURLcode set_r_ = curl.easy_setopt((easy), (option), (value));                             \
        assert(set_r_ == CURLE_OK);                                                                \
        (void)set_r_;                                                                              \
    } while (0)

/* --- the multi handle on the loop --- */

static void client_wire_drain(struct client_wire *w)
{
    int left;
    for (CURLMsg *m; (m = curl.multi_info_read(w->multi, &left));) {
        assert(m->msg == CURLMSG_DONE);
        CURL *easy = m->easy_handle;
        CURLcode code = m->data.result; /* `m` dies with the removal */
        struct client_wire_slot *s = NULL;
        curl.easy_getinfo(easy, CURLINFO_PRIVATE, &s);
        curl.multi_remove_handle(w->multi, easy);
        s->code = code;
        latch_set(&s->latch, 0);
    }
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    struct client_wire *w = watch->wire; /* curl may drop the watch meanwhile */
    int flags = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    curl.multi_socket_action(w->multi, fd, flags, &running);
    client_wire_drain(w);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct client_wire *w = arg;
    int running;
    curl.multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client_wire_drain(w);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    (void)easy;
    struct client_wire *w = user;
    struct watch *watch = socket_user;
    if (watch)
        event_del(&watch->event);
    if (what == CURL_POLL_REMOVE) {
        mem_free(watch);
        return 0;
    }
    if (!watch) {
        watch = MEM_NEW(struct watch);
        watch->wire = w;
        curl.multi_assign(w->multi, fd, watch);
    }
    int events =
        EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);
    event_assign(&watch->event, w->base, fd, (short)events, on_ready, watch);
    return event_add(&watch->event, NULL);
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    (void)multi;
    struct client_wire *w = user;
    if (timeout_ms < 0)
        return event_del(&w->timer);
    if (timeout_ms == 0) { /* in this turn of the loop, together with what else was added */
        event_active(&w->timer, EV_TIMEOUT, 0);
        return 0;
    }
    struct timeval after = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    return event_add(&w->timer, &after);
}

bool client_wire_check(char *ret_why, size_t why_size)
{
    return client_curl_open(symbols, ARRAY_SIZE(symbols), ret_why, why_size);
}

static bool multi_open(struct client_wire *w, char *ret_why, size_t why_size)
{
    if (w->multi)
        return true;
    if (!client_wire_check(ret_why, why_size))
        return false;
    w->multi = curl.multi_init();
    assert(w->multi);
    curl.multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl.multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
    curl.multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl.multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
    curl.multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)KEEP_CONNECTIONS);
    curl.multi_setopt(w->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return true;
}

struct client_wire *client_wire_new(struct loop *l)
{
    struct client_wire *w = MEM_NEW(struct client_wire);
    w->loop = l;
    w->base = loop_base(l);
    event_assign(&w->timer, w->base, -1, 0, on_timeout, w);
    return w;
}

void client_wire_free(struct client_wire *w)
{
    if (!w)
        return;
    assert(w->slots == 0);
    if (w->multi)
        curl.multi_cleanup(w->multi);
    event_del(&w->timer);
    mem_free(w);
}

/* --- what curl hands us of an answer --- */

static int on_request(void *user, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    (void)peer_ip, (void)own_ip, (void)peer_port, (void)own_port;
    struct client_wire_slot *s = user;
    if (s->sent && !s->idempotent) {
        s->refused_resend = true;
        return CURL_PREREQFUNC_ABORT;
    }
    s->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* One line of the head at a time. An interim reply (1xx) is a head of its own: the next status
 * line begins anew. Trailers come here too, after the head is done, and are ignored. */
static size_t on_head_line(char *bytes, size_t size, size_t count, void *user)
{
    struct client_wire_slot *s = user;
    size_t len = size * count;
    struct span line = span_make(bytes, len);
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (span_starts(line, SPAN("HTTP/"))) {
        s->headers->count = 0;
        s->head_done = false;
        return len;
    }
    if (line.len == 0)
        s->head_done = true;
    const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    if (s->head_done || !colon)
        return len;
    if (s->headers->count == HTTP_HEADERS_LIMIT) {
        s->too_much = true;
        return 0;
    }
    const char *kept = arena_strndup(s->arena, line.ptr, line.len);
    size_t name_len = (size_t)(colon - line.ptr);
    http_header_add(s->headers, span_make(kept, name_len),
        span_trim(span_make(kept + name_len + 1, line.len - name_len - 1)));
    return len;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct client_wire_slot *s = user;
    size_t len = size * count;
    if (len > WIRE_BODY_LIMIT - s->body.len) {
        s->too_much = true;
        return 0;
    }
    buf_put(&s->body, bytes, len);
    return len;
}

/* --- slots --- */

static void slot_set_callbacks(struct client_wire_slot *s)
{
    SET(s->easy, CURLOPT_PRIVATE, s);
    SET(s->easy, CURLOPT_ERRORBUFFER, s->error);
    SET(s->easy, CURLOPT_PREREQFUNCTION, on_request);
    SET(s->easy, CURLOPT_PREREQDATA, s);
    SET(s->easy, CURLOPT_HEADERFUNCTION, on_head_line);
    SET(s->easy, CURLOPT_HEADERDATA, s);
    SET(s->easy, CURLOPT_WRITEFUNCTION, on_body);
    SET(s->easy, CURLOPT_WRITEDATA, s);
}

struct client_wire_slot *client_wire_slot_new(
    struct client_wire *w, const char *base_url, int64_t connect_timeout_us)
{
    struct client_wire_slot *s = MEM_NEW(struct client_wire_slot);
    s->wire = w;
    w->slots++;
    if (client_plain_fits(base_url)) {
        s->plain = client_plain_new(w->loop, base_url, connect_timeout_us);
        return s;
    }
    s->base_url = mem_strdup(base_url);
    s->connect_timeout_us = connect_timeout_us;
    return s;
}

static bool slot_open(struct client_wire_slot *s, char *ret_why, size_t why_size)
{
    if (s->easy)
        return true;
    if (!multi_open(s->wire, ret_why, why_size))
        return false;
    s->easy = curl.easy_init();
    assert(s->easy);
    slot_set_callbacks(s);
    SET(s->easy, CURLOPT_NOSIGNAL, 1L);
    SET(s->easy, CURLOPT_QUICK_EXIT, 1L); /* a removal does not wait for the resolver's thread */
    SET(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(s->easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(s->easy, CURLOPT_PROXY, ""); /* nor one from the environment */
    SET(s->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(s->easy, CURLOPT_PATH_AS_IS, 1L);
    SET(s->easy, CURLOPT_BUFFERSIZE, 16L * 1024);
    SET(s->easy, CURLOPT_TCP_NODELAY, 1L);
    SET(s->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)((s->connect_timeout_us + 999) / USEC_PER_MS));
    SET(s->easy, CURLOPT_MAXAGE_CONN, (long)KEEP_IDLE_S);
    SET(s->easy, CURLOPT_MAXFILESIZE, (long)WIRE_BODY_LIMIT);
    return true;
}

void client_wire_slot_free(struct client_wire_slot *s)
{
    if (!s)
        return;
    s->wire->slots--;
    client_plain_free(s->plain);
    if (s->easy)
        curl.easy_cleanup(s->easy);
    buf_deinit(&s->body);
    mem_free(s->base_url);
    mem_free(s);
}

/* --- one attempt --- */

bool client_header_is_clean(const struct http_header *h)
{
    if (h->name.len == 0)
        return false;
    for (size_t i = 0; i < h->name.len; i++)
        if ((unsigned char)h->name.ptr[i] <= ' ' || h->name.ptr[i] == ':')
            return false;
    return span_text_run(h->value) == h->value.len;
}

static struct curl_slist *list_put(struct arena *a, struct curl_slist *next, char *line)
{
    struct curl_slist *node = ARENA_NEW(a, struct curl_slist);
    *node = (struct curl_slist){.data = line, .next = next};
    return node;
}

/* curl reads the list only while the transfer runs, so its nodes need no malloc each. */
static int slot_make_headers(
    struct arena *a, const struct http_call *call, int64_t left_us, struct curl_slist **ret_list)
{
    static char no_expect[] = "Expect:";
    struct curl_slist *list = list_put(a, NULL, no_expect);
    int64_t left_ms = left_us < USEC_PER_MS ? 1 : left_us / USEC_PER_MS;
    list = list_put(a, list, arena_printf(a, "X-Deadline-Ms: %lld", (long long)left_ms));
    if (call->body.len > 0)
        list = list_put(a, list,
            arena_printf(a, "Content-Type: %s",
                call->content_type ? call->content_type : "application/json"));
    for (size_t i = call->headers_count; i-- > 0;) {
        const struct http_header *h = &call->headers[i];
        if (!client_header_is_clean(h))
            return ERR_INVALID;
        const char *between = h->value.len ? ": " : ";"; /* curl's way to say "empty" */
        list = list_put(
            a, list, arena_printf(a, "%.*s%s%.*s", SPAN_ARG(h->name), between, SPAN_ARG(h->value)));
    }
    *ret_list = list;
    return 0;
}

static void slot_set_method(CURL *easy, const struct http_call *call)
{
    bool has_body = call->body.len > 0 || call->method == HTTP_POST || call->method == HTTP_PUT ||
                    call->method == HTTP_PATCH;
    if (call->method == HTTP_HEAD) {
        SET(easy, CURLOPT_NOBODY, 1L);
    } else if (has_body) {
        SET(easy, CURLOPT_POST, 1L);
        SET(easy, CURLOPT_POSTFIELDS, call->body.len ? call->body.ptr : "");
        SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    } else {
        SET(easy, CURLOPT_HTTPGET, 1L);
    }
    bool is_implied =
        call->method == HTTP_HEAD || call->method == (has_body ? HTTP_POST : HTTP_GET);
    SET(easy, CURLOPT_CUSTOMREQUEST, is_implied ? NULL : http_method_name(call->method));
}

static int slot_prepare(struct client_wire_slot *s, const struct http_call *call, int64_t left_us)
{
    struct curl_slist *list = NULL;
    s->arena = fiber_arena();
    int r = slot_make_headers(s->arena, call, left_us, &list);
    if (r < 0)
        return r;
    SET(s->easy, CURLOPT_URL, arena_printf(s->arena, "%s%s", s->base_url, call->path));
    SET(s->easy, CURLOPT_HTTPHEADER, list);
    slot_set_method(s->easy, call);
    s->latch = LATCH_INIT;
    s->code = CURLE_OK;
    s->idempotent = call->idempotent;
    s->sent = s->refused_resend = s->head_done = s->too_much = false;
    s->error[0] = '\0';
    buf_reset(&s->body);
    return 0;
}

static void slot_explain(
    const struct client_wire_slot *s, const char *text, struct client_wire_outcome *o)
{
    if (s->too_much)
        text = "answer too large";
    else if (s->refused_resend)
        text = "connection closed before the answer";
    else if (!text)
        text = s->error[0] ? s->error : curl.easy_strerror(s->code);
    snprintf(o->detail, WIRE_DETAIL_SIZE, "%s", text);
}

/* The handle is out of the multi handle now; what does it hold? */
static int slot_result(struct client_wire_slot *s, int waited, struct http_answer *answer,
    struct client_wire_outcome *outcome)
{
    outcome->sent = s->sent;
    if (!s->latch.is_set) {
        slot_explain(s, waited == ERR_CANCELED ? "cancelled" : "no answer in time", outcome);
        if (waited == ERR_TIMEOUT && !s->sent)
            return ERR_UNAVAILABLE;
        return waited;
    }
    long status = 0;
    curl.easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (s->code == CURLE_OK && s->head_done && status >= 200) {
        answer->status = (int)status;
        char *body = arena_alloc(s->arena, s->body.len + 1);
        memcpy(body, buf_span(&s->body).ptr, s->body.len);
        answer->body = span_make(body, s->body.len);
        return 0;
    }
    slot_explain(s, s->code == CURLE_OK ? "answer cut short" : NULL, outcome);
    if (s->code == CURLE_URL_MALFORMAT)
        return ERR_INVALID;
    return s->sent ? ERR_UNKNOWN : ERR_UNAVAILABLE;
}

int client_wire_run(struct client_wire_slot *s, const struct http_call *call, int64_t deadline_us,
    struct http_answer *ret_answer, struct client_wire_outcome *ret_outcome)
{
    struct http_answer answer;
    *ret_outcome = (struct client_wire_outcome){0};
    if (s->plain)
        return client_plain_run(s->plain, call, deadline_us, ret_answer, ret_outcome);
    if (!slot_open(s, ret_outcome->detail, sizeof(ret_outcome->detail)))
        return ERR_UNAVAILABLE;
    answer.headers.count = 0;
    if (fiber_deadline() < deadline_us)
        deadline_us = fiber_deadline();
    int r = slot_prepare(s, call, deadline_us - clock_mono_us());
    if (r < 0)
        return r;
    s->headers = &answer.headers;
    CURLMcode added = curl.multi_add_handle(s->wire->multi, s->easy);
    assert(added == CURLM_OK);
    (void)added;
    r = latch_wait(&s->latch, "http", deadline_us, NULL);
    if (!s->latch.is_set)
        curl.multi_remove_handle(s->wire->multi, s->easy);
    r = slot_result(s, r, &answer, ret_outcome);
    s->headers = NULL;
    if (s->body.cap > 64 * 1024)
        buf_deinit(&s->body);
    if (r == 0)
        *ret_answer = answer;
    return r;
}
