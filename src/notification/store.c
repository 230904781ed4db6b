#include "common/base/uuid.h"
#include "notification/notification.h"

#define OWN_COLUMNS "id, template, channel, recipient, subject, status, created_at, sent_at "
#define ADMIN_COLUMNS                                                                              \
    "id, event_id, template, channel, recipient, user_id, subject, message_id, correlation_id, "   \
    "status, attempts, next_attempt_at, last_error, created_at, sent_at "

/* What can still happen to the orders that a closed account leaves open. Who can't log in any more
 * learns it by mail or not at all, so no preference is asked. */
#define OPEN_ORDERS "('order_shipped', 'order_cancelled', 'payment_refunded') "

#define CLAIM_COLUMNS                                                                              \
    "id, template, channel, recipient, subject, message, body_text, body_html, sealed, user_id, "  \
    "message_id, correlation_id, attempts, created_at, status"
static const struct field claim_fields[] = {
    FIELD_UUID(struct delivery, id, "deliveryId"),
    FIELD_TEXT(struct delivery, template, "template"),
    FIELD_TEXT(struct delivery, channel, "channel"),
    FIELD_TEXT(struct delivery, recipient, "recipient"),
    FIELD_TEXT(struct delivery, subject, "subject"),
    FIELD_TEXT(struct delivery, message, "message"),
    FIELD_TEXT(struct delivery, text, "text"),
    FIELD_TEXT(struct delivery, html, "html"),
    FIELD_TEXT(struct delivery, sealed, "sealed", .secret = true),
    FIELD_UUID(struct delivery, user_id, "userId"),
    FIELD_TEXT(struct delivery, message_id, "messageId"),
    FIELD_TEXT(struct delivery, correlation_id, "correlationId"),
    FIELD_I64(struct delivery, attempts, "attempts"),
    FIELD_TIME(struct delivery, created_at, "createdAt"),
    FIELD_TEXT(struct delivery, status, "status"),
};
const struct table claim_table = TABLE("ClaimRow", struct delivery, claim_fields);

enum {
    SQL_ADD,
    SQL_CONTACT_TOLD,
    SQL_CONTACT_OFF,
    SQL_SUPPRESS,
    SQL_PREFERENCES,
    SQL_PREFERENCES_SET,
    SQL_LIST_OF_USER,
    SQL_LIST,
    SQL_LOCK,
    SQL_AGAIN,
    SQL_CLAIM,
    SQL_SENT,
    SQL_NOT_SENT,
    SQL_GIVE_BACK,
};

