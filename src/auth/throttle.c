/* Three token buckets stand before a password check: one for the address, one for the account as
 * seen from that address, one for the account from everywhere. The middle one stops guessing; the
 * last is wide, because whoever can empty it locks the owner out. Mails that somebody asks for have
 * two of their own: one for the address, one for the account that would get them. Redis keeps them
 * for all processes; while it is away each process counts for itself, in slots that keys share by
 * hash. */

#include "auth/auth.h"

#define SLOTS 4096 /* a power of two */

enum { BY_ADDRESS, BY_PAIR, BY_ACCOUNT, MAIL_BY_ADDRESS, MAIL_BY_ACCOUNT, KINDS };

static const struct {
    const char *name, *burst, *per_minute;
} kinds[KINDS] = {
    [BY_ADDRESS] = {"login:address", "LOGIN_ADDRESS_BURST", "LOGIN_ADDRESS_PER_MINUTE"},
    [BY_PAIR] = {"login:pair", "LOGIN_PAIR_BURST", "LOGIN_PAIR_PER_MINUTE"},
    [BY_ACCOUNT] = {"login:account", "LOGIN_ACCOUNT_BURST", "LOGIN_ACCOUNT_PER_MINUTE"},
    [MAIL_BY_ADDRESS] = {"mail:address", "MAIL_ADDRESS_BURST", "MAIL_ADDRESS_PER_MINUTE"},
    [MAIL_BY_ACCOUNT] = {"mail:account", "MAIL_ACCOUNT_BURST", "MAIL_ACCOUNT_PER_MINUTE"},
};

static struct bucket slots[KINDS][SLOTS];

static int64_t take_local(int kind, const char *key, int64_t burst, int64_t per_minute)
{
    uint8_t digest[SHA256_SIZE];
    crypto_sha256(span_of(key), digest);
    size_t slot = ((size_t)digest[0] << 8 | digest[1]) & (SLOTS - 1);
    return bucket_take(&slots[kind][slot], burst, per_minute, clock_mono_us());
}

/* Who is counted is personal, so keys hold digests. 0 or OUTCOME_TOO_MANY_REQUESTS, with how long
 * there is none. */
static int take(struct request *req, int kind, const char *who, int64_t *ret_retry_ms)
{
    char digest[SHA256_HEX_SIZE];
    int64_t burst = config_i64(kinds[kind].burst), per_minute = config_i64(kinds[kind].per_minute);
    int64_t remaining, retry_ms = 0;
    crypto_sha256_hex(span_of(who), digest);
    const char *key = arena_printf(req->arena, "%s:%s", kinds[kind].name, digest);
    int r = redis_take_token(app()->redis, key, burst, per_minute, &remaining, &retry_ms);
    if (r == ERR_CANCELED)
        return ERR(r);
    if (r < 0) {
        error_clear();
        retry_ms = take_local(kind, key, burst, per_minute);
        r = retry_ms > 0 ? REDIS_LIMITED : 0;
    }
    *ret_retry_ms = retry_ms;
    return r == 0 ? 0 : OUTCOME_TOO_MANY_REQUESTS;
}

static int take_or_refuse(struct request *req, int kind, const char *who)
{
    int64_t retry_ms;
    int r = take(req, kind, who, &retry_ms);
    if (r != OUTCOME_TOO_MANY_REQUESTS)
        return r < 0 ? ERR(r) : r;
    refuse_retry_after(req, (int)((retry_ms + 999) / 1000));
    return refuse(req, OUTCOME_TOO_MANY_REQUESTS, "Wait a little before the next try");
}

static const char *client_address(struct request *req)
{
    return arena_strndup(req->arena, req->http->client_address.ptr, req->http->client_address.len);
}

int throttle_login(struct request *req, const char *account)
{
    const char *address = client_address(req);
    TRY(take_or_refuse(req, BY_ADDRESS, address));
    if (!account)
        return 0;
    TRY(take_or_refuse(req, BY_PAIR, arena_printf(req->arena, "%s %s", address, account)));
    return take_or_refuse(req, BY_ACCOUNT, account);
}

int throttle_mail(struct request *req, const char *account)
{
    TRY(take_or_refuse(req, MAIL_BY_ADDRESS, client_address(req)));
    return take_or_refuse(req, MAIL_BY_ACCOUNT, account);
}

int throttle_mail_quietly(struct request *req, const char *account)
{
    int64_t retry_ms;
    TRY(take(req, MAIL_BY_ADDRESS, client_address(req), &retry_ms));
    return take(req, MAIL_BY_ACCOUNT, account, &retry_ms);
}
