/* Token buckets stand before whatever costs a password's hash, a signature or a mail. `rules` says
 * which ones each kind of request takes from, widest first; a request goes on when each had a
 * token.
 *
 * Nobody must be able to lock an owner out by trying. The bucket of an account from everywhere
 * stops a guess spread over many addresses, so whoever has many addresses can empty it; but clients
 * that were logged in before (known_clients) don't take from it. Each has a bucket of its own,
 * which only somebody with the same address and user agent can empty. Who comes with a new client
 * during an attack can reset the password by mail, which makes that client a known one.
 *
 * Redis keeps the buckets for all processes. While it is away, which costs one short wait, each
 * process counts for itself, in slots that keys share by hash. Who is counted is personal, so keys
 * are digests; an IPv6 client is its /64. */

#include "auth/auth.h"

#define SLOTS       4096 /* a power of two */
#define BUCKETS_MAX 3

enum bucket_kind {
    NO_BUCKET,
    BY_ADDRESS,
    BY_PAIR,    /* the account from that address */
    BY_ACCOUNT, /* the account from everywhere */
    BY_DEVICE,  /* the account from a known client */
    REFRESH_BY_ADDRESS,
    PASSWORD_BY_ACCOUNT,
    MAIL_BY_ADDRESS,
    MAIL_BY_ACCOUNT,
    KINDS,
};

/* `policy` is what the RateLimit fields call it. */
static const struct {
    const char *key, *policy, *burst, *per_minute;
} kinds[KINDS] = {
    [BY_ADDRESS] = {"login:address", "address", "LOGIN_ADDRESS_BURST", "LOGIN_ADDRESS_PER_MINUTE"},
    [BY_PAIR] = {"login:pair", "client", "LOGIN_PAIR_BURST", "LOGIN_PAIR_PER_MINUTE"},
    [BY_ACCOUNT] = {"login:account", "account", "LOGIN_ACCOUNT_BURST", "LOGIN_ACCOUNT_PER_MINUTE"},
    [BY_DEVICE] = {"login:device", "client", "LOGIN_DEVICE_BURST", "LOGIN_DEVICE_PER_MINUTE"},
    [REFRESH_BY_ADDRESS] = {"refresh:address", "refresh", "REFRESH_ADDRESS_BURST",
        "REFRESH_ADDRESS_PER_MINUTE"},
    [PASSWORD_BY_ACCOUNT] = {"password:account", "password", "PASSWORD_BURST",
        "PASSWORD_PER_MINUTE"},
    [MAIL_BY_ADDRESS] = {"mail:address", "address", "MAIL_ADDRESS_BURST",
        "MAIL_ADDRESS_PER_MINUTE"},
    [MAIL_BY_ACCOUNT] = {"mail:account", "account", "MAIL_ACCOUNT_BURST",
        "MAIL_ACCOUNT_PER_MINUTE"},
};

static const struct rule {
    enum bucket_kind takes[BUCKETS_MAX];
    enum bucket_kind known_takes[BUCKETS_MAX]; /* of a known client; empty: the same */
    bool quiet;                                /* the answer shows the first bucket alone */
} rules[] = {
    [THROTTLE_REGISTER] = {{BY_ADDRESS}},
    [THROTTLE_LOGIN] = {{BY_ADDRESS, BY_PAIR, BY_ACCOUNT}, {BY_ADDRESS, BY_DEVICE}},
    [THROTTLE_REFRESH] = {{REFRESH_BY_ADDRESS}},
    [THROTTLE_PASSWORD] = {{BY_ADDRESS, PASSWORD_BY_ACCOUNT}},
    [THROTTLE_LINK] = {{BY_ADDRESS}},
    [THROTTLE_CLIENT] = {{BY_ADDRESS}},
    [THROTTLE_VERIFICATION] = {{MAIL_BY_ADDRESS, MAIL_BY_ACCOUNT}},
    [THROTTLE_RESET] = {{MAIL_BY_ADDRESS, MAIL_BY_ACCOUNT}, .quiet = true},
};

/* ---- one bucket ---- */

struct taking {
    int64_t burst, per_minute;
    int64_t remaining, retry_ms; /* retry_ms > 0: there was none */
};

static struct bucket slots[KINDS][SLOTS];

