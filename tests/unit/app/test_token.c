/* The forger's matrix: every token here but the first is refused. Tokens are put together by hand
 * and signed with the real key where a row is about something else than the signature. */

#include "common/app/token.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"

#define KID "key-1"

static char *private_pem, *public_pem;
static struct arena *arena;
static int64_t now_s;

static void setup(void)
{
    cr_assert_eq(crypto_init(), 0);
    cr_assert_eq(token_key_generate(&private_pem, &public_pem), 0);
    token_issuer_set("souk-auth");
    token_keys_replace(&(struct token_key){KID, public_pem}, 1);
    arena = arena_new();
    now_s = clock_wall_us() / USEC_PER_SEC;
}

static void teardown(void)
{
    token_cache_clear();
    token_keys_replace(NULL, 0);
    arena_free(arena);
    mem_free(private_pem);
    mem_free(public_pem);
}

TestSuite(token, .init = setup, .fini = teardown);

/* ---- forging ---- */

static const char *encoded(struct span bytes)
{
    size_t size = bytes.len * 4 / 3 + 8;
    char *text = arena_alloc(arena, size);
    crypto_base64url(bytes, text, size);
    return text;
}

static struct span rsa_signature(const char *pem, const char *text)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = 1024;
    unsigned char *bytes = arena_alloc(arena, len);
    cr_assert_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    cr_assert_eq(EVP_DigestSign(ctx, bytes, &len, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return span_make(bytes, len);
}

static const char *signing_input(const char *header, const char *payload)
{
    return arena_printf(arena, "%s.%s", encoded(span_of(header)), encoded(span_of(payload)));
}

static const char *rs256(const char *header, const char *payload)
{
    const char *input = signing_input(header, payload);
    return arena_printf(arena, "%s.%s", input, encoded(rsa_signature(private_pem, input)));
}

static const char *hs256(struct span secret, const char *header, const char *payload)
{
    uint8_t mac[SHA256_SIZE];
    const char *input = signing_input(header, payload);
    crypto_hmac_sha256(secret, span_of(input), mac);
    return arena_printf(arena, "%s.%s", input, encoded(span_make(mac, sizeof(mac))));
}

#define HEADER  "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}"
#define USER_ID "01900000-0000-7000-8000-000000000101"

static const char *claims(const char *iss, const char *aud, int64_t iat, int64_t nbf, int64_t exp)
{
    return arena_printf(arena,
        "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"" USER_ID "\",\"sid\":\"s\",\"email\":\"a@b.cd\","
        "\"name\":\"A\",\"roles\":[\"user\"],\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld}",
        iss, aud, (long long)iat, (long long)nbf, (long long)exp);
}

static const char *good_claims(void)
{
    return claims("souk-auth", "souk", now_s, now_s, now_s + 600);
}

static int verify(const char *token)
{
    struct caller caller = {0};
    return token_verify(arena, span_of(token), "order", &caller);
}

#define assert_refused(token) cr_assert_eq(verify(token), OUTCOME_UNAUTHENTICATED)

/* ---- what is good ---- */

Test(token, verify__a_hand_made_good_token__is_accepted_and_read)
{
    struct caller caller = {0};
    const char *token = rs256(HEADER, good_claims());
    for (int i = 0; i < 2; i++) { /* the second time from the cache */
        cr_assert_eq(token_verify(arena, span_of(token), "order", &caller), 0);
        cr_assert_str_eq(caller.user_id, USER_ID);
        cr_assert_str_eq(caller.email, "a@b.cd");
        cr_assert_str_eq(caller.name, "A");
        cr_assert_str_eq(caller.session_id, "s");
        cr_assert_null(caller.service);
        cr_assert_eq(caller.roles, ROLE_USER);
        cr_assert_eq(caller.expires_s, now_s + 600);
        cr_assert_eq(caller.token.ptr, token);
    }
}

Test(token, sign__then_verify__gives_the_claims_back)
{
    struct caller caller = {0};
    const char *token;
    const struct token_claims c = {.subject = USER_ID,
        .audience = TOKEN_AUDIENCE_USER,
        .email = "a@b.cd",
        .name = "\"quoted\" \xc3\xa9",
        .session_id = "s",
        .roles = ROLE_USER | ROLE_SELLER,
        .issued_s = now_s,
        .lifetime_s = 60};
    cr_assert_eq(token_sign(arena, &c, KID, private_pem, &token), 0);
    cr_assert_eq(token_verify(arena, span_of(token), "order", &caller), 0);
    cr_assert_str_eq(caller.user_id, USER_ID);
    cr_assert_str_eq(caller.name, c.name);
    cr_assert_eq(caller.roles, ROLE_USER | ROLE_SELLER);
    cr_assert_eq(caller.expires_s, now_s + 60);
}

Test(token, sign__for_a_service__is_good_at_that_service_only)
{
    struct caller caller = {0};
    const char *token;
    const struct token_claims c = {.subject = "cart",
        .audience = "payment",
        .roles = ROLE_SERVICE,
        .issued_s = now_s,
        .lifetime_s = 300};
    cr_assert_eq(token_sign(arena, &c, KID, private_pem, &token), 0);
    cr_assert_eq(token_verify(arena, span_of(token), "order", &caller), OUTCOME_UNAUTHENTICATED);
    cr_assert_eq(token_verify(arena, span_of(token), "payment", &caller), 0);
    cr_assert_str_eq(caller.service, "cart");
    cr_assert_null(caller.user_id);
    cr_assert_eq(caller.roles, ROLE_SERVICE);
}

Test(token, verify__roles_of_the_other_kind__are_not_taken_over)
{
    struct caller caller = {0};
    long long t = now_s;
    char text[512];
    snprintf(text, sizeof(text),
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"sub\":\"" USER_ID
        "\",\"roles\":[\"admin\",\"service\",\"root\"],\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld}",
        t, t, t + 60);
    cr_assert_eq(token_verify(arena, span_of(rs256(HEADER, text)), "order", &caller), 0);
    cr_assert_eq(caller.roles, ROLE_ADMIN);
    snprintf(text, sizeof(text),
        "{\"iss\":\"souk-auth\",\"aud\":\"order\",\"sub\":\"cart\",\"roles\":[\"admin\","
        "\"service\"],"
        "\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld}",
        t, t, t + 60);
    cr_assert_eq(token_verify(arena, span_of(rs256(HEADER, text)), "order", &caller), 0);
    cr_assert_eq(caller.roles, ROLE_SERVICE);
}

/* ---- the algorithm ---- */

Test(token, verify__algorithm_none__is_refused_in_every_spelling)
{
    static const char *const names[] = {"none", "None", "NONE", "nOnE", ""};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *header =
            arena_printf(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}", names[i]);
        const char *input = signing_input(header, good_claims());
        assert_refused(arena_printf(arena, "%s.", input));
        assert_refused(input);
        assert_refused(rs256(header, good_claims()));
        assert_refused(arena_printf(arena, "%s.AAAA", input));
    }
}

