/* Every SQL text of the payment service (the sandbox bank keeps its own books).
 *
 * Results are written blindly, event and all, in one round trip. What makes that safe is in the
 * statements themselves: an UPDATE that finds its row in a state that doesn't allow the result sets
 * no status, which the column refuses, so the whole transaction fails by itself.
 *
 * Every checkout passes here with four writes of its row: made, authorized, ordered, captured. The
 * lease that the row is made with covers them all, so that next_at, which is in an index, changes
 * once more only, when the row comes to rest. A row that is authorized and not ordered yet is
 * nobody's work, whatever lease is left on it. */

#include "payment/payment.h"

/* Until its order is heard of. */
#define IDLE "(p.status = 'authorized' AND p.ordered IS NULL AND NOT p.cancelled)"

#define PAYMENT_COLUMNS                                                                            \
    "p.id, p.order_id, p.user_id, p.status::text, p.amount, p.currency, p.captured, p.refunded, "  \
    "p.reason, p.created_at, p.updated_at, p.user_email, p.token, p.reference, "                   \
    "p.correlation_id, p.ordered, p.refunding, p.cancelled, "                                      \
    "coalesce(p.next_at > now() AND NOT " IDLE ", false), p.attempts "

#define METHOD_COLUMNS "id, provider, label, created_at, token "

#define REFUND_COLUMNS                                                                             \
    "r.id, r.payment_id, r.amount, r.currency, r.status, r.reason, r.created_at, p.reference, "    \
    "r.correlation_id, r.attempts "

/* `next` when the row's status is one of `from`, else none, which no row may have. */
#define STATUS_FROM(from, next)                                                                    \
    "status = CASE WHEN status IN (" from ") THEN '" next "'::payment_status END, "
/* The first row of a payment doesn't wait for the disk, and a crash of PostgreSQL may take it away
 * while the bank is asked: then the bank's answer must not be told of a payment that isn't there.
 * Without a row this divides by zero. */
#define NEVER_NONE(update)                                                                         \
    "WITH written AS (" update " RETURNING 1) SELECT 1 / count(*) FROM written"
#define REFUND_STATUS_FROM(from, next)                                                             \
    "status = CASE WHEN status IN (" from ") THEN '" next "' END, "

enum {
    SQL_METHOD_INSERT,
    SQL_METHOD_LIST,
    SQL_METHOD_GET,
    SQL_METHOD_DELETE,
    SQL_METHODS_DELETE_ALL,
    SQL_ACCOUNT_TURN,
    SQL_ACCOUNT_CLOSE,
    SQL_INSERT,
    SQL_GET,
    SQL_GET_BY_ORDER,
    SQL_LOCK,
    SQL_LOCK_BY_ORDER,
    SQL_REFUNDS,
    SQL_ORDERED,
    SQL_CANCELLED,
    SQL_TOMBSTONE,
    SQL_LEASE,
    SQL_CLAIM,
    SQL_CLAIM_REFUNDS,
    SQL_AUTHORIZED,
    SQL_UNDECIDED,
    SQL_FAILED,
    SQL_CAPTURED,
    SQL_VOIDED,
    SQL_RETRY,
    SQL_REST,
    SQL_REFUND_INSERT,
    SQL_REFUND_DONE,
    SQL_REFUND_FAILED,
    SQL_REFUND_RETRY,
};

