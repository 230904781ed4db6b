/* One row a key. It is claimed by its own commit before the handler runs (status NULL), completed
 * in the handler's transaction (reply_stored) or right after it, and deleted when the answer must
 * not be kept (5xx, validation). A claim whose process died is taken over after 60 s; the effects
 * behind it are idempotent by their own keys, so a second run finds what the first one did.
 *
 * A claim is known by its moment (claimed_at): whoever was slower than the take-over can neither
 * overwrite nor free what is another's by then. */

#include "common/app/idempotency.h"

#include "common/app/periodic.h"
#include "common/app/route.h"
#include "common/app/service.h"
#include "common/base/crypto.h"

struct kept_answer {
    const char *fingerprint;
    int64_t status; /* 0: running */
    const char *content_type, *location, *etag, *body;
};
static const struct field kept_answer_fields[] = {
    FIELD_TEXT(struct kept_answer, fingerprint, "fingerprint"),
    FIELD_I64(struct kept_answer, status, "status"),
    FIELD_TEXT(struct kept_answer, content_type, "contentType"),
    FIELD_TEXT(struct kept_answer, location, "location"),
    FIELD_TEXT(struct kept_answer, etag, "etag"),
    FIELD_TEXT(struct kept_answer, body, "body"),
};
static const struct table kept_answer_table =
    TABLE("KeptAnswer", struct kept_answer, kept_answer_fields);

struct claim {
    const char *moment;
};
static const struct field claim_fields[] = {FIELD_TEXT(struct claim, moment, "moment")};
static const struct table claim_table = TABLE("IdempotencyClaim", struct claim, claim_fields);

enum { SQL_CLAIM, SQL_GET, SQL_STORE, SQL_RELEASE, SQL_PURGE };

const struct pg_statement idempotency_statements[] = {
    [SQL_CLAIM] = {"idempotency_claim",
        "INSERT INTO idempotency_keys AS k (caller, route, key, fingerprint, claimed_at) "
        "VALUES ($1, $2, $3, $4, clock_timestamp()) "
        "ON CONFLICT (caller, route, key) DO UPDATE SET claimed_at = excluded.claimed_at, "
        "created_at = now(), fingerprint = $4, status = NULL, content_type = NULL, "
        "location = NULL, etag = NULL, body = NULL "
        "WHERE (k.status IS NULL AND k.fingerprint = $4 "
        "AND k.claimed_at < now() - interval '60 s') "
        "OR k.created_at < now() - interval '24 h' "
        "RETURNING claimed_at::text",
        &claim_table},
    [SQL_GET] = {"idempotency_get",
        "SELECT fingerprint, coalesce(status, 0), content_type, location, etag, body "
        "FROM idempotency_keys WHERE caller = $1 AND route = $2 AND key = $3",
        &kept_answer_table},
    [SQL_STORE] = {"idempotency_store",
        "UPDATE idempotency_keys SET status = $5, content_type = $6, location = $7, etag = $8, "
        "body = $9 "
        "WHERE caller = $1 AND route = $2 AND key = $3 AND claimed_at = $4 AND status IS NULL"},
    [SQL_RELEASE] = {"idempotency_release",
        "DELETE FROM idempotency_keys WHERE caller = $1 AND route = $2 AND key = $3 "
        "AND claimed_at = $4 AND status IS NULL"},
    [SQL_PURGE] = {"idempotency_purge",
        "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency_keys "
        "WHERE created_at < now() - interval '24 h' LIMIT " PURGE_LIMIT_TEXT "))"},
};
const size_t idempotency_statements_count = ARRAY_SIZE(idempotency_statements);

/* Whose key it is. A guest without a token can't be told from others (many share an
 * address), must never be given another's answer, and so has no keys: NULL. */
static const char *caller_scope(const struct request *req)
{
    if (req->caller.user_id)
        return req->caller.user_id;
    if (req->caller.service)
        return req->caller.service;
    const char *header = req->route->token_header;
    struct span token = header ? request_header(req, header) : (struct span){0};
    if (!token.ptr)
        return NULL;
    char digest[SHA256_HEX_SIZE];
    crypto_sha256_hex(token, digest);
    return arena_printf(req->arena, "guest:%s", digest);
}

static const char *route_scope(const struct request *req)
{
    return arena_printf(
        req->arena, "%s %.*s", http_method_name(req->route->method), SPAN_ARG(req->http->path));
}