const struct pg_statement notification_statements[] = {
    /* The contact decides, as it is at this moment: the address, the other channels, and whether
     * the kind is wanted. Mail leaves a row in any case, so that the log can say why it did not go
     * out. */
    [SQL_ADD] = {"deliveries_add",
        "INSERT INTO deliveries (id, event_id, template, kind, channel, recipient, user_id, "
        "subject, message, message_id, correlation_id, status, attempts, last_error, "
        "next_attempt_at, sealed) "
        "SELECT d.id, n.event_id, n.template, n.kind, d.channel, coalesce(d.recipient, ''), "
        "n.user_id, n.subject, d.message, d.message_id, n.correlation_id, "
        "CASE WHEN NOT d.wanted THEN 'suppressed' WHEN d.recipient IS NULL THEN 'failed' "
        "WHEN n.take THEN 'sending' ELSE 'pending' END, "
        "CASE WHEN d.wanted AND d.recipient IS NOT NULL AND n.take THEN 1 ELSE 0 END, "
        "CASE WHEN d.wanted AND d.recipient IS NULL THEN 'no address is known' END, "
        "now() + make_interval(secs => CASE WHEN d.wanted AND d.recipient IS NOT NULL AND n.take "
        "THEN $15::bigint / 1000000.0 ELSE n.delay_s END), n.sealed "
        "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], "
        "$7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::uuid[], "
        "$13::uuid[], $14::uuid[], $16::bool[]) AS n (event_id, template, kind, user_id, email, "
        "subject, message, message_id, correlation_id, delay_s, sealed, mail, sms, push, take) "
        "LEFT JOIN contacts c ON c.user_id = n.user_id CROSS JOIN LATERAL (VALUES "
        "(n.mail, 'email', coalesce(c.email, n.email), n.message, n.message_id, "
        "n.kind = 'account' OR c.user_id IS NULL OR (c.active AND CASE n.kind WHEN 'orders' THEN "
        "c.email_orders WHEN 'payments' THEN c.email_payments ELSE c.email_marketing END) OR "
        "(NOT c.active AND n.template IN " OPEN_ORDERS ")), "
        "(n.sms, 'sms', c.sms_phone, NULL, NULL, c.active AND c.sms_enabled), "
        "(n.push, 'push', c.push_topic, NULL, NULL, c.active AND c.push_enabled)) "
        "d (id, channel, recipient, message, message_id, wanted) "
        "WHERE d.channel = 'email' OR d.wanted ON CONFLICT DO NOTHING RETURNING " CLAIM_COLUMNS,
        &claim_table},
    /* Of two events the later one is right, whichever comes first. */
    [SQL_CONTACT_TOLD] = {"contact_told",
        "INSERT INTO contacts AS c (user_id, email, name, told_at, named_at) VALUES ($1, $2, "
        "$3::text, $4::timestamptz, CASE WHEN $3::text IS NULL THEN '-infinity' ELSE "
        "$4::timestamptz END) ON CONFLICT (user_id) DO UPDATE SET "
        "email = CASE WHEN c.told_at <= excluded.told_at THEN excluded.email ELSE c.email END, "
        "told_at = greatest(c.told_at, excluded.told_at), "
        "name = CASE WHEN c.named_at <= excluded.named_at THEN coalesce(excluded.name, c.name) "
        "ELSE c.name END, named_at = greatest(c.named_at, excluded.named_at)"},
    [SQL_CONTACT_OFF] = {"contact_off",
        "INSERT INTO contacts (user_id, active, email_orders, email_payments) "
        "VALUES ($1, false, false, false) ON CONFLICT (user_id) DO UPDATE SET active = false, "
        "email_orders = false, email_payments = false, email_marketing = false, "
        "sms_enabled = false, sms_phone = NULL, push_enabled = false, push_topic = NULL"},
    [SQL_SUPPRESS] = {"deliveries_suppress",
        "UPDATE deliveries SET status = 'suppressed', last_error = 'the account was closed' "
        "WHERE user_id = $1 AND status = 'pending' AND (kind <> 'account' OR template IN "
        "('welcome', 'verify_email', 'password_reset')) AND template NOT IN " OPEN_ORDERS},
    [SQL_PREFERENCES] = {"preferences",
        "SELECT json_build_object('orders', email_orders, 'payments', email_payments, "
        "'marketing', email_marketing), "
        "json_build_object('enabled', sms_enabled, 'phone', sms_phone), "
        "json_build_object('enabled', push_enabled, 'topic', push_topic) "
        "FROM contacts WHERE user_id = $1",
        &preferences_table},
    [SQL_PREFERENCES_SET] = {"preferences_set",
        "INSERT INTO contacts (user_id, email_orders, email_payments, email_marketing, "
        "sms_enabled, sms_phone, push_enabled, push_topic) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
        "ON CONFLICT (user_id) DO UPDATE SET email_orders = $2, email_payments = $3, "
        "email_marketing = $4, sms_enabled = $5, sms_phone = $6, push_enabled = $7, "
        "push_topic = $8 WHERE contacts.active"},
    [SQL_LIST_OF_USER] = {"deliveries_of_user",
        "SELECT " OWN_COLUMNS "FROM deliveries WHERE user_id = $1 "
        "AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid)) "
        "ORDER BY created_at DESC, id DESC LIMIT $4",
        &notification_table},
    [SQL_LIST] = {"deliveries",
        "SELECT " ADMIN_COLUMNS "FROM deliveries WHERE ($1::text IS NULL OR status = $1) "
        "AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid)) "
        "ORDER BY created_at DESC, id DESC LIMIT $4",
        &delivery_table},
    [SQL_LOCK] = {"delivery_lock",
        "SELECT " ADMIN_COLUMNS "FROM deliveries WHERE id = $1 FOR UPDATE", &delivery_table},
    [SQL_AGAIN] = {"delivery_again",
        "UPDATE deliveries d SET status = 'pending', attempts = 0, "
        "earlier_attempts = earlier_attempts + attempts, next_attempt_at = now(), sent_at = NULL, "
        "last_error = NULL, recipient = coalesce(nullif(recipient, ''), "
        "(SELECT c.email FROM contacts c WHERE c.user_id = d.user_id), '') "
        "WHERE id = $1 RETURNING " ADMIN_COLUMNS,
        &delivery_table},
    [SQL_CLAIM] = {"deliveries_claim",
        "UPDATE deliveries SET status = 'sending', attempts = attempts + 1, "
        "next_attempt_at = now() + make_interval(secs => $2::bigint / 1000000.0) WHERE id IN ("
        "SELECT id FROM deliveries WHERE status IN ('pending', 'sending') "
        "AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED) "
        "RETURNING " CLAIM_COLUMNS,
        &claim_table},
    [SQL_SENT] = {"deliveries_sent",
        "UPDATE deliveries SET status = 'sent', sent_at = now(), "
        "last_error = NULL WHERE id = ANY ($1::uuid[]) AND status <> 'sent'"},
    [SQL_NOT_SENT] = {"delivery_not_sent",
        "UPDATE deliveries SET last_error = $4, "
        "status = CASE WHEN $3::bigint < 0 THEN 'failed' ELSE 'pending' END, "
        "next_attempt_at = now() + make_interval(secs => greatest($3, 0) / 1000000.0) "
        "WHERE id = $1 AND status = 'sending' AND attempts = $2"},
    [SQL_GIVE_BACK] = {"deliveries_give_back",
        "UPDATE deliveries SET status = 'pending', attempts = attempts - 1, "
        "next_attempt_at = now() WHERE id = ANY ($1::uuid[]) AND status = 'sending'"},
};
/* A message that was wished for later is no backlog before its first attempt is due. */
const struct pg_statement notification_backlog = {"notification_backlog",
    "SELECT 'messages', count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0) "
    "FROM deliveries WHERE status IN ('pending', 'sending') "
    "AND (attempts > 0 OR next_attempt_at <= now())",
    &backlog_table};