const struct pg_statement payment_statements[] = {
    [SQL_METHOD_INSERT] = {"method_insert",
        "INSERT INTO payment_methods (id, user_id, provider, token, label, created_at) "
        "SELECT $1::uuid, $2::uuid, $3, $4, $5, $6 "
        "WHERE NOT EXISTS (SELECT 1 FROM closed_accounts WHERE user_id = $2)"},
    [SQL_METHOD_LIST] = {"method_list",
        "SELECT " METHOD_COLUMNS "FROM payment_methods WHERE user_id = $1 AND deleted_at IS NULL "
        "AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid)) "
        "ORDER BY created_at DESC, id DESC LIMIT $4",
        &payment_method_table},
    [SQL_METHOD_GET] = {"method_get",
        "SELECT " METHOD_COLUMNS "FROM payment_methods "
        "WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL",
        &payment_method_table},
    [SQL_METHOD_DELETE] = {"method_delete",
        "UPDATE payment_methods SET deleted_at = now() "
        "WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL"},
    [SQL_METHODS_DELETE_ALL] = {"methods_delete_all",
        "UPDATE payment_methods SET deleted_at = coalesce(deleted_at, now()), token = '' "
        "WHERE user_id = $1"},
    /* To the end of the transaction: an account is closed before or after a method is added. */
    [SQL_ACCOUNT_TURN] = {"account_turn",
        "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 20031))"},
    [SQL_ACCOUNT_CLOSE] = {"account_close",
        "INSERT INTO closed_accounts (user_id) VALUES ($1) ON CONFLICT DO NOTHING"},
    [SQL_INSERT] = {"payment_insert",
        "INSERT INTO payments AS p (id, order_id, user_id, user_email, method_id, token, status, "
        "amount, currency, correlation_id, next_at) "
        "SELECT $1::uuid, $2::uuid, m.user_id, $4::text, m.id, m.token, 'pending', $6::bigint, "
        "$7::text, $8::text, now() + make_interval(secs => $9::int) FROM payment_methods m "
        "WHERE m.id = $5 AND m.user_id = $3 AND m.deleted_at IS NULL "
        "AND set_config('synchronous_commit', 'off', true) = 'off' "
        "ON CONFLICT DO NOTHING RETURNING " PAYMENT_COLUMNS,
        &payment_table},
    [SQL_GET] = {"payment_get",
        "SELECT " PAYMENT_COLUMNS
        "FROM payments p WHERE p.id = $1 AND ($2::uuid IS NULL OR p.user_id = $2)",
        &payment_table},
    [SQL_GET_BY_ORDER] = {"payment_get_by_order",
        "SELECT " PAYMENT_COLUMNS
        "FROM payments p WHERE p.order_id = $1 AND ($2::uuid IS NULL OR p.user_id = $2)",
        &payment_table},
    [SQL_LOCK] = {"payment_lock",
        "SELECT " PAYMENT_COLUMNS "FROM payments p WHERE p.id = $1 FOR UPDATE", &payment_table},
    [SQL_LOCK_BY_ORDER] = {"payment_lock_by_order",
        "SELECT " PAYMENT_COLUMNS "FROM payments p WHERE p.order_id = $1 FOR UPDATE",
        &payment_table},
    [SQL_REFUNDS] = {"payment_refunds",
        "SELECT " REFUND_COLUMNS "FROM refunds r JOIN payments p ON p.id = r.payment_id "
        "WHERE r.payment_id = $1 ORDER BY r.created_at, r.id",
        &refund_table},

    /* What is authorized is taken at once, under the lease it has or a new one. Any other is left
     * to whoever works on it: greatest() passes over NULL. */
    [SQL_ORDERED] = {"payment_ordered",
        "UPDATE payments p SET ordered = o.amount, updated_at = now(), "
        "attempts = CASE WHEN p.status = 'authorized' THEN 1 ELSE p.attempts END, "
        "next_at = CASE WHEN p.status <> 'authorized' THEN greatest(p.next_at, now()) "
        "WHEN p.next_at > now() + make_interval(secs => $4::int) THEN p.next_at "
        "ELSE now() + make_interval(secs => $5::int) END "
        "FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS o (order_id, amount, currency) "
        "WHERE p.order_id = o.order_id AND p.currency = o.currency AND p.ordered IS NULL "
        "AND NOT p.cancelled AND p.status IN ('pending', 'unknown', 'authorized') "
        "RETURNING " PAYMENT_COLUMNS,
        &payment_table},
    [SQL_CANCELLED] = {"payment_cancelled",
        "UPDATE payments p SET cancelled = true, reason = coalesce(reason, $2), "
        "correlation_id = $3, updated_at = now(), "
        "next_at = CASE WHEN " IDLE " THEN now() ELSE greatest(next_at, now()) END "
        "WHERE order_id = $1 AND NOT cancelled AND status NOT IN ('failed', 'voided', 'refunded')"},
    [SQL_TOMBSTONE] = {"payment_tombstone",
        "INSERT INTO payments (id, order_id, status, amount, currency, cancelled, reason, "
        "correlation_id) VALUES ($1, $2, 'unknown', 0, '', true, $3, $4)"},
    [SQL_LEASE] = {"payment_lease",
        "UPDATE payments SET next_at = now() + make_interval(secs => $2::int) WHERE id = $1"},

    /* Among them what was not ordered while its first lease ran: that comes to rest. */
    [SQL_CLAIM] = {"payment_claim",
        "UPDATE payments p SET "
        "next_at = CASE WHEN NOT " IDLE " THEN now() + make_interval(secs => $2::int) END, "
        "attempts = p.attempts + 1 WHERE p.id IN (SELECT id FROM payments WHERE next_at <= now() "
        "ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING " PAYMENT_COLUMNS,
        &payment_table},
    [SQL_CLAIM_REFUNDS] = {"refund_claim",
        "UPDATE refunds r SET next_at = now() + make_interval(secs => $2::int), "
        "attempts = r.attempts + 1 FROM payments p WHERE p.id = r.payment_id "
        "AND r.id IN (SELECT id FROM refunds WHERE next_at <= now() "
        "ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING " REFUND_COLUMNS,
        &refund_table},

    [SQL_AUTHORIZED] = {"payment_authorized",
        NEVER_NONE("UPDATE payments SET status = CASE WHEN status IN ('pending', 'unknown') "
                   "AND NOT cancelled THEN 'authorized'::payment_status END, reference = $2, "
                   "attempts = 0, next_at = CASE WHEN ordered IS NOT NULL THEN now() "
                   "ELSE next_at END, updated_at = now() WHERE id = $1")},
    [SQL_UNDECIDED] = {"payment_undecided",
        NEVER_NONE("UPDATE payments SET " STATUS_FROM("'pending', 'unknown'",
            "unknown") "next_at = now() + interval '1 s', updated_at = now() WHERE id = $1")},
    [SQL_FAILED] = {"payment_failed",
        NEVER_NONE("UPDATE payments SET " STATUS_FROM("'pending', 'unknown', 'authorized'",
            "failed") "reason = $2, next_at = NULL, updated_at = now() WHERE id = $1")},
    [SQL_CAPTURED] = {"payment_captured",
        "WITH done AS (UPDATE payments SET " STATUS_FROM("'authorized'",
            "captured") "captured = taken.amount, attempts = 0, "
                        "next_at = CASE WHEN cancelled THEN now() END, updated_at = now() "
                        "FROM unnest($1::uuid[], $2::bigint[]) AS taken (payment_id, amount) "
                        "WHERE payments.id = taken.payment_id "
                        "RETURNING payments.id, payments.captured, payments.currency) "
                        "INSERT INTO ledger_entries (payment_id, operation, account, debit, "
                        "credit, currency) SELECT done.id, 'capture:' || done.id, side.account, "
                        "done.captured * side.debit, done.captured * side.credit, done.currency "
                        "FROM done, (VALUES ('provider_receivable'::ledger_account, 1, 0), "
                        "('order_clearing', 0, 1)) AS side (account, debit, credit) "
                        "WHERE done.captured > 0"},
    [SQL_VOIDED] = {"payment_voided",
        "UPDATE payments SET " STATUS_FROM("'pending', 'unknown', 'authorized'",
            "voided") "next_at = NULL, updated_at = now() WHERE id = $1"},
    [SQL_RETRY] = {"payment_retry",
        "UPDATE payments SET next_at = now() + make_interval(secs => $2::int) WHERE id = $1"},
    /* Unless a wish was written since the row was read. */
    [SQL_REST] = {"payment_rest",
        "UPDATE payments SET next_at = NULL WHERE id = $1 AND updated_at = $2 "
        "AND next_at IS NOT NULL"},

    [SQL_REFUND_INSERT] = {"refund_insert",
        "WITH reserved AS (UPDATE payments SET refunding = refunding + $3, updated_at = now() "
        "WHERE id = $2) INSERT INTO refunds (id, payment_id, amount, currency, status, reason, "
        "requested_by, correlation_id, created_at, next_at) "
        "VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, now())"},
    [SQL_REFUND_DONE] = {"refund_done",
        "WITH done AS (UPDATE refunds SET " REFUND_STATUS_FROM("'pending'",
            "done") "next_at = NULL, done_at = now() WHERE id = $1 "
                    "RETURNING id, payment_id, amount, currency), "
                    "entered AS (INSERT INTO ledger_entries (payment_id, operation, account, "
                    "debit, credit, currency) SELECT done.payment_id, 'refund:' || done.id, "
                    "side.account, done.amount * side.debit, done.amount * side.credit, "
                    "done.currency FROM done, (VALUES ('order_clearing'::ledger_account, 1, 0), "
                    "('provider_receivable', 0, 1)) AS side (account, debit, credit)) "
                    "UPDATE payments p SET refunded = p.refunded + done.amount, "
                    "refunding = p.refunding - done.amount, updated_at = now(), "
                    "status = CASE WHEN p.refunded + done.amount >= p.captured "
                    "THEN 'refunded'::payment_status ELSE 'partially_refunded' END FROM done WHERE "
                    "p.id = done.payment_id "
                    "RETURNING " PAYMENT_COLUMNS,
        &payment_table},
    [SQL_REFUND_FAILED] = {"refund_failed",
        "WITH failed AS (UPDATE refunds SET " REFUND_STATUS_FROM(
            "'pending'", "failed") "next_at = NULL, done_at = now(), reason = $2 WHERE id = $1 "
                                   "RETURNING payment_id, amount) "
                                   "UPDATE payments p SET refunding = p.refunding - failed.amount, "
                                   "updated_at = now() FROM failed WHERE p.id = failed.payment_id"},
    [SQL_REFUND_RETRY] = {"refund_retry",
        "UPDATE refunds SET next_at = now() + make_interval(secs => $2::int) WHERE id = $1"},
};
/* What waits has a next_at, whose indexes hold nothing else. A range, because a planner that knows
 * nothing of a table takes most for not null, and few for in between. */
