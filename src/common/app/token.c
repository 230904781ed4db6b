/* Token verification. libjwt 1.10 trusts the algorithm that the token itself names and checks no
 * claim, so the order here is: size, shape, our own reading of the header (alg, typ, kid pinned),
 * the key by kid from our own table, then libjwt's signature check, then every claim by us. A
 * verified token is remembered by its tag (crypto.h) until it expires: the signature check costs
 * hundreds of microseconds and a shopper sends the same token many times. To be taken for it,
 * another text would need the same 128 bits under a key that never leaves this process.
 *
 * Keys come from auth's JWKS, fetched again when an unknown kid appears, at most once in
 * KEYS_REFRESH_US, by one fiber while the others wait for it; and by token_keys_refresh() every few
 * seconds, so that the next key is known long before it signs, and one that leaked and was dropped
 * stops counting, together with the remembered tokens that it signed. */

#include "common/app/token.h"

#include <assert.h>
#include <errno.h>
#include <jwt.h>

#include "common/app/peer.h"
#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/base/uuid.h"
#include "common/fiber/sync.h"

#include <uthash.h>

#define KEYS_REFRESH_US  USEC_PER_SEC
#define KEYS_PATIENCE_US (2 * USEC_PER_SEC)
#define SIGNATURE_LIMIT  1024 /* bytes: RSA-8192 */
#define CACHE_LIMIT      20000

#define KID_SIZE 64

struct verification_key {
    char kid[KID_SIZE];
    char *pem;
};

struct cached_token {
    uint8_t tag[CRYPTO_TAG_SIZE];
    char kid[KID_SIZE];
    const char *audience;
    int64_t not_before_s, expires_s;
    struct arena *arena;
    struct caller caller;
    UT_hash_handle hh;
};

static struct verification_key keys[TOKEN_KEYS_LIMIT];
static size_t keys_count;
static bool keys_are_own; /* registered, not fetched: there is nobody to ask for more */
static int64_t keys_fetched_us;
static uint8_t keys_digest[SHA256_SIZE]; /* of the answer that the keys are from; 0: none */
static struct latch *keys_fetching;
static struct cached_token *cache;
static const char *issuer;

static const struct {
    const char *name;
    unsigned role;
} role_names[] = {
    {"user", ROLE_USER}, {"seller", ROLE_SELLER}, {"admin", ROLE_ADMIN}, {"service", ROLE_SERVICE}};

unsigned role_from_name(struct span name)
{
    for (size_t i = 0; i < ARRAY_SIZE(role_names); i++)
        if (span_equal(name, span_of(role_names[i].name)))
            return role_names[i].role;
    return 0;
}

const char *role_name(unsigned role)
{
    for (size_t i = 0; i < ARRAY_SIZE(role_names); i++)
        if (role_names[i].role == role)
            return role_names[i].name;
    return "";
}

/* ---- keys ---- */

static const char *key_find(const char *kid)
{
    for (size_t i = 0; i < keys_count; i++)
        if (strcmp(keys[i].kid, kid) == 0)
            return keys[i].pem;
    return NULL;
}

static void cached_free(struct cached_token *t)
{
    HASH_DEL(cache, t);
    arena_free(t->arena);
    mem_free(t);
}

static void cache_drop_signed_by(const char *kid)
{
    struct cached_token *t, *next;
    HASH_ITER (hh, cache, t, next)
        if (strcmp(t->kid, kid) == 0)
            cached_free(t);
}

/* A signer's key may have gone: its tokens go with it. */
static void keys_swap(const struct token_key *fresh, size_t count)
{
    struct verification_key old[TOKEN_KEYS_LIMIT];
    size_t old_count = keys_count;
    memcpy(old, keys, sizeof(old));
    memset(keys, 0, sizeof(keys));
    for (keys_count = 0; keys_count < count; keys_count++) {
        snprintf(keys[keys_count].kid, KID_SIZE, "%s", fresh[keys_count].kid);
        keys[keys_count].pem = mem_strdup(fresh[keys_count].public_pem);
    }
    for (size_t i = 0; i < old_count; i++) {
        const char *now = key_find(old[i].kid);
        if (!now || strcmp(now, old[i].pem) != 0)
            cache_drop_signed_by(old[i].kid);
        mem_free(old[i].pem);
    }
}

void token_keys_replace(const struct token_key *fresh, size_t count)
{
    assert(count <= TOKEN_KEYS_LIMIT);
    keys_are_own = count > 0;
    keys_fetched_us = 0;
    memset(keys_digest, 0, sizeof(keys_digest));
    keys_swap(fresh, count);
}

void token_issuer_set(const char *url)
{
    issuer = url;
}