const size_t notification_statements_count = ARRAY_SIZE(notification_statements);

/* ---- in the batch's transaction ---- */

static const char *new_ids(size_t count)
{
    struct buf ids = {0};
    char id[UUID_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        uuid_make(id);
        pg_array_put(&ids, id);
    }
    return pg_array_text(&ids);
}

/* The rows that are the caller's to send, moved to the front. */
static struct list taken_of(struct list rows)
{
    size_t n = 0;
    for (size_t i = 0; i < rows.len; i++) {
        const struct delivery *d = LIST_AT(rows, struct delivery, i);
        if (strcmp(d->status, "sending") == 0)
            *LIST_AT(rows, struct delivery, n++) = *d;
    }
    rows.len = n;
    return rows;
}

int store_deliveries_add(struct pg_tx *tx, struct list drafts, struct list *ret_deliveries)
{
    struct buf events = {0}, names = {0}, kinds = {0}, users = {0}, emails = {0}, subjects = {0},
               messages = {0}, message_ids = {0}, correlations = {0}, delays = {0}, seals = {0},
               takes = {0};
    struct pg_result result;
    for (size_t i = 0; i < drafts.len; i++) {
        const struct delivery_draft *d = LIST_AT(drafts, struct delivery_draft, i);
        pg_array_put(&events, d->event_id);
        pg_array_put(&names, d->template);
        pg_array_put(&kinds, d->kind);
        pg_array_put(&users, d->user_id);
        pg_array_put(&emails, d->email);
        pg_array_put(&subjects, d->subject);
        pg_array_put(&messages, d->message);
        pg_array_put(&message_ids, d->message_id);
        pg_array_put(&correlations, d->correlation_id);
        pg_array_put_i64(&delays, d->delay_s);
        pg_array_put(&seals, d->sealed);
        pg_array_put(&takes, d->take ? "t" : "f");
    }
    TRY(pg_run(tx, &notification_statements[SQL_ADD],
        PG_ARGS(PG_TEXT(pg_array_text(&events)), PG_TEXT(pg_array_text(&names)),
            PG_TEXT(pg_array_text(&kinds)), PG_TEXT(pg_array_text(&users)),
            PG_TEXT(pg_array_text(&emails)), PG_TEXT(pg_array_text(&subjects)),
            PG_TEXT(pg_array_text(&messages)), PG_TEXT(pg_array_text(&message_ids)),
            PG_TEXT(pg_array_text(&correlations)), PG_TEXT(pg_array_text(&delays)),
            PG_TEXT(pg_array_text(&seals)), PG_TEXT(new_ids(drafts.len)),
            PG_TEXT(new_ids(drafts.len)), PG_TEXT(new_ids(drafts.len)), PG_I64(LEASE_US),
            PG_TEXT(pg_array_text(&takes))),
        &result));
    *ret_deliveries = taken_of(result.rows);
    return 0;
}

