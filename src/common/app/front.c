/* The front: the first thing that looks at a whole request, and for many in an overload the last.
 * No body was parsed, no token looked at, no fiber started, so a refusal costs some microseconds,
 * however busy everything behind it is. What it decides by:
 *
 *  - a token bucket for each client's address, so that one who sends without end is told to wait
 *    (429) while others are served. It is this process's own, in slots that addresses share by a
 *    hash nobody outside can know. Clients on this machine are not counted: operators, tests, and a
 *    gateway that does not name its clients.
 *  - how much is in flight, and the class of the route: admission.c (503). */

#include "common/app/front.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "common/app/dispatch.h"
#include "common/app/metrics.h"
#include "common/app/processes.h"
#include "common/app/work.h"
#include "common/base/bucket.h"
#include "common/base/crypto.h"
#include "common/base/mem.h"

#define SLOTS       4096 /* a power of two */
#define LOG_REST_US (10 * USEC_PER_SEC)

static struct admission admission;
static struct admission_pace *paces; /* of the service's routes */
static struct bucket clients[SLOTS];
static int64_t client_burst, client_per_minute;
static uint64_t client_seed, limited;
static int64_t logged_us;

static const struct {
    const char *detail;
    int64_t retry_after_s;
} manners[ADMISSION_CLASSES] = {
    [ADMIT_BROWSE] = {"The shop is full. Look again in a few seconds.", 3},
    [ADMIT_CART] = {"The shop is full. Try again in a moment.", 2},
    [ADMIT_LOGIN] = {"The shop is full. Try again in a moment.", 2},
    [ADMIT_CHECKOUT] = {"The tills are full. Nothing was bought; send the same request, with the "
                        "same Idempotency-Key, in a moment.",
        1},
};

/* ---- metrics ---- */

static struct metric requests_total = {.name = "souk_admission_requests_total",
    .help = "Requests by class: admitted, shed for want of room, limited by client.",
    .labels = "class,verdict"};
static struct metric limit_gauge = {.name = "souk_admission_limit",
    .help = "Requests that may be in flight, as it stands now.",
    .kind = METRIC_GAUGE};
static struct metric in_flight_gauge = {.name = "souk_admission_in_flight",
    .help = "Requests that were admitted and are not answered.",
    .kind = METRIC_GAUGE};
static struct metric overloaded_gauge = {.name = "souk_admission_overloaded",
    .help = "1 while each class has its share of the limit only.",
    .kind = METRIC_GAUGE};

static void set_gauges(void *ctx)
{
    for (int c = 0; c < ADMISSION_CLASSES; c++) {
        const char *name = admission_class_name((enum admission_class)c);
        metric_set(&requests_total, (double)admission.admitted[c], name, "admitted");
        metric_set(&requests_total, (double)admission.shed[c], name, "shed");
    }
    metric_set(&requests_total, (double)limited, "any", "limited");
    metric_set(&limit_gauge, (double)(unsigned)admission.limit);
    metric_set(&in_flight_gauge, admission.in_flight);
    metric_set(&overloaded_gauge, admission.overloaded);
}

void front_init(void)
{
    admission_init(&admission, (unsigned)config_i64("ADMISSION_LIMIT_MIN"),
        (unsigned)processes_share(
            config_i64("ADMISSION_LIMIT_MAX"), config_i64("ADMISSION_LIMIT_MIN")),
        clock_mono_us());
    paces = mem_array(app()->service->routes_count + 1, sizeof(*paces));
    client_burst = config_i64("CLIENT_BURST");
    client_per_minute = config_i64("CLIENT_PER_MINUTE");
    crypto_random(&client_seed, sizeof(client_seed));
    metrics_on_scrape(set_gauges, NULL);
}

/* ---- which route, which class ---- */

static bool is_builtin(const struct route *r)
{
    return r >= builtin_routes && r < builtin_routes + builtin_routes_count;
}

enum admission_class front_class(const struct route *r)
{
    if (!r)
        return ADMIT_BROWSE; /* 404, 405, OPTIONS */
    switch (r->class) {
    case CLASS_BROWSE:
        return ADMIT_BROWSE;
    case CLASS_CART:
        return ADMIT_CART;
    case CLASS_LOGIN:
        return ADMIT_LOGIN;
    case CLASS_CHECKOUT:
        return ADMIT_CHECKOUT;
    case CLASS_VITAL:
        return ADMIT_VITAL;
    case CLASS_USUAL:
        break;
    }
    if (is_builtin(r) || strncmp(r->path, "/internal/", 10) == 0)
        return ADMIT_VITAL;
    return r->method == HTTP_GET ? ADMIT_BROWSE : ADMIT_CART;
}

const void *front_route(void *ctx, enum http_method m, struct span path, int64_t *ret_body_limit)
{
    const struct route *r = dispatch_route(m, path);
    if (r && r->body_limit)
        *ret_body_limit = r->body_limit;
    return r;
}

static struct admission_pace *pace_of(const struct route *r)
{
    const struct service *s = app()->service;
    return r && r >= s->routes && r < s->routes + s->routes_count ? &paces[r - s->routes] : NULL;
}

