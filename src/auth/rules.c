/* What auth decides without asking anybody.
 *
 * Refresh tokens. A token is 256 random bits; only its SHA-256 is stored. Its successor is
 * HMAC(server secret, token): random to everybody else, yet the same again when a client that lost
 * the answer asks once more. Such a repeat is believed for GRACE_US, from the client that spent the
 * token, and only while nobody has used the successor; any other second use means that two parties
 * hold the same token, so the whole family ends. */

#include "auth/auth.h"

#define PASSWORD_CHARACTERS_MIN 8
#define PASSWORD_CHARACTERS_MAX 128
#define GRACE_US                (10 * USEC_PER_SEC)
#define MICRO                   INT64_C(1000000)

/* The first that everybody tries, of those that are long enough. Lower case. */
static const char *const common_passwords[] = {"password", "password1", "password12", "password123",
    "password1234", "passw0rd", "p@ssword", "p@ssw0rd", "12345678", "123456789", "1234567890",
    "0123456789", "123123123", "987654321", "87654321", "11111111", "111111111", "00000000",
    "000000000", "88888888", "99999999", "12341234", "11223344", "123456781", "12345678910",
    "1q2w3e4r", "1q2w3e4r5t", "1qaz2wsx", "qwertyui", "qwertyuiop", "qwerty12", "qwerty123",
    "qwerty1234", "qwertz123", "azertyuiop", "asdfghjk", "asdfghjkl", "asdf1234", "zxcvbnm1",
    "zxcvbnm123", "abcd1234", "abc12345", "abcdefgh", "abc123456", "a1234567", "a12345678",
    "iloveyou", "iloveyou1", "sunshine", "princess", "football", "baseball", "superman",
    "batman123", "starwars", "trustno1", "whatever", "welcome1", "welcome123", "letmein1",
    "letmein123", "changeme", "changeme1", "admin123", "admin1234", "administrator", "computer",
    "internet", "samsung1", "michelle", "jennifer", "michael1", "charlie1", "jordan23", "liverpool",
    "chelsea1", "arsenal1", "monkey123", "dragon123", "master123", "shadow123", "hello123",
    "secret123", "freedom1", "mustang1", "maverick", "november", "december", "summer2024",
    "winter2024", "spring2024", "test1234", "testtest", "user1234", "guest123", "google123",
    "qazwsxedc", "q1w2e3r4", "1qazxsw2", "zaq12wsx", "password!", "aaaaaaaa", "souksouk"};

static size_t characters(const char *utf8)
{
    size_t n = 0;
    for (; *utf8; utf8++)
        n += ((unsigned char)*utf8 & 0xc0) != 0x80;
    return n;
}

const char *password_problem(const char *password, const char *email)
{
    size_t n = characters(password);
    if (n < PASSWORD_CHARACTERS_MIN || n > PASSWORD_CHARACTERS_MAX)
        return "must be 8 to 128 characters long";
    for (size_t i = 0; i < ARRAY_SIZE(common_passwords); i++)
        if (span_equal_nocase(span_of(password), span_of(common_passwords[i])))
            return "is one of the first that anybody would try";
    if (email && span_equal_nocase(span_of(password), span_of(email)))
        return "must not be the e-mail address";
    return NULL;
}

const char *email_normal(struct arena *a, const char *email)
{
    char *copy = arena_strdup(a, email);
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

const char *text_tame(struct arena *a, struct span text, size_t limit)
{
    if (!text.ptr)
        return "";
    char *copy = arena_strndup(a, text.ptr, text.len < limit ? text.len : limit);
    for (char *c = copy; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return copy;
}

unsigned roles_of(struct list names)
{
    unsigned roles = 0;
    for (size_t i = 0; i < names.len; i++)
        roles |= role_from_name(span_of(*LIST_AT(names, const char *, i)));
    return roles;
}

const char *roles_array(struct arena *a, unsigned roles)
{
    const char *text = "{";
    for (unsigned bit = ROLE_USER; bit <= ROLE_ADMIN; bit <<= 1)
        if (roles & bit)
            text = arena_printf(a, "%s%s%s", text, text[1] ? "," : "", role_name(bit));
    return arena_printf(a, "%s}", text);
}

bool roles_for_people(unsigned roles)
{
    return roles != 0 && (roles & ~(unsigned)ROLE_SIGNED_IN) == 0;
}

void refresh_successor(struct span secret, const char *token, char text[static CRYPTO_TOKEN_SIZE])
{
    uint8_t mac[SHA256_SIZE];
    crypto_hmac_sha256(secret, span_of(token), mac);
    crypto_base64url(span_make(mac, sizeof(mac)), text, CRYPTO_TOKEN_SIZE);
}

enum refresh_verdict refresh_judge(
    const struct refresh_state *state, const char *client, int64_t now_us)
{
    if (!state || !state->session_live || state->session_expires_at <= now_us || !state->spent_at)
        return REFRESH_UNKNOWN;
    bool same_client = state->client && strcmp(state->client, client) == 0;
    bool soon = now_us - state->spent_at <= GRACE_US;
    return same_client && soon && !state->successor_spent ? REFRESH_REPEAT : REFRESH_REUSED;
}

int64_t bucket_take(struct bucket *b, int64_t capacity, int64_t per_minute, int64_t now_us)
{
    int64_t full = capacity * MICRO, elapsed = now_us - b->at_us;
    if (b->at_us == 0 || elapsed < 0 || elapsed >= full / per_minute * 60)
        b->micro_tokens = full;
    else
        b->micro_tokens += elapsed * per_minute / 60;
    if (b->micro_tokens > full)
        b->micro_tokens = full;
    b->at_us = now_us;
    if (b->micro_tokens >= MICRO) {
        b->micro_tokens -= MICRO;
        return 0;
    }
    return (MICRO - b->micro_tokens) * 60 / per_minute / 1000 + 1;
}
