/* What notification hears. A handler leaves a draft of its message; nothing is sent here, so a mail
 * server that is away holds up nobody. The drafts of a batch become rows in one statement, before
 * anything that changes who gets what, and at the batch's end; who gets them is decided in there.
 *
 * As many as the sender has room for are taken for it by that statement, and go to it when the
 * batch is committed. When the process dies before, their lease runs out. */

#include "common/json/writer.h"
#include "notification/notification.h"

/* Of the batch at hand, in its arena. */
static struct delivery_draft *drafts;
static size_t drafts_count;
static size_t room; /* how many the sender takes of them */
static struct taken {
    struct taken *next;
    struct list deliveries;
} * taken;
static int64_t taken_until_us;
static bool some_wait; /* for the sender's own look */

#define CHANNELS 3 /* rows that a draft may become */

struct notice {
    const char *template;
    const char *kind;
    const char *user_id, *email;
    int64_t delay_s;
    const char *sealed; /* a token in the links, NULL: none */
};

int notification_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count)
{
    (void)tx, (void)events;
    drafts = arena_array(fiber_arena(), count, sizeof(*drafts)); /* one of an event at most */
    drafts_count = 0;
    room = sender_room();
    taken = NULL;
    some_wait = false;
    taken_until_us = clock_mono_us() + LEASE_US;
    return 0;
}

static int write_drafts(struct pg_tx *tx)
{
    struct taken *t = ARENA_NEW(fiber_arena(), struct taken);
    if (drafts_count == 0)
        return 0;
    TRY(store_deliveries_add(tx, (struct list){drafts_count, drafts}, &t->deliveries));
    drafts += drafts_count;
    drafts_count = 0;
    t->next = taken;
    taken = t;
    return 0;
}

/* As rows that wait, which the closing of an account can still hold back. */
static int write_drafts_untaken(struct pg_tx *tx)
{
    for (size_t i = 0; i < drafts_count; i++)
        drafts[i].take = false;
    some_wait = some_wait || drafts_count;
    return write_drafts(tx);
}

int notification_after_batch(struct pg_tx *tx)
{
    return write_drafts(tx);
}

void notification_batch_committed(void)
{
    for (; taken; taken = taken->next)
        sender_take(taken->deliveries, taken_until_us);
    if (some_wait)
        sender_look();
}

/* What is delayed waits in its row, like what the sender has no room for. */
static int notify(
    struct pg_tx *tx, const struct event *e, const struct notice *n, const struct message *m)
{
    struct arena *a = fiber_arena();
    const struct template *template = template_find(n->template);
    struct delivery_draft *d = &drafts[drafts_count];
    (void)tx;
    *d = (struct delivery_draft){.event_id = e->id,
        .correlation_id = arena_strdup(a, correlation_current()),
        .template = n->template,
        .kind = n->kind,
        .user_id = n->user_id,
        .email = n->email,
        .message_id = delivery_message_id(a, e->id, n->template, config_text("MAIL_FROM")),
        .delay_s = n->delay_s,
        .sealed = n->sealed,
        .message = json_struct_text(a, &message_table, m),
        .take = n->delay_s == 0 && room >= CHANNELS};
    TRY(message_subject(a, template, m, &d->subject));
    room -= d->take ? CHANNELS : 0;
    some_wait = some_wait || !d->take;
    drafts_count++;
    return 0;
}

static const char *public_url(void)
{
    return config_text("PUBLIC_URL");
}

static int on_order_created(struct pg_tx *tx, const struct event *e)
{
    const struct order_created *o = e->payload;
    struct message m;
    TRY(message_of_order_created(fiber_arena(), public_url(), o, &m));
    return notify(
        tx, e, &(struct notice){"order_confirmation", "orders", o->user_id, o->user_email}, &m);
}

static int about_order(struct pg_tx *tx, const struct event *e, const char *template)
{
    const struct order_event *o = e->payload;
    struct message m;
    message_of_order(fiber_arena(), public_url(), o, &m);
    return notify(tx, e, &(struct notice){template, "orders", o->user_id, o->user_email}, &m);
}

static int on_order_cancelled(struct pg_tx *tx, const struct event *e)
{
    return about_order(tx, e, "order_cancelled");
}

static int on_order_shipped(struct pg_tx *tx, const struct event *e)
{
    return about_order(tx, e, "order_shipped");
}