int idempotency_read(struct request *req)
{
    struct span key = span_trim(request_header(req, "Idempotency-Key"));
    bool required = req->route->idempotency == IDEMPOTENCY_REQUIRED ||
                    req->route->idempotency == IDEMPOTENCY_OWN;
    if (!key.ptr)
        return required ? refuse(req, OUTCOME_KEY_REQUIRED,
                              "Send an Idempotency-Key header: a retry with the same key is safe")
                        : 0;
    if (key.len >= 2 && key.ptr[0] == '"' && key.ptr[key.len - 1] == '"')
        key = span_make(key.ptr + 1, key.len - 2);
    bool printable = key.len > 0 && key.len <= IDEMPOTENCY_KEY_LIMIT;
    for (size_t i = 0; printable && i < key.len; i++)
        printable = key.ptr[i] > ' ' && key.ptr[i] < 0x7f;
    if (!printable)
        return refuse(req, OUTCOME_MALFORMED,
            "Idempotency-Key must be 1 to %d visible ASCII characters", IDEMPOTENCY_KEY_LIMIT);
    char digest[SHA256_HEX_SIZE];
    bool asked = req->route->body || req->route->raw_body; /* otherwise {} says as much as none */
    struct span body = asked ? req->http->body : (struct span){0};
    const char *what = arena_printf(
        req->arena, "%s?%.*s\n%.*s", route_scope(req), SPAN_ARG(req->http->query), SPAN_ARG(body));
    crypto_sha256_hex(span_of(what), digest);
    req->idempotency_key = arena_strndup(req->arena, key.ptr, key.len);
    req->fingerprint = arena_strdup(req->arena, digest);
    return 0;
}

static int replay(struct request *req, const struct kept_answer *kept)
{
    if (strcmp(kept->fingerprint, req->fingerprint) != 0)
        return refuse(req, OUTCOME_KEY_REUSED, "The first request with this key had another body");
    if (kept->status == 0) {
        refuse_retry_after(req, 1);
        return refuse(
            req, OUTCOME_KEY_IN_USE, "Ask again in a second; the answer will be the same");
    }
    reply_header(req, "Idempotent-Replayed", "true");
    if (kept->location)
        reply_header(req, "Location", kept->location);
    if (kept->etag)
        reply_header(req, "ETag", kept->etag);
    reply_text(req, (int)kept->status, kept->content_type, span_of(kept->body));
    return IDEMPOTENCY_REPLAYED;
}

int idempotency_claim(struct request *req)
{
    struct pg_result result;
    const char *caller = caller_scope(req), *route = route_scope(req);
    if (!caller)
        return 0;
    TRY(pg_query(app()->pg, &idempotency_statements[SQL_CLAIM],
        PG_ARGS(PG_TEXT(caller), PG_TEXT(route), PG_TEXT(req->idempotency_key),
            PG_TEXT(req->fingerprint)),
        &result));
    if (result.rows.len == 1)
        return req->key_claim = PG_ROW(result, struct claim, 0)->moment, 0;
    TRY(pg_query(app()->pg, &idempotency_statements[SQL_GET],
        PG_ARGS(PG_TEXT(caller), PG_TEXT(route), PG_TEXT(req->idempotency_key)), &result));
    if (result.rows.len == 0) { /* given free in between: the next try will claim it */
        refuse_retry_after(req, 1);
        return refuse(req, OUTCOME_KEY_IN_USE, "Ask again in a second");
    }
    return replay(req, PG_ROW(result, struct kept_answer, 0));
}

#define CLAIM_ARGS(req)                                                                            \
    PG_TEXT(caller_scope(req)), PG_TEXT(route_scope(req)), PG_TEXT((req)->idempotency_key),        \
        PG_TEXT((req)->key_claim)
#define STORE_ARGS(req)                                                                            \
    PG_ARGS(CLAIM_ARGS(req), PG_I64((req)->response->status),                                      \
        PG_TEXT((req)->response->content_type),                                                    \
        PG_SPAN(http_header_get(&(req)->response->headers, "Location")),                           \
        PG_SPAN(http_header_get(&(req)->response->headers, "ETag")),                               \
        PG_SPAN(buf_span(&(req)->response->body)))

int idempotency_store(struct request *req, struct pg_tx *tx)
{
    if (!req->key_claim)
        return 0;
    req->answer_stored = true;
    TRY(pg_queue(tx, &idempotency_statements[SQL_STORE], STORE_ARGS(req)));
    return 0;
}

void idempotency_finish(struct request *req, bool keep)
{
    if (!req->key_claim || (req->answer_stored && keep))
        return; /* a stored answer that was not committed is no answer: see run_handler */
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + 2 * USEC_PER_SEC);
    int r = keep ? pg_query(app()->pg, &idempotency_statements[SQL_STORE], STORE_ARGS(req), NULL)
                 : pg_query(app()->pg, &idempotency_statements[SQL_RELEASE],
                       PG_ARGS(CLAIM_ARGS(req)), NULL);
    fiber_shield_end(shield);
    if (r != 0) /* the claim runs out by itself */
        log_warn("idempotency key not settled", LF_TEXT("error", error_name(r)));
}

int idempotency_purge(void)
{
    return purge(&idempotency_statements[SQL_PURGE]);
}
