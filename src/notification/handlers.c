#include "common/base/uuid.h"
#include "notification/notification.h"

/* ---- preferences ---- */

/* Of somebody who has never said anything. */
static struct preferences default_preferences(struct arena *a)
{
    struct preferences p = {ARENA_NEW(a, struct email_preferences),
        ARENA_NEW(a, struct sms_preferences), ARENA_NEW(a, struct push_preferences)};
    p.email->orders = p.email->payments = true;
    return p;
}

int get_preferences(struct request *req)
{
    struct preferences defaults = default_preferences(req->arena), *p;
    TRY(store_preferences(req->caller.user_id, &p));
    return reply(req, 200, &preferences_table, p ? p : &defaults);
}

int put_preferences(struct request *req)
{
    const struct preferences *body = req->body;
    struct preferences p = default_preferences(req->arena);
    p.email = body->email;
    if (body->sms)
        p.sms = body->sms;
    if (body->push)
        p.push = body->push;
    if (p.sms->enabled && !p.sms->phone)
        return refuse_field(req, "/sms/phone", "is needed to send you an SMS");
    if (p.push->enabled && !p.push->topic)
        return refuse_field(req, "/push/topic", "is needed to push messages to you");
    TRY(store_preferences_set(req->caller.user_id, &p));
    return reply(req, 200, &preferences_table, &p);
}

/* ---- lists ---- */

static int reply_deliveries(
    struct request *req, const struct table *t, struct list deliveries, int64_t limit)
{
    const char *next = NULL;
    if ((int64_t)deliveries.len > limit) {
        deliveries.len = (size_t)limit;
        const struct delivery *last = LIST_AT(deliveries, struct delivery, deliveries.len - 1);
        next = place_cursor(req->arena, last->created_at, last->id);
    }
    return reply_page(req, t, deliveries, next);
}

int get_notifications(struct request *req)
{
    const struct list_params *p = req->params;
    struct place before;
    struct list deliveries;
    TRY(place_read(req, p->cursor, true, &before));
    TRY(store_list_of_user(req->caller.user_id, before.number, before.id, p->limit, &deliveries));
    return reply_deliveries(req, &notification_table, deliveries, p->limit);
}

int get_deliveries(struct request *req)
{
    const struct list_params *p = req->params;
    struct place before;
    struct list deliveries;
    TRY(place_read(req, p->cursor, true, &before));
    TRY(store_list(p->status, before.number, before.id, p->limit, &deliveries));
    return reply_deliveries(req, &delivery_table, deliveries, p->limit);
}

/* ---- by hand ---- */

int post_resend(struct request *req)
{
    const struct delivery_params *p = req->params;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct delivery *d;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_delivery_lock(tx, p->delivery_id, &d));
    if (!d)
        return refuse(req, OUTCOME_NOT_FOUND, "There is no delivery %s", p->delivery_id);
    if (strcmp(d->status, "pending") == 0 || strcmp(d->status, "sending") == 0)
        return refuse(req, NOTIFICATION_ON_ITS_WAY, "Delivery %s is %s", d->id, d->status);
    if (strcmp(d->status, "suppressed") == 0)
        return refuse(req, NOTIFICATION_UNWANTED, "Delivery %s was suppressed", d->id);
    TRY(store_delivery_again(tx, d->id, &d));
    TRY(reply_stored(req, tx, 200, &delivery_table, d));
    TRY(pg_commit(tx));
    sender_look();
    return 0;
}

int get_preview(struct request *req)
{
    const struct template_params *p = req->params;
    const struct template *template = template_find(p->name);
    struct message sample;
    struct preview texts;
    if (!template)
        return refuse(req, OUTCOME_NOT_FOUND, "There is no template of that name");
    message_sample(req->arena, config_text("PUBLIC_URL"), &sample);
    TRY(message_render(req->arena, template, &sample, &texts));
    return reply(req, 200, &preview_table, &texts);
}