struct jwk {
    const char *kid, *kty, *alg, *n, *e;
};
static const struct field jwk_fields[] = {
    FIELD_TEXT(struct jwk, kid, "kid", .required = true, .max = 63),
    FIELD_TEXT(struct jwk, kty, "kty", .required = true),
    FIELD_TEXT(struct jwk, alg, "alg"),
    FIELD_TEXT(struct jwk, n, "n", .required = true),
    FIELD_TEXT(struct jwk, e, "e", .required = true),
};
static const struct table jwk_table = TABLE("Jwk", struct jwk, jwk_fields);
struct jwks {
    struct list keys;
};
static const struct field jwks_fields[] = {
    FIELD_LIST(struct jwks, keys, "keys", jwk_table, .required = true, .max = TOKEN_KEYS_LIMIT),
};
static const struct table jwks_table = TABLE("Jwks", struct jwks, jwks_fields);

static void keys_take(struct list set)
{
    struct token_key fresh[TOKEN_KEYS_LIMIT];
    char *pems[TOKEN_KEYS_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < set.len; i++) {
        const struct jwk *k = LIST_AT(set, struct jwk, i);
        if (strcmp(k->kty, "RSA") != 0 || (k->alg && strcmp(k->alg, "RS256") != 0) ||
            token_key_from_jwk(span_of(k->n), span_of(k->e), &pems[count]) != 0)
            continue;
        fresh[count] = (struct token_key){k->kid, pems[count]};
        count++;
    }
    keys_swap(fresh, count);
    while (count > 0)
        mem_free(pems[--count]);
}

static int keys_fetch_now(void)
{
    struct http_answer answer;
    struct jwks set;
    struct json_errors errors;
    uint8_t digest[SHA256_SIZE];
    const struct http_call call = {
        .method = HTTP_GET, .path = "/.well-known/jwks.json", .idempotent = true};
    TRY(http_call(peer_get("auth"), &call, &answer));
    if (answer.status != 200)
        return ERR(ERR_PROTOCOL);
    crypto_sha256(answer.body, digest);
    if (memcmp(digest, keys_digest, sizeof(digest)) != 0) { /* every few seconds the same ones */
        if (json_read(fiber_arena(), answer.body, &jwks_table, JSON_LENIENT, &set, &errors) != 0)
            return ERR(ERR_PROTOCOL);
        keys_take(set.keys);
        memcpy(keys_digest, digest, sizeof(digest));
    }
    keys_fetched_us = clock_mono_us();
    return 0;
}

/* Single flight: one fiber asks, the others wait for its result, so its own client's leaving must
 * not end the call. */
static int keys_fetch(void)
{
    int result = 0;
    if (keys_fetching) {
        TRY(latch_wait(keys_fetching, "signing keys", USEC_NEVER, &result));
        return result;
    }
    struct latch done = LATCH_INIT;
    keys_fetching = &done;
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + KEYS_PATIENCE_US);
    result = keys_fetch_now();
    fiber_shield_end(shield);
    keys_fetching = NULL;
    latch_set(&done, result);
    return result;
}

int token_keys_refresh(void)
{
    return keys_are_own ? 0 : keys_fetch();
}

/* Anybody can make up a kid. */
static int keys_fetch_for_unknown(void)
{
    bool just_now = keys_fetched_us && clock_mono_us() - keys_fetched_us < KEYS_REFRESH_US;
    return just_now ? 0 : token_keys_refresh();
}

/* ---- the header, read by us: these members and no other, so nothing in it (jku, jwk, crit, b64)
 * can ask for anything ---- */

struct token_header {
    const char *alg, *typ, *kid;
};
static const struct field header_fields[] = {
    FIELD_TEXT(struct token_header, alg, "alg", .required = true, .max = 16),
    FIELD_TEXT(struct token_header, typ, "typ", .required = true, .max = 16),
    FIELD_TEXT(struct token_header, kid, "kid", .required = true, .min = 1, .max = 63),
};
static const struct table header_table = TABLE("TokenHeader", struct token_header, header_fields);

struct token_payload {
    const char *iss, *aud, *sub, *email, *name, *sid;
    struct list roles;
    int64_t exp, nbf, iat;
};
static const struct field payload_fields[] = {
    FIELD_TEXT(struct token_payload, iss, "iss", .required = true),
    FIELD_TEXT(struct token_payload, aud, "aud", .required = true),
    FIELD_TEXT(struct token_payload, sub, "sub", .required = true),
    FIELD_TEXT(struct token_payload, email, "email"),
    FIELD_TEXT(struct token_payload, name, "name"),
    FIELD_TEXT(struct token_payload, sid, "sid"),
    FIELD_TEXTS(struct token_payload, roles, "roles", .required = true, .max = 8),
    FIELD_I64(struct token_payload, exp, "exp", .required = true),
    FIELD_I64(struct token_payload, nbf, "nbf", .required = true),
    FIELD_I64(struct token_payload, iat, "iat", .required = true),
};
static const struct table payload_table =
    TABLE("TokenPayload", struct token_payload, payload_fields);