static int about_payment(struct pg_tx *tx, const struct event *e, const char *template)
{
    const struct payment_event *p = e->payload;
    struct message m;
    message_of_payment(fiber_arena(), public_url(), p, &m);
    return notify(tx, e, &(struct notice){template, "payments", p->user_id, p->user_email}, &m);
}

static int on_payment_completed(struct pg_tx *tx, const struct event *e)
{
    return about_payment(tx, e, "payment_receipt");
}

static int on_payment_refunded(struct pg_tx *tx, const struct event *e)
{
    return about_payment(tx, e, "payment_refunded");
}

static int on_user_registered(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *u = e->payload;
    struct message m;
    TRY(write_drafts(tx));
    TRY(store_contact_told(tx, u, e->timestamp_us));
    message_of_user(fiber_arena(), public_url(), u, &m);
    return notify(tx, e,
        &(struct notice){"welcome", "account", u->user_id, u->email, config_i64("WELCOME_DELAY_S")},
        &m);
}

static int on_user_updated(struct pg_tx *tx, const struct event *e)
{
    TRY(write_drafts(tx));
    return store_contact_told(tx, e->payload, e->timestamp_us);
}

/* The last one to go out: about the account itself, like all that follow here. */
static int on_user_deactivated(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *u = e->payload;
    struct message m;
    TRY(write_drafts_untaken(tx));
    TRY(store_contact_off(tx, u->user_id));
    message_of_user(fiber_arena(), public_url(), u, &m);
    return notify(tx, e, &(struct notice){"account_closed", "account", u->user_id, u->email}, &m);
}

/* ---- links and warnings ---- */

/* A link that has run out, or lost its token among the dead letters, helps nobody. */
static int about_link(
    struct pg_tx *tx, const struct event *e, const char *template, const char *page)
{
    const struct user_link_event *l = e->payload;
    struct message m;
    if (l->expires_at <= clock_wall_us() || !message_token_readable(l)) {
        log_info("link not mailed, it is of no use any more", LF_TEXT("template", template));
        return 0;
    }
    message_of_link(fiber_arena(), public_url(), page, l, &m);
    return notify(
        tx, e, &(struct notice){template, "account", l->user_id, l->email, .sealed = l->token}, &m);
}

static int on_verification_requested(struct pg_tx *tx, const struct event *e)
{
    return about_link(tx, e, "verify_email", "/api/v1/auth/email-verifications/page");
}

static int on_reset_requested(struct pg_tx *tx, const struct event *e)
{
    return about_link(tx, e, "password_reset", "/api/v1/auth/password-resets/page");
}

static int about_session(struct pg_tx *tx, const struct event *e, const char *template)
{
    const struct user_session_event *s = e->payload;
    struct message m;
    message_of_session(fiber_arena(), public_url(), s, &m);
    return notify(tx, e, &(struct notice){template, "account", s->user_id, s->email}, &m);
}

static int on_password_changed(struct pg_tx *tx, const struct event *e)
{
    return about_session(tx, e, "password_changed");
}

static int on_client_added(struct pg_tx *tx, const struct event *e)
{
    return about_session(tx, e, "new_sign_in");
}

static int on_reuse_detected(struct pg_tx *tx, const struct event *e)
{
    return about_session(tx, e, "session_reused");
}

const struct consumer_row notification_consumers[] = {
    {&EVENT_ORDER_CREATED, on_order_created, NULL},
    {&EVENT_ORDER_CANCELLED, on_order_cancelled, NULL},
    {&EVENT_ORDER_SHIPPED, on_order_shipped, NULL},
    {&EVENT_PAYMENT_COMPLETED, on_payment_completed, NULL},
    {&EVENT_PAYMENT_REFUNDED, on_payment_refunded, NULL},
    {&EVENT_USER_REGISTERED, on_user_registered, "user.created"},
    {&EVENT_USER_UPDATED, on_user_updated, NULL},
    {&EVENT_USER_DEACTIVATED, on_user_deactivated, NULL},
    {&EVENT_USER_VERIFICATION_REQUESTED, on_verification_requested, NULL},
    {&EVENT_USER_RESET_REQUESTED, on_reset_requested, NULL},
    {&EVENT_USER_PASSWORD_CHANGED, on_password_changed, NULL},
    {&EVENT_USER_CLIENT_ADDED, on_client_added, NULL},
    {&EVENT_USER_REUSE_DETECTED, on_reuse_detected, NULL},
};
const size_t notification_consumers_count = ARRAY_SIZE(notification_consumers);
