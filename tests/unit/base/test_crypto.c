#include "common/base/crypto.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "property.h"

static void hex(const uint8_t *bytes, size_t len, char *text)
{
    for (size_t i = 0; i < len; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
}

Test(base, crypto_init__twice__is_fine)
{
    cr_assert_eq(crypto_init(), 0);
    cr_assert_eq(crypto_init(), 0);
}

Test(base, crypto_sha256__known_texts__match_fips_180)
{
    static const struct {
        const char *text, *digest;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[SHA256_HEX_SIZE];
        crypto_sha256_hex(span_of(rows[i].text), text);
        cr_assert_str_eq(text, rows[i].digest);
    }
}

Test(base, crypto_hmac_sha256__known_keys__match_rfc_4231)
{
    static const struct {
        struct span key, data;
        const char *mac;
    } rows[] = {
        {SPAN("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
            SPAN("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {SPAN("Jefe"), SPAN("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    };
    char text[65];
    uint8_t mac[SHA256_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        crypto_hmac_sha256(rows[i].key, rows[i].data, mac);
        hex(mac, sizeof(mac), text);
        cr_assert_str_eq(text, rows[i].mac);
    }
    char long_key[131]; /* longer than a block: hashed first */
    memset(long_key, 0xaa, sizeof(long_key));
    crypto_hmac_sha256(span_make(long_key, sizeof(long_key)),
        SPAN("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    hex(mac, sizeof(mac), text);
    cr_assert_str_eq(text, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(base, crypto_tag__one_text__has_one_tag_and_every_other_text_another)
{
    char text[100];
    uint8_t tag[CRYPTO_TAG_SIZE], other[CRYPTO_TAG_SIZE];
    cr_assert_eq(crypto_init(), 0);
    memset(text, 'x', sizeof(text));
    crypto_tag(span_make(text, sizeof(text)), tag);
    crypto_tag(span_make(text, sizeof(text)), other);
    cr_assert_arr_eq(tag, other, sizeof(tag));
    for (size_t i = 0; i < 8 * sizeof(text); i++) {
        text[i / 8] ^= (char)(1 << i % 8);
        crypto_tag(span_make(text, sizeof(text)), other);
        cr_assert_neq(memcmp(tag, other, sizeof(tag)), 0, "bit %zu", i);
        text[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < sizeof(text); len++) {
        crypto_tag(span_make(text, len), other);
        cr_assert_neq(memcmp(tag, other, sizeof(tag)), 0, "length %zu", len);
    }
}

Test(base, crypto_tag__each_start__has_a_key_of_its_own)
{
    uint8_t tag[CRYPTO_TAG_SIZE], other[CRYPTO_TAG_SIZE];
    cr_assert_eq(crypto_init(), 0);
    crypto_tag(SPAN("text"), tag);
    cr_assert_eq(crypto_init(), 0);
    crypto_tag(SPAN("text"), other);
    cr_assert_neq(memcmp(tag, other, sizeof(tag)), 0);
}

Test(base, crypto_equal__compares_length_and_bytes)
{
    cr_assert(crypto_equal(SPAN("secret"), SPAN("secret")));
    cr_assert(crypto_equal(SPAN(""), span_make(NULL, 0)));
    cr_assert_not(crypto_equal(SPAN("secret"), SPAN("secres")));
    cr_assert_not(crypto_equal(SPAN("secret"), SPAN("secre")));
    cr_assert_not(crypto_equal(SPAN("a\0b"), SPAN("a\0c")));
}

Test(base, crypto_random__two_draws__differ)
{
    uint8_t a[32] = {0}, b[32] = {0};
    crypto_random(a, sizeof(a));
    crypto_random(b, sizeof(b));
    cr_assert(memcmp(a, b, sizeof(a)) != 0);
}

Test(base, crypto_random_below__stays_below_and_reaches_everything)
{
    for (uint64_t bound = 1; bound < 20; bound++) {
        unsigned seen = 0;
        for (int i = 0; i < 2000; i++) {
            uint64_t value = crypto_random_below(bound);
            cr_assert(value < bound);
            seen |= 1u << value;
        }
        cr_assert_eq(seen, (1u << bound) - 1, "bound %" PRIu64, bound);
    }
}

Test(base, crypto_random_below__awkward_bound__has_no_bias)
{
    /* A plain remainder would put half of the draws, not a third, into the lowest third. */
    const uint64_t third = UINT64_C(1) << 62;
    unsigned counts[3] = {0};
    for (int i = 0; i < 30000; i++)
        counts[crypto_random_below(3 * third) / third]++;
    for (int i = 0; i < 3; i++) /* 10,000 expected, deviation 82 */
        cr_assert(counts[i] > 9000 && counts[i] < 11000, "third %d: %u", i, counts[i]);
}

Test(base, crypto_random_below__zero__aborts, .signal = SIGABRT)
{
    crypto_random_below(0);
}

Test(base, crypto_base64url__known_texts__match_rfc_4648)
{
    static const struct {
        struct span data;
        const char *text;
    } rows[] = {
        {SPAN(""), ""},
        {SPAN("f"), "Zg"},
        {SPAN("fo"), "Zm8"},
        {SPAN("foo"), "Zm9v"},
        {SPAN("foobar"), "Zm9vYmFy"},
        {SPAN("\xfb\xff\xbf"), "-_-_"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[16];
        uint8_t bytes[16];
        crypto_base64url(rows[i].data, text, sizeof(text));
        cr_assert_str_eq(text, rows[i].text);
        ssize_t n = crypto_base64url_decode(span_of(text), bytes, sizeof(bytes));
        cr_assert_eq(n, (ssize_t)rows[i].data.len);
        cr_assert(span_equal(span_make(bytes, (size_t)n), rows[i].data));
    }
}

Test(base, crypto_base64url_decode__anything_loose__is_refused)
{
    static const struct span rows[] = {
        SPAN("A"), SPAN("Zg=="), SPAN("Zh"), /* bits behind the end */
        SPAN("Zm9"),                         /* the same */
        SPAN("+/+/"),                        /* the other alphabet */
        SPAN("Zm9v\n"), SPAN(" Zm9v"), SPAN("Zm 9v"), SPAN("Zm9v\0"), SPAN("Zm9vZ"),
        SPAN("Zm9vYmFyZm9vYmFyZm9vYmFy"), /* longer than the room */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t bytes[8];
        cr_assert_eq(crypto_base64url_decode(rows[i], bytes, sizeof(bytes)), -1, "row %zu", i);
    }
}

Test(base, crypto_base64url__any_bytes__come_back)
{
    struct property p = property_begin("base64url");
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[60], back[60];
        char text[81];
        size_t len = property_below(&p, sizeof(bytes) + 1);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)property_next(&p);
        crypto_base64url(span_make(bytes, len), text, 4 * ((len + 2) / 3) + 1);
        cr_assert_eq(
            strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            strlen(text));
        cr_assert_eq(crypto_base64url_decode(span_of(text), back, sizeof(back)), (ssize_t)len);
        cr_assert_eq(memcmp(bytes, back, len), 0);
    }
}

Test(base, crypto_token__is_43_url_safe_characters_and_fresh)
{
    char a[CRYPTO_TOKEN_SIZE], b[CRYPTO_TOKEN_SIZE];
    uint8_t bytes[32];
    crypto_token(a);
    crypto_token(b);
    cr_assert_eq(strlen(a), 43);
    cr_assert_str_neq(a, b);
    cr_assert_eq(crypto_base64url_decode(span_of(a), bytes, sizeof(bytes)), 32);
}

Test(base, crypto_password__right_one__verifies_and_others_do_not)
{
    char phc[CRYPTO_PASSWORD_SIZE], again[CRYPTO_PASSWORD_SIZE];
    static const char expected[] = "$argon2id$v=19$m=19456,t=2,p=1$";
    crypto_init();
    cr_assert_eq(crypto_password_hash("correct horse", phc), 0);
    cr_assert_eq(crypto_password_hash("correct horse", again), 0);
    cr_assert_eq(strncmp(phc, expected, strlen(expected)), 0, "%s", phc);
    cr_assert_str_neq(phc, again, "salted");
    cr_assert(crypto_password_verify(phc, "correct horse"));
    cr_assert_not(crypto_password_verify(phc, "correct horsf"));
    cr_assert_not(crypto_password_verify(phc, ""));
    cr_assert_not(crypto_password_outdated(phc));
}

Test(base, crypto_password__empty_and_long_passwords__work)
{
    char phc[CRYPTO_PASSWORD_SIZE], password[1001];
    memset(password, 'p', 1000);
    password[1000] = '\0';
    cr_assert_eq(crypto_password_hash(password, phc), 0);
    cr_assert(crypto_password_verify(phc, password));
    password[999] = 'q';
    cr_assert_not(crypto_password_verify(phc, password), "the last byte counts");
    cr_assert_eq(crypto_password_hash("", phc), 0);
    cr_assert(crypto_password_verify(phc, ""));
}

Test(base, crypto_password__broken_hashes__verify_nothing)
{
    char endless[300];
    memset(endless, '$', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    const char *const rows[] = {
        NULL, "", "plain", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA", endless};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cr_assert_not(crypto_password_verify(rows[i], "x"), "row %zu", i);
        cr_assert(i == 4 || crypto_password_outdated(rows[i]), "row %zu", i);
    }
}

Test(base, crypto_password_outdated__weaker_parameters__are_due)
{
    cr_assert(crypto_password_outdated("$argon2id$v=19$m=8192,t=2,p=1$"
                                       "AAAAAAAAAAAAAAAAAAAAAA$"
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    cr_assert_not(crypto_password_outdated("$argon2id$v=19$m=19456,t=2,p=1$"
                                           "AAAAAAAAAAAAAAAAAAAAAA$"
                                           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

static void *hash_and_verify(void *name)
{
    for (int i = 0; i < 2; i++) {
        char phc[CRYPTO_PASSWORD_SIZE];
        if (crypto_password_hash(name, phc) != 0 || !crypto_password_verify(phc, name) ||
            crypto_password_verify(phc, "someone else's"))
            return NULL;
    }
    return name;
}

Test(base, crypto_password__several_threads__do_not_disturb_each_other)
{
    static char names[4][8] = {"anna", "bela", "cora", "dina"};
    pthread_t threads[4];
    crypto_init();
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, hash_and_verify, names[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *ok = NULL;
        pthread_join(threads[i], &ok);
        cr_assert_eq(ok, names[i]);
    }
}

Test(base, crypto_seal__opens_with_the_same_secret_and_context_alone)
{
    char text[CRYPTO_SEALED_SIZE(7)], again[CRYPTO_SEALED_SIZE(7)];
    uint8_t bytes[7];
    cr_assert_eq(crypto_init(), 0);
    crypto_seal(SPAN("secret"), SPAN("anna"), SPAN("a token"), text, sizeof(text));
    crypto_seal(SPAN("secret"), SPAN("anna"), SPAN("a token"), again, sizeof(again));
    cr_assert_str_neq(text, again);
    cr_assert_eq(
        crypto_unseal(SPAN("secret"), SPAN("anna"), span_of(text), bytes, sizeof(bytes)), 7);
    cr_assert_arr_eq(bytes, "a token", 7);
    cr_assert_eq(
        crypto_unseal(SPAN("Secret"), SPAN("anna"), span_of(text), bytes, sizeof(bytes)), -1);
    cr_assert_eq(
        crypto_unseal(SPAN("secret"), SPAN("ben"), span_of(text), bytes, sizeof(bytes)), -1);
    cr_assert_eq(crypto_unseal(SPAN("secret"), SPAN("anna"), span_of(text), bytes, 6), -1);
}

Test(base, crypto_unseal__anything_else__is_refused)
{
    char text[CRYPTO_SEALED_SIZE(7)];
    uint8_t bytes[7];
    cr_assert_eq(crypto_init(), 0);
    crypto_seal(SPAN("s"), SPAN("c"), SPAN("a token"), text, sizeof(text));
    for (size_t i = 0; text[i]; i++) {
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        /* The last character's low bits may be padding: then it is no base64url at all. */
        cr_assert_eq(crypto_unseal(SPAN("s"), SPAN("c"), span_of(text), bytes, 7), -1, "%zu", i);
        text[i] = kept;
    }
    cr_assert_eq(crypto_unseal(SPAN("s"), SPAN("c"), SPAN(""), bytes, 7), -1);
    cr_assert_eq(crypto_unseal(SPAN("s"), SPAN("c"), SPAN("***"), bytes, 7), -1);
    cr_assert_eq(crypto_unseal(SPAN("s"), SPAN("c"), SPAN("AAAA"), bytes, 7), -1);
}
