/* RSA keys for tokens: PEM for libjwt, JWK (RFC 7517) for the world. The only includer of OpenSSL's
 * EVP in the application room. */

#include "common/app/token.h"

#include <errno.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/json/writer.h"

#define MODULUS_LIMIT 1024 /* bytes: RSA-8192 */

static char *bio_text(BIO *bio)
{
    char *data = NULL;
    long n = BIO_get_mem_data(bio, &data);
    return mem_strndup(data, (size_t)n);
}

static int key_to_pem(EVP_PKEY *key, bool private, char **ret_pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int ok = bio && (private ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                             : PEM_write_bio_PUBKEY(bio, key));
    if (ok)
        *ret_pem = bio_text(bio);
    BIO_free(bio);
    return ok ? 0 : ERR(ERR_INVALID);
}

static EVP_PKEY *key_from_pem(const char *pem, bool private)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
                            : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

int token_key_generate(char **ret_private_pem, char **ret_public_pem)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    if (!key)
        return ERR(ERR_INVALID);
    char *private_pem = NULL, *public_pem = NULL;
    int r = key_to_pem(key, true, &private_pem);
    if (r == 0)
        r = key_to_pem(key, false, &public_pem);
    EVP_PKEY_free(key);
    if (r < 0) {
        mem_free(private_pem);
        return ERR(r);
    }
    *ret_private_pem = private_pem;
    *ret_public_pem = public_pem;
    return 0;
}

int token_key_public(const char *private_pem, char **ret_public_pem)
{
    EVP_PKEY *key = key_from_pem(private_pem, true);
    if (!key)
        return ERR(ERR_INVALID);
    int r = key_to_pem(key, false, ret_public_pem);
    EVP_PKEY_free(key);
    return r < 0 ? ERR(r) : 0;
}

static int put_number(struct json_writer *w, const char *name, EVP_PKEY *key, const char *param)
{
    BIGNUM *number = NULL;
    unsigned char bytes[MODULUS_LIMIT];
    char text[MODULUS_LIMIT * 4 / 3 + 8];
    if (!EVP_PKEY_get_bn_param(key, param, &number) || BN_num_bytes(number) > MODULUS_LIMIT) {
        BN_free(number);
        return ERR(ERR_INVALID);
    }
    int n = BN_bn2bin(number, bytes);
    BN_free(number);
    crypto_base64url(span_make(bytes, (size_t)n), text, sizeof(text));
    json_put_text(w, name, text);
    return 0;
}

int token_key_to_jwk(const char *public_pem, const char *kid, struct buf *out)
{
    EVP_PKEY *key = key_from_pem(public_pem, false);
    if (!key)
        return ERR(ERR_INVALID);
    struct json_writer w = json_writer_on(out);
    json_object_begin(&w);
    json_put_text(&w, "kty", "RSA");
    json_put_text(&w, "use", "sig");
    json_put_text(&w, "alg", "RS256");
    json_put_text(&w, "kid", kid);
    int r = put_number(&w, "n", key, OSSL_PKEY_PARAM_RSA_N);
    if (r == 0)
        r = put_number(&w, "e", key, OSSL_PKEY_PARAM_RSA_E);
    json_object_end(&w);
    EVP_PKEY_free(key);
    return r < 0 ? ERR(r) : 0;
}

static BIGNUM *number_of(struct span base64url)
{
    uint8_t bytes[MODULUS_LIMIT];
    ssize_t n = crypto_base64url_decode(base64url, bytes, sizeof(bytes));
    return n <= 0 ? NULL : BN_bin2bn(bytes, (int)n, NULL);
}

int token_key_from_jwk(struct span n_base64url, struct span e_base64url, char **ret_public_pem)
{
    BIGNUM *n = number_of(n_base64url), *e = number_of(e_base64url);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    int r = -EINVAL;
    if (n && e && BN_num_bits(n) >= 2048 && build && ctx &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) &&
        (params = OSSL_PARAM_BLD_to_param(build)) && EVP_PKEY_fromdata_init(ctx) > 0 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) > 0)
        r = key_to_pem(key, false, ret_public_pem);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return r < 0 ? ERR(r) : 0;
}
