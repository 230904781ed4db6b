/* What notification hears. A handler renders the message and queues its rows; nothing is sent here,
 * so a mail server that is away holds up nobody. Who gets it is decided in the insert itself. */

#include "notification/notification.h"

struct notice {
    const char *template;
    const char *kind;
    const char *user_id, *email;
    int64_t delay_s;
};

static int notify(
    struct pg_tx *tx, const struct event *e, const struct notice *n, const struct message *m)
{
    struct arena *a = fiber_arena();
    struct preview texts;
    TRY(message_render(a, template_find(n->template), m, &texts));
    const struct delivery_draft draft = {.event_id = e->id,
        .correlation_id = correlation_current(),
        .template = n->template,
        .kind = n->kind,
        .user_id = n->user_id,
        .email = n->email,
        .message_id = delivery_message_id(a, e->id, n->template, config_text("MAIL_FROM")),
        .delay_s = n->delay_s,
        .texts = &texts};
    TRY(store_delivery_add(tx, &draft));
    app_nudge(SENDER);
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
        tx, e, &(struct notice){"order_confirmation", "orders", o->user_id, o->user_email, 0}, &m);
}

static int about_order(struct pg_tx *tx, const struct event *e, const char *template)
{
    const struct order_event *o = e->payload;
    struct message m;
    message_of_order(fiber_arena(), public_url(), o, &m);
    return notify(tx, e, &(struct notice){template, "orders", o->user_id, o->user_email, 0}, &m);
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
    return notify(tx, e, &(struct notice){template, "payments", p->user_id, p->user_email, 0}, &m);
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
    TRY(store_contact_told(tx, u, e->timestamp_us));
    message_of_user(fiber_arena(), public_url(), u, &m);
    return notify(tx, e,
        &(struct notice){"welcome", "account", u->user_id, u->email, config_i64("WELCOME_DELAY_S")},
        &m);
}

static int on_user_updated(struct pg_tx *tx, const struct event *e)
{
    return store_contact_told(tx, e->payload, e->timestamp_us);
}

static int on_user_deactivated(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *u = e->payload;
    return store_contact_off(tx, u->user_id);
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
};
const size_t notification_consumers_count = ARRAY_SIZE(notification_consumers);