/* Decodes one base64url part of the token and reads it by a table. */
static bool part_read(
    struct arena *a, struct span part, const struct table *t, enum json_mode mode, void *ret_value)
{
    uint8_t *bytes = arena_alloc(a, part.len + 4);
    ssize_t n = crypto_base64url_decode(part, bytes, part.len + 4);
    struct json_errors errors;
    return n > 0 && json_read(a, span_make(bytes, (size_t)n), t, mode, ret_value, &errors) == 0;
}

/* libjwt's own base64 passes over what it does not know: without the strict look first, one
 * signature would have any number of spellings, each a new entry of the cache. */
static bool signature_valid(
    struct arena *a, struct span token, struct span signature, const char *pem)
{
    uint8_t bytes[SIGNATURE_LIMIT];
    jwt_t *jwt = NULL;
    if (crypto_base64url_decode(signature, bytes, sizeof(bytes)) <= 0)
        return false;
    const char *text = arena_strndup(a, token.ptr, token.len);
    if (jwt_decode(&jwt, text, (const unsigned char *)pem, (int)strlen(pem)) != 0)
        return false;
    bool pinned = jwt_get_alg(jwt) == JWT_ALG_RS256;
    jwt_free(jwt);
    return pinned;
}

static bool audience_fits(const char *audience, const char *service_name)
{
    return strcmp(audience, TOKEN_AUDIENCE_USER) == 0 ||
           (service_name && strcmp(audience, service_name) == 0);
}

static bool claims_valid(const struct token_payload *p, const char *service_name, int64_t now_s)
{
    return strcmp(p->iss, issuer) == 0 && audience_fits(p->aud, service_name) &&
           p->exp > now_s - TOKEN_SKEW_S && p->nbf <= now_s + TOKEN_SKEW_S &&
           p->iat <= now_s + TOKEN_SKEW_S && p->exp > p->nbf;
}

static int reject(const char *why)
{
    log_debug("token refused", LF_TEXT("why", why));
    return OUTCOME_UNAUTHENTICATED;
}

static int verify_fresh(struct arena *a, struct span token, const char *service_name,
    const char **ret_kid, struct token_payload *ret_payload)
{
    struct span rest = token, part[3];
    struct token_header header;
    for (size_t i = 0; i < 3; i++)
        if (!span_cut(&rest, '.', &part[i]) || part[i].len == 0)
            return reject("not three parts");
    if (rest.ptr)
        return reject("more than three parts");
    if (!part_read(a, part[0], &header_table, JSON_STRICT, &header))
        return reject("unreadable header");
    if (strcmp(header.alg, "RS256") != 0 || strcmp(header.typ, TOKEN_TYPE) != 0)
        return reject("algorithm or type not allowed");
    const char *pem = key_find(header.kid);
    if (!pem) {
        TRY(keys_fetch_for_unknown());
        pem = key_find(header.kid);
    }
    if (!pem)
        return reject("unknown key");
    if (!signature_valid(a, token, part[2], pem))
        return reject("bad signature");
    if (!part_read(a, part[1], &payload_table, JSON_LENIENT, ret_payload))
        return reject("unreadable claims");
    if (!claims_valid(ret_payload, service_name, clock_wall_us() / USEC_PER_SEC))
        return reject("claims out of bounds");
    *ret_kid = header.kid;
    return 0;
}

static struct caller caller_from(struct arena *a, const struct token_payload *p, struct span token)
{
    struct caller c = {.email = arena_strdup(a, p->email),
        .name = arena_strdup(a, p->name),
        .session_id = arena_strdup(a, p->sid),
        .expires_s = p->exp,
        .token = token};
    for (size_t i = 0; i < p->roles.len; i++)
        c.roles |= role_from_name(span_of(*LIST_AT(p->roles, const char *, i)));
    bool is_service = strcmp(p->aud, TOKEN_AUDIENCE_USER) != 0;
    /* A service token carries the service role and nothing else; a user token never carries it. */
    c.roles = is_service ? (c.roles & ROLE_SERVICE) : (c.roles & ~(unsigned)ROLE_SERVICE);
    if (is_service)
        c.service = arena_strdup(a, p->sub);
    else
        c.user_id = arena_strdup(a, p->sub);
    return c;
}

/* ---- cache ---- */

void token_cache_clear(void)
{
    struct cached_token *t, *next;
    HASH_ITER (hh, cache, t, next)
        cached_free(t);
}