#define WAITS "next_at BETWEEN '-infinity' AND 'infinity' "
const struct pg_statement payment_backlog = {"payment_backlog",
    "SELECT 'payments_undecided', count(*), "
    "coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM payments "
    "WHERE " WAITS "AND status IN ('pending', 'unknown') UNION ALL "
    "SELECT 'captures', count(*), coalesce(extract(epoch FROM now() - min(updated_at)), 0) "
    "FROM payments WHERE " WAITS "AND status = 'authorized' AND ordered IS NOT NULL "
    "UNION ALL SELECT 'refunds', count(*), "
    "coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM refunds "
    "WHERE " WAITS "AND status = 'pending'",
    &backlog_table};

const size_t payment_statements_count = ARRAY_SIZE(payment_statements);

#define STATEMENT(name) (&payment_statements[SQL_##name])

/* ---- payment methods ---- */

int store_method_insert(
    struct pg_tx *tx, const struct payment_method *m, const char *user_id, const char *token)
{
    TRY(pg_queue(tx, STATEMENT(ACCOUNT_TURN), PG_ARGS(PG_TEXT(user_id))));
    return pg_queue_expect(tx, STATEMENT(METHOD_INSERT),
        PG_ARGS(PG_TEXT(m->id), PG_TEXT(user_id), PG_TEXT(m->provider), PG_TEXT(token),
            PG_TEXT(m->label), PG_TIME(m->created_at)),
        1, OUTCOME_UNAUTHENTICATED);
}

