/* The only includer of libsodium.
 *
 * Password hashes are Argon2id strings in PHC form ("$argon2id$v=19$m=19456,t=2,p=1$salt$hash"), so
 * the parameters travel with the hash and may rise later: crypto_password_outdated() says which
 * hashes to make anew at the next login. Everything here is thread-safe after crypto_init(). */

#include "common/base/crypto.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>

#include "common/base/error.h"

static_assert(CRYPTO_PASSWORD_SIZE == crypto_pwhash_STRBYTES, "libsodium's string");
static_assert(SHA256_SIZE == crypto_hash_sha256_BYTES, "libsodium's digest");
static_assert(SHA256_SIZE == crypto_auth_hmacsha256_BYTES, "libsodium's mac");
static_assert(CRYPTO_TAG_SIZE == crypto_shorthash_siphashx24_BYTES, "libsodium's short hash");

#define PASSWORD_PASSES 2
#define PASSWORD_MEMORY ((size_t)19456 * 1024)
#define BASE64URL       sodium_base64_VARIANT_URLSAFE_NO_PADDING

static const unsigned char *bytes_of(struct span s)
{
    return (const unsigned char *)s.ptr;
}

static unsigned char tag_key[crypto_shorthash_siphashx24_KEYBYTES];

int crypto_init(void)
{
    if (sodium_init() < 0)
        return ERR(-EIO);
    crypto_random(tag_key, sizeof(tag_key));
    return 0;
}

void crypto_random(void *bytes, size_t len)
{
    randombytes_buf(bytes, len);
}

uint64_t crypto_random_below(uint64_t bound)
{
    assert(bound > 0);
    /* 2^64 is seldom a multiple of the bound: throw away the uneven rest at the low end. */
    uint64_t uneven = -bound % bound;
    uint64_t value;
    do
        crypto_random(&value, sizeof(value));
    while (value < uneven);
    return value % bound;
}

void crypto_sha256(struct span data, uint8_t digest[static SHA256_SIZE])
{
    crypto_hash_sha256(digest, bytes_of(data), data.len);
}

void crypto_sha256_hex(struct span data, char text[static SHA256_HEX_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    crypto_sha256(data, digest);
    sodium_bin2hex(text, SHA256_HEX_SIZE, digest, sizeof(digest));
}

void crypto_hmac_sha256(struct span key, struct span data, uint8_t mac[static SHA256_SIZE])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, bytes_of(key), key.len);
    crypto_auth_hmacsha256_update(&state, bytes_of(data), data.len);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof(state));
}

void crypto_tag(struct span data, uint8_t tag[static CRYPTO_TAG_SIZE])
{
    crypto_shorthash_siphashx24(tag, bytes_of(data), data.len, tag_key);
}

bool crypto_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void crypto_base64url(struct span data, char *text, size_t size)
{
    sodium_bin2base64(text, size, bytes_of(data), data.len, BASE64URL);
}

ssize_t crypto_base64url_decode(struct span text, uint8_t *bytes, size_t size)
{
    size_t len = 0;
    if (sodium_base642bin(bytes, size, text.ptr, text.len, NULL, &len, NULL, BASE64URL) != 0)
        return -1;
    return (ssize_t)len;
}

void crypto_token(char text[static CRYPTO_TOKEN_SIZE])
{
    uint8_t bytes[32];
    crypto_random(bytes, sizeof(bytes));
    crypto_base64url(span_make(bytes, sizeof(bytes)), text, CRYPTO_TOKEN_SIZE);
    sodium_memzero(bytes, sizeof(bytes));
}

#define SEAL_NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL_TAG   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define SEAL_LIMIT 1024

static_assert(CRYPTO_SEALED_SIZE(3) == (SEAL_NONCE + SEAL_TAG + 3 + 2) / 3 * 4 + 1, "sealed size");
static_assert(SHA256_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "libsodium's key");

static void seal_key(struct span secret, uint8_t key[static SHA256_SIZE])
{
    crypto_hmac_sha256(secret, SPAN("souk seal 1"), key);
}

void crypto_seal(
    struct span secret, struct span context, struct span plain, char *text, size_t size)
{
    uint8_t key[SHA256_SIZE], sealed[SEAL_NONCE + SEAL_LIMIT + SEAL_TAG];
    unsigned long long len = 0;
    assert(plain.len <= SEAL_LIMIT && size >= CRYPTO_SEALED_SIZE(plain.len));
    seal_key(secret, key);
    crypto_random(sealed, SEAL_NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + SEAL_NONCE, &len, bytes_of(plain),
        plain.len, bytes_of(context), context.len, NULL, sealed, key);
    crypto_base64url(span_make(sealed, SEAL_NONCE + (size_t)len), text, size);
    sodium_memzero(key, sizeof(key));
}

ssize_t crypto_unseal(
    struct span secret, struct span context, struct span text, uint8_t *bytes, size_t size)
{
    uint8_t key[SHA256_SIZE], sealed[SEAL_NONCE + SEAL_LIMIT + SEAL_TAG];
    unsigned long long len = 0;
    ssize_t n = crypto_base64url_decode(text, sealed, sizeof(sealed));
    if (n < (ssize_t)(SEAL_NONCE + SEAL_TAG) || (size_t)n - SEAL_NONCE - SEAL_TAG > size)
        return -1;
    seal_key(secret, key);
    int r = crypto_aead_xchacha20poly1305_ietf_decrypt(bytes, &len, NULL, sealed + SEAL_NONCE,
        (size_t)n - SEAL_NONCE, bytes_of(context), context.len, sealed, key);
    sodium_memzero(key, sizeof(key));
    return r == 0 ? (ssize_t)len : -1;
}

int crypto_password_hash(const char *password, char phc[static CRYPTO_PASSWORD_SIZE])
{
    char made[CRYPTO_PASSWORD_SIZE];
    if (crypto_pwhash_str_alg(made, password, strlen(password), PASSWORD_PASSES, PASSWORD_MEMORY,
            crypto_pwhash_ALG_ARGON2ID13) != 0)
        return ERR(-ENOMEM); /* its only way to fail with these parameters */
    memcpy(phc, made, sizeof(made));
    return 0;
}

/* Spends the time that a real check takes, so that an unknown name looks like a wrong password. */
static void password_pretend(const char *password)
{
    unsigned char key[32], salt[crypto_pwhash_SALTBYTES] = {0};
    int r = crypto_pwhash(key, sizeof(key), password, strlen(password), salt, PASSWORD_PASSES,
        PASSWORD_MEMORY, crypto_pwhash_ALG_ARGON2ID13);
    (void)r; /* thrown away either way */
    sodium_memzero(key, sizeof(key));
}

bool crypto_password_verify(const char *phc, const char *password)
{
    if (!phc || strnlen(phc, CRYPTO_PASSWORD_SIZE) == CRYPTO_PASSWORD_SIZE) {
        password_pretend(password);
        return false;
    }
    return crypto_pwhash_str_verify(phc, password, strlen(password)) == 0;
}

bool crypto_password_outdated(const char *phc)
{
    return !phc || strnlen(phc, CRYPTO_PASSWORD_SIZE) == CRYPTO_PASSWORD_SIZE ||
           crypto_pwhash_str_needs_rehash(phc, PASSWORD_PASSES, PASSWORD_MEMORY) != 0;
}
