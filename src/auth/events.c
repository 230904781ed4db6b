/* What auth tells the others: accounts made, changed, closed. It hears nothing. */

#include "auth/auth.h"

int publish_user(struct pg_tx *tx, const struct event_kind *kind, const struct user *u)
{
    const struct user_event e = {.user_id = u->id, .email = u->email, .name = u->name};
    return outbox_add(tx, kind, u->id, &e);
}

const struct event_kind *const auth_publishes[] = {
    &EVENT_USER_REGISTERED, &EVENT_USER_UPDATED, &EVENT_USER_DEACTIVATED};
const size_t auth_publishes_count = ARRAY_SIZE(auth_publishes);
