#pragma once

/* Random bytes, digests, passwords, constant-time compare: the only includer of libsodium. */

#include <sys/types.h>

#include "common/base/span.h"

int crypto_init(void); /* once, before threads; 0 or -EIO */
void crypto_random(void *bytes, size_t len);
uint64_t crypto_random_below(uint64_t bound);

#define SHA256_SIZE 32
void crypto_sha256(struct span data, uint8_t digest[static SHA256_SIZE]);
#define SHA256_HEX_SIZE 65
void crypto_sha256_hex(struct span data, char text[static SHA256_HEX_SIZE]);
void crypto_hmac_sha256(struct span key, struct span data, uint8_t mac[static SHA256_SIZE]);
/* A short digest under a key that is made at random at start and that nobody learns: for tables in
 * memory that are looked up by what others send. Without the key nobody can make two texts with one
 * tag (SipHash-2-4, 128 bits). A tenth of what SHA-256 costs. */
#define CRYPTO_TAG_SIZE 16
void crypto_tag(struct span data, uint8_t tag[static CRYPTO_TAG_SIZE]);
bool crypto_equal(struct span a, struct span b); /* constant time in the content */

/* base64url without padding. `text` needs 4*ceil(len/3)+1 bytes. */
void crypto_base64url(struct span data, char *text, size_t size);
/* Strict; returns the length or -1. */
ssize_t crypto_base64url_decode(struct span text, uint8_t *bytes, size_t size);
/* A fresh 256-bit token as base64url text: 43 characters. */
#define CRYPTO_TOKEN_SIZE 44
void crypto_token(char text[static CRYPTO_TOKEN_SIZE]);

/* Encrypts and authenticates a short text (XChaCha20-Poly1305) under a key made from `secret`,
 * bound to `context`: base64url. `text` needs CRYPTO_SEALED_SIZE(plain.len) bytes. */
#define CRYPTO_SEALED_SIZE(len) (((len) + 24 + 16 + 2) / 3 * 4 + 1)
void crypto_seal(
    struct span secret, struct span context, struct span plain, char *text, size_t size);
/* The way back: the length, or -1 for what was not sealed with both or does not fit. */
ssize_t crypto_unseal(
    struct span secret, struct span context, struct span text, uint8_t *bytes, size_t size);

/* Argon2id (OWASP: m = 19 MiB, t = 2). Each takes about 16 ms of CPU: call them in the offload
 * pool. */
#define CRYPTO_PASSWORD_SIZE 128
int crypto_password_hash(
    const char *password, char phc[static CRYPTO_PASSWORD_SIZE]); /* 0 or -ENOMEM */
/* phc NULL (no such user) is false after the same work. */
bool crypto_password_verify(const char *phc, const char *password);
bool crypto_password_outdated(const char *phc);
