/* What auth decides without asking anybody.
 *
 * Refresh tokens. A token is 256 random bits; only its SHA-256 is stored. Its successor is
 * HMAC(server secret, token): random to everybody else, yet the same again when a client that lost
 * the answer asks once more. Such a repeat is believed for GRACE_US, from the client that spent the
 * token, and only while nobody has used the successor; any other second use means that two parties
 * hold the same token, so the whole family ends. */

#include <arpa/inet.h>

#include "auth/auth.h"

#define GRACE_US (10 * USEC_PER_SEC)

const char *email_normal(struct arena *a, const char *email)
{
    char *copy = arena_strdup(a, email);
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

const char *address_network(struct arena *a, const char *address)
{
    struct in6_addr whole;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, address, &whole) != 1)
        return address;
    if (IN6_IS_ADDR_V4MAPPED(&whole)) {
        inet_ntop(AF_INET, &whole.s6_addr[12], text, sizeof(text));
        return arena_strdup(a, text);
    }
    memset(&whole.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &whole, text, sizeof(text));
    return arena_printf(a, "%s/64", text);
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