static void cache_put(
    const uint8_t tag[CRYPTO_TAG_SIZE], const char *kid, const struct token_payload *p)
{
    struct cached_token *t, *next;
    if (HASH_COUNT(cache) >= CACHE_LIMIT) {
        /* Insertion order is age: drop the oldest tenth. */
        unsigned n = CACHE_LIMIT / 10;
        HASH_ITER (hh, cache, t, next) {
            cached_free(t);
            if (--n == 0)
                break;
        }
    }
    t = MEM_NEW(struct cached_token);
    t->arena = arena_new_small();
    t->caller = caller_from(t->arena, p, (struct span){0});
    snprintf(t->kid, sizeof(t->kid), "%s", kid);
    t->audience = arena_strdup(t->arena, p->aud);
    t->expires_s = p->exp;
    t->not_before_s = p->nbf;
    memcpy(t->tag, tag, CRYPTO_TAG_SIZE);
    HASH_ADD(hh, cache, tag, CRYPTO_TAG_SIZE, t);
}

static struct cached_token *cache_get(const uint8_t tag[CRYPTO_TAG_SIZE], int64_t now_s)
{
    struct cached_token *t = NULL;
    HASH_FIND(hh, cache, tag, CRYPTO_TAG_SIZE, t);
    if (t && (t->expires_s <= now_s - TOKEN_SKEW_S || t->not_before_s > now_s + TOKEN_SKEW_S)) {
        cached_free(t);
        return NULL;
    }
    return t;
}

static struct caller caller_copy(struct arena *a, const struct caller *from, struct span token)
{
    struct caller c = *from;
    c.user_id = arena_strdup(a, from->user_id);
    c.email = arena_strdup(a, from->email);
    c.name = arena_strdup(a, from->name);
    c.session_id = arena_strdup(a, from->session_id);
    c.service = arena_strdup(a, from->service);
    c.token = token;
    return c;
}

int token_verify(
    struct arena *a, struct span token, const char *service_name, struct caller *ret_caller)
{
    uint8_t tag[CRYPTO_TAG_SIZE];
    if (token.len == 0 || token.len > TOKEN_SIZE_LIMIT)
        return reject("size");
    crypto_tag(token, tag);
    struct cached_token *known = cache_get(tag, clock_wall_us() / USEC_PER_SEC);
    if (known && !audience_fits(known->audience, service_name))
        return reject("audience");
    if (known) {
        *ret_caller = caller_copy(a, &known->caller, token);
        return 0;
    }
    struct token_payload payload;
    const char *kid;
    TRY(verify_fresh(a, token, service_name, &kid, &payload));
    if (!cache_get(tag, clock_wall_us() / USEC_PER_SEC)) /* another fiber may have been first */
        cache_put(tag, kid, &payload);
    *ret_caller = caller_from(a, &payload, token);
    return 0;
}

/* ---- signing ---- */

static int grants_add(jwt_t *jwt, const struct token_claims *c)
{
    struct buf roles = {0};
    struct json_writer w = json_writer_on(&roles);
    json_array_begin(&w);
    for (size_t i = 0; i < ARRAY_SIZE(role_names); i++)
        if (c->roles & role_names[i].role)
            json_text(&w, role_names[i].name);
    json_array_end(&w);
    char text[256], id[UUID_TEXT_SIZE];
    snprintf(text, sizeof(text), "{\"roles\":%s}", roles.ptr);
    buf_deinit(&roles);
    uuid_make(id);
    int bad =
        jwt_add_grant(jwt, "iss", issuer) || jwt_add_grant(jwt, "sub", c->subject) ||
        jwt_add_grant(jwt, "aud", c->audience) || jwt_add_grant(jwt, "jti", id) ||
        jwt_add_grant_int(jwt, "iat", c->issued_s) || jwt_add_grant_int(jwt, "nbf", c->issued_s) ||
        jwt_add_grant_int(jwt, "exp", c->issued_s + c->lifetime_s) ||
        jwt_add_grants_json(jwt, text) || (c->email && jwt_add_grant(jwt, "email", c->email)) ||
        (c->name && jwt_add_grant(jwt, "name", c->name)) ||
        (c->session_id && jwt_add_grant(jwt, "sid", c->session_id));
    return bad ? -EINVAL : 0;
}

int token_sign(struct arena *a, const struct token_claims *claims, const char *kid,
    const char *private_pem, const char **ret_token)
{
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt) != 0)
        return ERR(-ENOMEM);
    char *text = NULL;
    int r = grants_add(jwt, claims);
    if (r == 0 &&
        (jwt_set_alg(jwt, JWT_ALG_RS256, (const unsigned char *)private_pem,
             (int)strlen(private_pem)) != 0 ||
            jwt_add_header(jwt, "kid", kid) != 0 || jwt_add_header(jwt, "typ", TOKEN_TYPE) != 0))
        r = -EINVAL;
    if (r == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    if (!text)
        return ERR(-EINVAL);
    *ret_token = arena_strdup(a, text);
    mem_free(text); /* libjwt allocates with malloc unless told otherwise */
    return 0;
}