/* ---- clients ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * UINT64_C(0x7fb5d329728ea185);
    x = (x ^ (x >> 27)) * UINT64_C(0x81dadef4bc2dd44d);
    return x ^ (x >> 33);
}

/* A number for the client's address, a /64 for IPv6; false: it is on this machine. */
static bool client_number(struct span address, uint64_t *ret_number)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    uint64_t number = 0;
    if (address.len >= sizeof(text))
        return *ret_number = 0, true; /* no address: all such are one client */
    memcpy(text, address.ptr, address.len);
    text[address.len] = 0;
    if (inet_pton(AF_INET, text, bytes) == 1) {
        memcpy(&number, bytes, 4);
        return *ret_number = number, bytes[0] != 127;
    }
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return *ret_number = 0, true;
    memcpy(&number, bytes, sizeof(number));
    static const uint8_t here[16] = {[15] = 1}, mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        number = 0;
        memcpy(&number, bytes + 12, 4);
        return *ret_number = number, bytes[12] != 127;
    }
    return *ret_number = number, memcmp(bytes, here, sizeof(here)) != 0;
}

/* 0: go on; else after how many milliseconds. */
static int64_t client_take(const struct http_knock *knock)
{
    uint64_t number;
    if (client_per_minute == 0 || !client_number(knock->client_address, &number))
        return 0;
    struct bucket *b = &clients[mix(number ^ client_seed) & (SLOTS - 1)];
    return bucket_take(b, client_burst, client_per_minute, knock->now_us);
}

/* ---- refusing ---- */

static void refusal_begin(const struct http_knock *knock, struct http_refusal *refusal)
{
    struct span correlation = http_header_get(knock->headers, "X-Correlation-ID");
    if (correlation_valid(correlation) && correlation.len < sizeof(refusal->correlation_id))
        memcpy(refusal->correlation_id, correlation.ptr, correlation.len);
    snprintf(refusal->lines, sizeof(refusal->lines),
        "Access-Control-Expose-Headers: RateLimit, RateLimit-Policy, Retry-After, "
        "X-Correlation-ID\r\n");
}

static void refusal_name(struct http_refusal *refusal, int outcome)
{
    const struct outcome_row *row = outcome_find(outcome);
    refusal->status = row->status;
    refusal->code = row->code;
    refusal->title = row->title;
}

static void refuse_client(int64_t retry_ms, struct http_refusal *refusal)
{
    size_t n = strlen(refusal->lines);
    int64_t window_s = (client_burst * 60 + client_per_minute - 1) / client_per_minute;
    limited++;
    refusal_name(refusal, OUTCOME_TOO_MANY_REQUESTS);
    refusal->detail = "This address asks too often";
    refusal->retry_after_s = (retry_ms + 999) / 1000;
    snprintf(refusal->lines + n, sizeof(refusal->lines) - n,
        "RateLimit-Policy: \"requests\";q=%lld;w=%lld\r\n"
        "RateLimit: \"requests\";r=0;t=%lld\r\n",
        (long long)client_burst, (long long)window_s, (long long)window_s);
}

static void refuse_class(enum admission_class c, int64_t now_us, struct http_refusal *refusal)
{
    refusal_name(refusal, OUTCOME_OVERLOADED);
    refusal->detail = manners[c].detail;
    refusal->retry_after_s = manners[c].retry_after_s;
    if (logged_us && now_us - logged_us < LOG_REST_US)
        return;
    logged_us = now_us;
    log_warn("too many requests: some are refused", LF_TEXT("class", admission_class_name(c)),
        LF_I64("inFlight", admission.in_flight), LF_I64("limit", admission.limit));
}

/* ---- the hooks ---- */

bool front_admit(void *ctx, const struct http_knock *knock, struct http_refusal *ret_refusal)
{
    enum admission_class c = front_class(knock->route);
    int64_t retry_ms = c == ADMIT_VITAL ? 0 : client_take(knock);
    if (retry_ms == 0 && admission_enter(&admission, c, knock->now_us))
        return true;
    refusal_begin(knock, ret_refusal);
    if (retry_ms)
        refuse_client(retry_ms, ret_refusal);
    else
        refuse_class(c, knock->now_us, ret_refusal);
    return false;
}

void front_leave(void *ctx, const void *route, int64_t took_us, int status)
{
    bool usual = status >= 200 && status < 300; /* what fails is quicker, or slower */
    admission_leave(
        &admission, front_class(route), usual ? pace_of(route) : NULL, took_us, clock_mono_us());
}

/* ---- what services tell each other ---- */

void front_told(struct span value)
{
    int64_t percent;
    if (value.ptr && span_to_i64(value, &percent) && percent > 0 && percent <= 1000)
        admission_told(&admission, (unsigned)percent, clock_mono_us());
}

const char *front_tells(void)
{
    unsigned percent = admission_pressure(&admission);
    return percent ? arena_printf(fiber_arena(), "%u", percent) : NULL;
}