Test(token, verify__hs256_with_the_public_key_as_secret__is_refused)
{
    const char *header = "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}";
    assert_refused(hs256(span_of(public_pem), header, good_claims()));
    assert_refused(hs256(span_of(public_pem), HEADER, good_claims()));
    assert_refused(hs256(SPAN(""), header, good_claims()));
}

Test(token, verify__another_algorithm_named__is_refused_even_with_a_good_signature)
{
    static const char *const names[] = {"RS384", "RS512", "PS256", "ES256", "HS512", "rs256"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_refused(rs256(
            arena_printf(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}", names[i]),
            good_claims()));
}

/* ---- header ---- */

Test(token, verify__header_other_than_pinned__is_refused)
{
    static const char *const headers[] = {
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"key-2\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"kid\":\"" KID "\"}",
        "{\"typ\":\"JWT\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"RS256\",\"typ\":\"logout+jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"RS256\",\"typ\":\"jwt\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"../../" KID "\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":1}",
        "{\"alg\":\"HS256\",\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"RS256\",\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"x\",\"kid\":\"" KID "\"}",
        "{\"alg\":[\"RS256\"],\"typ\":\"JWT\",\"kid\":\"" KID "\"}",
        "[\"RS256\"]",
        "\"RS256\"",
        "{}",
        "{",
    };
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
        cr_assert_eq(
            verify(rs256(headers[i], good_claims())), OUTCOME_UNAUTHENTICATED, "%s", headers[i]);
}

Test(token, verify__a_key_brought_along__is_not_looked_at)
{
    char *evil_private, *evil_public;
    struct buf jwk = {0};
    cr_assert_eq(token_key_generate(&evil_private, &evil_public), 0);
    cr_assert_eq(token_key_to_jwk(evil_public, KID, &jwk), 0);
    const char *header = arena_printf(arena,
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" KID
        "\",\"jwk\":%s,\"jku\":\"http://127.0.0.1:1/jwks\",\"x5u\":\"http://127.0.0.1:1/\"}",
        jwk.ptr);
    const char *input = signing_input(header, good_claims());
    assert_refused(
        arena_printf(arena, "%s.%s", input, encoded(rsa_signature(evil_private, input))));
    assert_refused(rs256(header, good_claims()));
    buf_deinit(&jwk);
    mem_free(evil_private);
    mem_free(evil_public);
}

/* ---- claims ---- */

Test(token, verify__wrong_issuer_or_audience__is_refused)
{
    assert_refused(rs256(HEADER, claims("evil", "souk", now_s, now_s, now_s + 60)));
    assert_refused(rs256(HEADER, claims("souk-auth ", "souk", now_s, now_s, now_s + 60)));
    assert_refused(rs256(HEADER, claims("", "souk", now_s, now_s, now_s + 60)));
    assert_refused(rs256(HEADER, claims("souk-auth", "payment", now_s, now_s, now_s + 60)));
    assert_refused(rs256(HEADER, claims("souk-auth", "SOUK", now_s, now_s, now_s + 60)));
    assert_refused(rs256(HEADER, claims("souk-auth", "", now_s, now_s, now_s + 60)));
}

Test(token, verify__times__are_checked_with_a_minute_of_skew)
{
    cr_assert_eq(
        verify(rs256(HEADER, claims("souk-auth", "souk", now_s - 900, now_s - 900, now_s - 50))),
        0);
    assert_refused(
        rs256(HEADER, claims("souk-auth", "souk", now_s - 900, now_s - 900, now_s - 60)));
    assert_refused(
        rs256(HEADER, claims("souk-auth", "souk", now_s - 900, now_s - 900, now_s - 3600)));
    cr_assert_eq(
        verify(rs256(HEADER, claims("souk-auth", "souk", now_s + 50, now_s + 50, now_s + 600))), 0);
    assert_refused(rs256(HEADER, claims("souk-auth", "souk", now_s, now_s + 90, now_s + 600)));
    assert_refused(rs256(HEADER, claims("souk-auth", "souk", now_s + 90, now_s, now_s + 600)));
    assert_refused(rs256(HEADER, claims("souk-auth", "souk", now_s, now_s + 20, now_s + 10)));
    assert_refused(rs256(HEADER, claims("souk-auth", "souk", now_s, now_s, INT64_MIN)));
    assert_refused(rs256(HEADER, claims("souk-auth", "souk", now_s, INT64_MAX, INT64_MAX)));
}

Test(token, verify__claims_missing_twice_or_of_another_type__are_refused)
{
#define REST "\"sub\":\"" USER_ID "\",\"roles\":[\"user\"],\"iat\":1,\"nbf\":1"
    static const char *const payloads[] = {
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\"," REST "}",
        "{\"iss\":\"souk-auth\",\"exp\":9999999999," REST "}",
        "{\"aud\":\"souk\",\"exp\":9999999999," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":[\"souk\"],\"exp\":9999999999," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":\"9999999999\"," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":9999999999.5," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":1e12," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":99999999999999999999," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":null," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":1,\"exp\":9999999999," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":9999999999,\"sub\":\"x\"," REST "}",
        "{\"iss\":\"evil\",\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":9999999999," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":9999999999," REST ",\"roles\":[]}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":9999999999,\"sub\":\"x\",\"iat\":1,"
        "\"nbf\":1,\"roles\":\"admin\"}",
        "{\"iss\":\"souk-auth\\u0000\",\"aud\":\"souk\",\"exp\":9999999999," REST "}",
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":9999999999," REST "} {}",
        "[]",
        "null",
        "",
    };
    cr_assert_eq(verify(rs256(HEADER,
                     "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"exp\":9999999999," REST "}")),
        0, "the rows differ from a good token in one thing each");
    for (size_t i = 0; i < ARRAY_SIZE(payloads); i++)
        cr_assert_eq(
            verify(rs256(HEADER, payloads[i])), OUTCOME_UNAUTHENTICATED, "%s", payloads[i]);
#undef REST
}

/* ---- the token as a text ---- */

Test(token, verify__any_truncation__is_refused)
{
    const char *token = rs256(HEADER, good_claims());
    size_t len = strlen(token);
    struct caller caller;
    for (size_t n = 0; n < len; n++)
        cr_assert_eq(token_verify(arena, span_make(token, n), "order", &caller),
            OUTCOME_UNAUTHENTICATED, "%zu of %zu bytes", n, len);
}

Test(token, verify__any_changed_byte__is_refused)
{
    const char *token = rs256(HEADER, good_claims());
    for (size_t i = 0; token[i]; i++) {
        char *changed = arena_strdup(arena, token);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        if (strcmp(changed, token) != 0)
            cr_assert_eq(verify(changed), OUTCOME_UNAUTHENTICATED, "byte %zu", i);
    }
}

Test(token, verify__other_spellings_of_a_good_token__are_refused)
{
    const char *token = rs256(HEADER, good_claims());
    const char *last_dot = strrchr(token, '.');
    int head = (int)(last_dot - token);
    assert_refused(arena_printf(arena, "%s=", token));
    assert_refused(arena_printf(arena, "%s==", token));
    assert_refused(arena_printf(arena, "%s!", token));
    assert_refused(arena_printf(arena, "%s\n", token));
    assert_refused(arena_printf(arena, " %s", token));
    assert_refused(arena_printf(arena, "%s.", token));
    assert_refused(arena_printf(arena, "%s.AAAA", token));
    assert_refused(arena_printf(arena, ".%s", token));
    assert_refused(arena_printf(arena, "%.*s. %s", head, token, last_dot + 1));
    assert_refused("..");
    assert_refused("a.b.c");
    assert_refused("");
}

Test(token, verify__longer_than_4_kib__is_refused_before_anything_is_read)
{
    char *filler = arena_alloc(arena, 6000);
    memset(filler, 'x', 5999);
    const char *payload = arena_printf(arena,
        "{\"iss\":\"souk-auth\",\"aud\":\"souk\",\"sub\":\"x\",\"roles\":[],\"iat\":1,\"nbf\":1,"
        "\"exp\":9999999999,\"filler\":\"%s\"}",
        filler);
    const char *token = rs256(HEADER, payload);
    cr_assert_gt(strlen(token), (size_t)TOKEN_SIZE_LIMIT);
    assert_refused(token);
    struct caller caller;
    cr_assert_eq(token_verify(arena, span_make(token, TOKEN_SIZE_LIMIT + 1), "order", &caller),
        OUTCOME_UNAUTHENTICATED);
}

/* ---- keys and cache ---- */

Test(token, verify__signature_of_another_known_key__is_refused)
{
    char *other_private, *other_public;
    cr_assert_eq(token_key_generate(&other_private, &other_public), 0);
    const struct token_key both[] = {{KID, public_pem}, {"key-2", other_public}};
    token_keys_replace(both, 2);
    const char *input = signing_input(HEADER, good_claims());
    assert_refused(
        arena_printf(arena, "%s.%s", input, encoded(rsa_signature(other_private, input))));
    const char *header = "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"key-2\"}";
    input = signing_input(header, good_claims());
    cr_assert_eq(
        verify(arena_printf(arena, "%s.%s", input, encoded(rsa_signature(other_private, input)))),
        0);
    mem_free(other_private);
    mem_free(other_public);
}

/* The cache must not mistake it for the good one. */
Test(token, verify__any_changed_byte_of_a_remembered_token__is_refused)
{
    const char *good = rs256(HEADER, good_claims());
    cr_assert_eq(verify(good), 0);
    for (size_t i = 0; i < strlen(good); i++) {
        char *bad = arena_strdup(arena, good);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_refused(bad);
    }
    cr_assert_eq(verify(good), 0);
}

Test(token, verify__a_cached_token_that_expires__is_refused)
{
    /* Good until the next full second, so begin early in one. */
    int64_t into_us = clock_wall_us() % USEC_PER_SEC;
    if (into_us > USEC_PER_SEC / 2)
        usleep((useconds_t)(USEC_PER_SEC - into_us));
    now_s = clock_wall_us() / USEC_PER_SEC;
    const char *token = rs256(HEADER, claims("souk-auth", "souk", 1, 1, now_s - TOKEN_SKEW_S + 1));
    cr_assert_eq(verify(token), 0);
    cr_assert_eq(verify(token), 0);
    while (clock_wall_us() / USEC_PER_SEC == now_s)
        usleep(1000);
    assert_refused(token);
}

Test(token, verify__a_remembered_token_whose_key_is_dropped__is_refused)
{
    char *other_private, *other_public;
    const char *token = rs256(HEADER, good_claims());
    cr_assert_eq(token_key_generate(&other_private, &other_public), 0);
    const struct token_key both[] = {{KID, public_pem}, {"key-2", other_public}};
    cr_assert_eq(verify(token), 0);
    token_keys_replace(both, 2);
    cr_assert_eq(verify(token), 0, "a key more changes nothing");
    token_keys_replace(&(struct token_key){KID, other_public}, 1);
    assert_refused(token);
    token_keys_replace(both, 2);
    cr_assert_eq(verify(token), 0);
    token_keys_replace(&both[1], 1);
    assert_refused(token);
    mem_free(other_private);
    mem_free(other_public);
}

Test(token, verify__header_members_that_ask_for_something__are_refused)
{
    static const char *const members[] = {"\"crit\":[\"exp\"]", "\"crit\":[]",
        "\"b64\":false,\"crit\":[\"b64\"]", "\"b64\":false", "\"zip\":\"DEF\"", "\"cty\":\"JWT\"",
        "\"alg\":\"none\"", "\"kid\":\"key-1\"", "\"typ\":\"JWT\"", "\"x5c\":[\"AAAA\"]"};
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        const char *header = arena_printf(
            arena, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" KID "\",%s}", members[i]);
        cr_assert_eq(
            verify(rs256(header, good_claims())), OUTCOME_UNAUTHENTICATED, "%s", members[i]);
    }
}