int store_method_list(const char *user_id, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_methods)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, STATEMENT(METHOD_LIST),
        PG_ARGS(PG_TEXT(user_id), PG_TIME(before_us), PG_TEXT(before_id), PG_I64(limit + 1)),
        &result));
    *ret_methods = result.rows;
    return 0;
}

int store_method_find(const char *id, const char *user_id, struct payment_method **ret_method)
{
    struct pg_result result;
    TRY(pg_query(
        app()->pg, STATEMENT(METHOD_GET), PG_ARGS(PG_TEXT(id), PG_TEXT(user_id)), &result));
    *ret_method = PG_FIRST(result, struct payment_method);
    return 0;
}

int store_method_delete(const char *id, const char *user_id, bool *ret_deleted)
{
    struct pg_result result;
    TRY(pg_query(
        app()->pg, STATEMENT(METHOD_DELETE), PG_ARGS(PG_TEXT(id), PG_TEXT(user_id)), &result));
    *ret_deleted = result.affected == 1;
    return 0;
}

int store_methods_delete_all(struct pg_tx *tx, const char *user_id)
{
    TRY(pg_queue(tx, STATEMENT(ACCOUNT_TURN), PG_ARGS(PG_TEXT(user_id))));
    TRY(pg_queue(tx, STATEMENT(ACCOUNT_CLOSE), PG_ARGS(PG_TEXT(user_id))));
    return pg_queue(tx, STATEMENT(METHODS_DELETE_ALL), PG_ARGS(PG_TEXT(user_id)));
}