int store_contact_told(struct pg_tx *tx, const struct user_event *u, int64_t at_us)
{
    return pg_queue(tx, &notification_statements[SQL_CONTACT_TOLD],
        PG_ARGS(PG_TEXT(u->user_id), PG_TEXT(u->email), PG_TEXT(u->name), PG_TIME(at_us)));
}

int store_contact_off(struct pg_tx *tx, const char *user_id)
{
    TRY(pg_queue(tx, &notification_statements[SQL_CONTACT_OFF], PG_ARGS(PG_TEXT(user_id))));
    return pg_queue(tx, &notification_statements[SQL_SUPPRESS], PG_ARGS(PG_TEXT(user_id)));
}

/* ---- preferences ---- */

int store_preferences(const char *user_id, struct preferences **ret_preferences)
{
    struct pg_result result;
    TRY(pg_query(
        app()->pg, &notification_statements[SQL_PREFERENCES], PG_ARGS(PG_TEXT(user_id)), &result));
    *ret_preferences = PG_FIRST(result, struct preferences);
    return 0;
}

int store_preferences_set(const char *user_id, const struct preferences *p)
{
    return pg_query(app()->pg, &notification_statements[SQL_PREFERENCES_SET],
        PG_ARGS(PG_TEXT(user_id), PG_BOOL(p->email->orders), PG_BOOL(p->email->payments),
            PG_BOOL(p->email->marketing), PG_BOOL(p->sms->enabled), PG_TEXT(p->sms->phone),
            PG_BOOL(p->push->enabled), PG_TEXT(p->push->topic)),
        NULL);
}

/* ---- lists ---- */

static int list_of(const struct pg_statement *s, const char *filter, int64_t before_us,
    const char *before_id, int64_t limit, struct list *ret_deliveries)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, s,
        PG_ARGS(PG_TEXT(filter), PG_TIME(before_us), PG_TEXT(before_id), PG_I64(limit + 1)),
        &result));
    *ret_deliveries = result.rows;
    return 0;
}

int store_list_of_user(const char *user_id, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_deliveries)
{
    return list_of(&notification_statements[SQL_LIST_OF_USER], user_id, before_us, before_id, limit,
        ret_deliveries);
}

int store_list(const char *status, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_deliveries)
{
    return list_of(
        &notification_statements[SQL_LIST], status, before_us, before_id, limit, ret_deliveries);
}

/* ---- one delivery ---- */

static int one_of(
    struct pg_tx *tx, const struct pg_statement *s, const char *id, struct delivery **ret_delivery)
{
    struct pg_result result;
    TRY(pg_run(tx, s, PG_ARGS(PG_TEXT(id)), &result));
    *ret_delivery = PG_FIRST(result, struct delivery);
    return 0;
}

int store_delivery_lock(struct pg_tx *tx, const char *id, struct delivery **ret_delivery)
{
    return one_of(tx, &notification_statements[SQL_LOCK], id, ret_delivery);
}

int store_delivery_again(struct pg_tx *tx, const char *id, struct delivery **ret_delivery)
{
    return one_of(tx, &notification_statements[SQL_AGAIN], id, ret_delivery);
}

/* ---- sending ---- */

int store_claim(int64_t limit, int64_t lease_us, struct list *ret_deliveries)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &notification_statements[SQL_CLAIM],
        PG_ARGS(PG_I64(limit), PG_I64(lease_us)), &result));
    *ret_deliveries = result.rows;
    return 0;
}

int store_give_back(const char *ids)
{
    return pg_query(
        app()->pg, &notification_statements[SQL_GIVE_BACK], PG_ARGS(PG_TEXT(ids)), NULL);
}

static int write_sent(struct pg_tx *tx, void *ids)
{
    TRY(pg_reuse_plans(tx));
    return pg_queue(tx, &notification_statements[SQL_SENT], PG_ARGS(PG_TEXT(ids)));
}

int store_sent(const char *ids)
{
    return pg_transaction(app()->pg, write_sent, (void *)(uintptr_t)ids);
}

int store_not_sent(const struct delivery *d, int64_t pause_us, const char *why)
{
    return pg_query(app()->pg, &notification_statements[SQL_NOT_SENT],
        PG_ARGS(PG_TEXT(d->id), PG_I64(d->attempts), PG_I64(pause_us), PG_TEXT(why)), NULL);
}