static void take_local(enum bucket_kind kind, const char *key, struct taking *t)
{
    uint8_t digest[SHA256_SIZE];
    crypto_sha256(span_of(key), digest);
    struct bucket *b = &slots[kind][((size_t)digest[0] << 8 | digest[1]) & (SLOTS - 1)];
    t->retry_ms = bucket_take(b, t->burst, t->per_minute, clock_mono_us());
    t->remaining = bucket_whole(b);
}

static int take(struct request *req, enum bucket_kind kind, const char *who, struct taking *ret)
{
    char digest[SHA256_HEX_SIZE];
    struct taking t = {
        .burst = config_i64(kinds[kind].burst), .per_minute = config_i64(kinds[kind].per_minute)};
    crypto_sha256_hex(span_of(who), digest);
    const char *key = arena_printf(req->arena, "%s:%s", kinds[kind].key, digest);
    int r = redis_take_token(app()->redis, key, t.burst, t.per_minute, &t.remaining, &t.retry_ms);
    if (r == ERR_CANCELED)
        return ERR(r);
    if (r < 0) {
        error_clear();
        take_local(kind, key, &t);
    }
    *ret = t;
    return 0;
}

/* ---- what a request takes ---- */

static const char *bucket_owner(struct request *req, enum bucket_kind kind, const char *account)
{
    const char *network = request_network(req);
    switch (kind) {
    case BY_PAIR:
        return arena_printf(req->arena, "%s %s", network, account);
    case BY_DEVICE:
        return arena_printf(req->arena, "%s %s", request_client(req), account);
    case BY_ACCOUNT:
    case PASSWORD_BY_ACCOUNT:
    case MAIL_BY_ACCOUNT:
        return account;
    case BY_ADDRESS:
    case REFRESH_BY_ADDRESS:
    case MAIL_BY_ADDRESS:
    case NO_BUCKET:
    case KINDS:
        break;
    }
    return network;
}

/* The fields of draft-ietf-httpapi-ratelimit-headers-10: quota and window of each policy, what
 * remains of it, and after how many seconds all of it is there again. */
struct fields {
    const char *policy, *limit;
};

static void fields_add(
    struct request *req, struct fields *f, enum bucket_kind kind, const struct taking *t)
{
    const char *comma = *f->policy ? ", " : "";
    int64_t window_s = (t->burst * 60 + t->per_minute - 1) / t->per_minute;
    int64_t reset_s = ((t->burst - t->remaining) * 60 + t->per_minute - 1) / t->per_minute;
    f->policy = arena_printf(req->arena, "%s%s\"%s\";q=%lld;w=%lld", f->policy, comma,
        kinds[kind].policy, (long long)t->burst, (long long)window_s);
    f->limit = arena_printf(req->arena, "%s%s\"%s\";r=%lld;t=%lld", f->limit, comma,
        kinds[kind].policy, (long long)t->remaining, (long long)reset_s);
}

static int take_all(struct request *req, const struct rule *rule, const enum bucket_kind *takes,
    const char *account, struct fields *f, int64_t *ret_retry_ms)
{
    struct taking t = {0};
    for (size_t i = 0; i < BUCKETS_MAX && takes[i] && t.retry_ms == 0; i++) {
        TRY(take(req, takes[i], bucket_owner(req, takes[i], account), &t));
        if (i == 0 || !rule->quiet)
            fields_add(req, f, takes[i], &t);
    }
    *ret_retry_ms = t.retry_ms;
    return 0;
}

int throttle(struct request *req, enum throttle_rule rule, const char *account)
{
    const struct rule *r = &rules[rule];
    struct fields f = {"", ""};
    int64_t retry_ms;
    bool known = false;
    if (r->known_takes[0])
        TRY(store_client_known(account, request_client(req), &known));
    TRY(take_all(req, r, known ? r->known_takes : r->takes, account, &f, &retry_ms));
    reply_header(req, "RateLimit-Policy", f.policy);
    reply_header(req, "RateLimit", f.limit);
    if (retry_ms == 0)
        return 0;
    if (r->quiet)
        return OUTCOME_TOO_MANY_REQUESTS;
    refuse_retry_after(req, (int)((retry_ms + 999) / 1000));
    return refuse(req, OUTCOME_TOO_MANY_REQUESTS, "Wait a little before the next try");
}