/* ---- payments ---- */

int store_insert(const char *id, const struct authorization_body *b, const char *correlation_id,
    struct payment **ret_payment)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, STATEMENT(INSERT),
        PG_ARGS(PG_TEXT(id), PG_TEXT(b->order_id), PG_TEXT(b->user_id), PG_TEXT(b->user_email),
            PG_TEXT(b->payment_method_id), PG_I64(b->amount.amount), PG_TEXT(b->amount.currency),
            PG_TEXT(correlation_id), PG_I64(AUTHORIZE_LEASE_S)),
        &result));
    *ret_payment = PG_FIRST(result, struct payment);
    return 0;
}

int store_find(const char *id, const char *reader_id, struct payment **ret_payment)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, STATEMENT(GET), PG_ARGS(PG_TEXT(id), PG_TEXT(reader_id)), &result));
    *ret_payment = PG_FIRST(result, struct payment);
    return 0;
}

int store_find_by_order(const char *order_id, const char *reader_id, struct payment **ret_payment)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, STATEMENT(GET_BY_ORDER), PG_ARGS(PG_TEXT(order_id), PG_TEXT(reader_id)),
        &result));
    *ret_payment = PG_FIRST(result, struct payment);
    return 0;
}

int store_lock(struct pg_tx *tx, const char *id, struct payment **ret_payment)
{
    struct pg_result result;
    TRY(pg_run(tx, STATEMENT(LOCK), PG_ARGS(PG_TEXT(id)), &result));
    *ret_payment = PG_FIRST(result, struct payment);
    return 0;
}

int store_lock_by_order(struct pg_tx *tx, const char *order_id, struct payment **ret_payment)
{
    struct pg_result result;
    TRY(pg_run(tx, STATEMENT(LOCK_BY_ORDER), PG_ARGS(PG_TEXT(order_id)), &result));
    *ret_payment = PG_FIRST(result, struct payment);
    return 0;
}

int store_refunds(const char *payment_id, struct list *ret_refunds)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, STATEMENT(REFUNDS), PG_ARGS(PG_TEXT(payment_id)), &result));
    *ret_refunds = result.rows;
    return 0;
}

int store_ordered(struct pg_tx *tx, struct list orders, struct list *ret_payments)
{
    struct pg_result result;
    struct buf ids = {0}, amounts = {0}, currencies = {0};
    for (size_t i = 0; i < orders.len; i++) {
        const struct ordered *o = LIST_AT(orders, struct ordered, i);
        pg_array_put(&ids, o->order_id);
        pg_array_put_i64(&amounts, o->amount);
        pg_array_put(&currencies, o->currency);
    }
    TRY(pg_run(tx, STATEMENT(ORDERED),
        PG_ARGS(PG_TEXT(pg_array_text(&ids)), PG_TEXT(pg_array_text(&amounts)),
            PG_TEXT(pg_array_text(&currencies)), PG_I64(CAPTURE_LEASE_S), PG_I64(WORK_LEASE_S)),
        &result));
    *ret_payments = result.rows;
    return 0;
}

int store_cancelled(struct pg_tx *tx, const char *order_id, const char *reason)
{
    return pg_queue(tx, STATEMENT(CANCELLED),
        PG_ARGS(PG_TEXT(order_id), PG_TEXT(reason), PG_TEXT(correlation_current())));
}

int store_tombstone(struct pg_tx *tx, const char *id, const char *order_id, const char *reason)
{
    return pg_queue(tx, STATEMENT(TOMBSTONE),
        PG_ARGS(PG_TEXT(id), PG_TEXT(order_id), PG_TEXT(reason), PG_TEXT(correlation_current())));
}

