#pragma once

/* Access tokens: JWT RS256 (RFC 9068's claims; libjwt 1.10 knows no type but "JWT"). Algorithm and
 * key id are pinned before libjwt decodes; iss, aud, exp, nbf, typ are checked by us; verified
 * tokens are cached by hash until they expire. Keys come from auth's JWKS; auth registers its own.
 */

#include "common/app/request.h"

#define TOKEN_AUDIENCE_USER "souk" /* user tokens; service tokens carry the callee's name */
#define TOKEN_TYPE          "JWT"
#define TOKEN_SIZE_LIMIT    4096
#define TOKEN_SKEW_S        60

/* Users' tokens, and those of services for `service_name` (NULL: for none). 0;
 * OUTCOME_UNAUTHENTICATED (any defect, no reason given to the outside; logged at debug);
 * negative when keys can't be had. Texts live in `a`. */
int token_verify(
    struct arena *a, struct span token, const char *service_name, struct caller *ret_caller) PARKS;

/* Who issues tokens: the `iss` of good ones, and of those that are signed here. `url` must stay. */
void token_issuer_set(const char *url);

#define TOKEN_KEYS_LIMIT 8 /* a key set may have */
/* A verification key: public key as PEM. */
struct token_key {
    const char *kid, *public_pem;
};
/* A process that sets its own keys (auth) asks nobody for others; the rest, and one whose set is
 * made empty, fetch <AUTH_SERVICE_URL>/.well-known/jwks.json at need. Tokens of a key that is not
 * in the set any more are refused from here on. */
void token_keys_replace(const struct token_key *keys, size_t count);
/* Fetches the set now. While auth can't be had the old one stays. */
int token_keys_refresh(void) PARKS;
void token_cache_clear(void);

struct token_claims {
    const char *subject; /* user id or service name */
    const char *audience;
    const char *email, *name, *session_id; /* NULL for services */
    unsigned roles;
    int64_t issued_s, lifetime_s;
};
/* Signs with libjwt (RS256). Burns ~0.3–1 ms of CPU: run it in the offload pool when hot.
 * `private_pem` NUL-terminated. */
int token_sign(struct arena *a, const struct token_claims *claims, const char *kid,
    const char *private_pem, const char **ret_token);

/* RSA keys for JWKS: OpenSSL stays in token_keys.c. */
int token_key_generate(
    char **ret_private_pem, char **ret_public_pem); /* 2048 bit; mem_free() them */
int token_key_public(const char *private_pem, char **ret_public_pem);
int token_key_to_jwk(const char *public_pem, const char *kid, struct buf *out); /* one JWK object */
int token_key_from_jwk(struct span n_base64url, struct span e_base64url, char **ret_public_pem);

/* "user" <-> ROLE_USER; unknown names are 0. */
unsigned role_from_name(struct span name);
const char *role_name(unsigned role);
