/* What auth tells the others: accounts made, changed, closed, links to be mailed, and what their
 * owners should know. It hears nothing. */

#include "auth/auth.h"

int publish_user(struct pg_tx *tx, const struct event_kind *kind, const struct user *u)
{
    const struct user_event e = {.user_id = u->id, .email = u->email, .name = u->name};
    return outbox_add(tx, kind, u->id, &e);
}

int publish_link(struct pg_tx *tx, const struct event_kind *kind, const struct user *u,
    const char *token, int64_t expires_at)
{
    char sealed[CRYPTO_SEALED_SIZE(CRYPTO_TOKEN_SIZE)];
    crypto_seal(span_of(config_text("MAIL_TOKEN_KEY")), span_of(u->id), span_of(token), sealed,
        sizeof(sealed));
    const struct user_link_event e = {
        .user_id = u->id, .email = u->email, .token = sealed, .expires_at = expires_at};
    return outbox_add(tx, kind, u->id, &e);
}

int publish_session(struct pg_tx *tx, const struct event_kind *kind, const struct user *u,
    const char *session_id, struct request *req)
{
    const struct user_session_event e = {.user_id = u->id,
        .email = u->email,
        .name = u->name,
        .session_id = session_id,
        .address = request_address(req),
        .user_agent = request_user_agent(req)};
    return outbox_add(tx, kind, u->id, &e);
}

const struct event_kind *const auth_publishes[] = {&EVENT_USER_REGISTERED, &EVENT_USER_UPDATED,
    &EVENT_USER_DEACTIVATED, &EVENT_USER_VERIFICATION_REQUESTED, &EVENT_USER_RESET_REQUESTED,
    &EVENT_USER_PASSWORD_CHANGED, &EVENT_USER_CLIENT_ADDED, &EVENT_USER_REUSE_DETECTED};
const size_t auth_publishes_count = ARRAY_SIZE(auth_publishes);