Test(token, jwk__there_and_back__is_the_same_key)
{
    struct buf jwk = {0};
    char *again;
    cr_assert_eq(token_key_to_jwk(public_pem, KID, &jwk), 0);
    struct {
        const char *n, *e;
    } parts = {strstr(jwk.ptr, "\"n\":\"") + 5, strstr(jwk.ptr, "\"e\":\"") + 5};
    struct span n = span_make(parts.n, strcspn(parts.n, "\"")),
                e = span_make(parts.e, strcspn(parts.e, "\""));
    cr_assert_eq(token_key_from_jwk(n, e, &again), 0);
    cr_assert_str_eq(again, public_pem);
    cr_assert_null(strstr(jwk.ptr, "\"d\":"), "nothing private");
    mem_free(again);
    buf_deinit(&jwk);
}

Test(token, jwk__short_or_broken__is_refused)
{
    char *pem = NULL, modulus[172];
    memset(modulus, 'x', 171); /* 1024 bit */
    modulus[171] = 0;
    cr_assert_lt(token_key_from_jwk(span_of(modulus), SPAN("AQAB"), &pem), 0);
    cr_assert_lt(token_key_from_jwk(SPAN("!"), SPAN("AQAB"), &pem), 0);
    cr_assert_lt(token_key_from_jwk(SPAN(""), SPAN(""), &pem), 0);
    cr_assert_null(pem);
}

Test(token, key_public__of_a_private_key__is_its_own_half)
{
    char *half = NULL;
    cr_assert_eq(token_key_public(private_pem, &half), 0);
    cr_assert_str_eq(half, public_pem);
    mem_free(half);
    cr_assert_lt(token_key_public("not a key", &half), 0);
}

Test(token, role__names__go_there_and_back)
{
    for (unsigned role = ROLE_USER; role <= ROLE_SERVICE; role <<= 1)
        cr_assert_eq(role_from_name(span_of(role_name(role))), role);
    cr_assert_eq(role_from_name(SPAN("Admin")), 0);
    cr_assert_eq(role_from_name(SPAN("")), 0);
    cr_assert_str_eq(role_name(0), "");
}