int store_lease(struct pg_tx *tx, const char *id, int64_t lease_s)
{
    return pg_queue(tx, STATEMENT(LEASE), PG_ARGS(PG_TEXT(id), PG_I64(lease_s)));
}

int store_claim(int64_t limit, int64_t lease_s, struct list *ret_payments)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, STATEMENT(CLAIM), PG_ARGS(PG_I64(limit), PG_I64(lease_s)), &result));
    *ret_payments = result.rows;
    return 0;
}

int store_claim_refunds(int64_t limit, int64_t lease_s, struct list *ret_refunds)
{
    struct pg_result result;
    TRY(pg_query(
        app()->pg, STATEMENT(CLAIM_REFUNDS), PG_ARGS(PG_I64(limit), PG_I64(lease_s)), &result));
    *ret_refunds = result.rows;
    return 0;
}

/* ---- results ---- */

int store_authorized(struct pg_tx *tx, const char *id, const char *reference)
{
    return pg_queue(tx, STATEMENT(AUTHORIZED), PG_ARGS(PG_TEXT(id), PG_TEXT(reference)));
}

int store_undecided(struct pg_tx *tx, const char *id)
{
    return pg_queue(tx, STATEMENT(UNDECIDED), PG_ARGS(PG_TEXT(id)));
}

int store_failed(struct pg_tx *tx, const char *id, const char *reason)
{
    return pg_queue(tx, STATEMENT(FAILED), PG_ARGS(PG_TEXT(id), PG_TEXT(reason)));
}

int store_captured(struct pg_tx *tx, struct list captures)
{
    struct buf ids = {0}, amounts = {0};
    for (size_t i = 0; i < captures.len; i++) {
        pg_array_put(&ids, LIST_AT(captures, struct capture, i)->payment_id);
        pg_array_put_i64(&amounts, LIST_AT(captures, struct capture, i)->amount);
    }
    return pg_queue(tx, STATEMENT(CAPTURED),
        PG_ARGS(PG_TEXT(pg_array_text(&ids)), PG_TEXT(pg_array_text(&amounts))));
}

int store_voided(struct pg_tx *tx, const char *id)
{
    return pg_queue(tx, STATEMENT(VOIDED), PG_ARGS(PG_TEXT(id)));
}

int store_retry(struct pg_tx *tx, const char *id, int64_t delay_s)
{
    return pg_queue(tx, STATEMENT(RETRY), PG_ARGS(PG_TEXT(id), PG_I64(delay_s)));
}

int store_rest(struct pg_tx *tx, const struct payment *p)
{
    return pg_queue(tx, STATEMENT(REST), PG_ARGS(PG_TEXT(p->id), PG_TIME(p->updated_at)));
}

/* ---- refunds ---- */

int store_refund_insert(struct pg_tx *tx, const struct refund *r, const char *requested_by)
{
    return pg_queue(tx, STATEMENT(REFUND_INSERT),
        PG_ARGS(PG_TEXT(r->id), PG_TEXT(r->payment_id), PG_I64(r->amount.amount),
            PG_TEXT(r->amount.currency), PG_TEXT(r->reason), PG_TEXT(requested_by),
            PG_TEXT(correlation_current()), PG_TIME(r->created_at)));
}

int store_refund_done(struct pg_tx *tx, const char *id, struct payment **ret_payment)
{
    struct pg_result result;
    TRY(pg_run(tx, STATEMENT(REFUND_DONE), PG_ARGS(PG_TEXT(id)), &result));
    *ret_payment = PG_FIRST(result, struct payment);
    return 0;
}

int store_refund_failed(struct pg_tx *tx, const char *id, const char *reason)
{
    return pg_queue(tx, STATEMENT(REFUND_FAILED), PG_ARGS(PG_TEXT(id), PG_TEXT(reason)));
}

int store_refund_retry(struct pg_tx *tx, const char *id, int64_t delay_s)
{
    return pg_queue(tx, STATEMENT(REFUND_RETRY), PG_ARGS(PG_TEXT(id), PG_I64(delay_s)));
}
