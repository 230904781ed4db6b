/* What checkout asks of payment: authorize, void, capture, each by the order's id.
 *
 * Authorizing: our row first (pending, committed), then the bank, then the answer. If this process
 * dies in between, the row is there, and the worker asks the bank what became of it. The answer is
 * written under a shield: a shopper who leaves does not take the bank's word away with him.
 *
 * Only the answer's commit waits for the disk (ADR 19). A crash of PostgreSQL may take the pending
 * row away, but not what the bank was asked for with: payment's id, which is the bank's key,
 * follows from the order's id, which cart has on disk. Asked again, the bank gives the same answer;
 * and given up, it is asked to void, whether we know of a payment or not.
 *
 * Voiding writes the wish first and is kept from then on, even if the bank is away today; an order
 * without a payment gets a tombstone that refuses a late authorization. */

#include "common/base/uuid.h"
#include "payment/payment.h"

#define RECORD_US (3 * USEC_PER_SEC)

static void payment_id_of(const char *order_id, char id[static UUID_TEXT_SIZE])
{
    uuid_derive(order_id, "payment", id);
}

/* ---- authorizing ---- */

static int refuse_voided(struct request *req, const struct payment *p)
{
    return refuse(req, PAYMENT_VOIDED, "The payment of order %s was given up", p->order_id);
}

static int refuse_declined(struct request *req, const struct payment *p, const char *reason)
{
    struct json_writer w = refuse_extra(req);
    json_put_text(&w, "reason", reason ? reason : "declined");
    json_put_text(&w, "paymentId", p->id);
    return refuse(req, PAYMENT_DECLINED, "The bank said: %s", reason ? reason : "declined");
}

static int refuse_undecided(struct request *req, const struct payment *p)
{
    refuse_retry_after(req, 1);
    return refuse(
        req, PAYMENT_UNDECIDED, "The bank has not said yet what became of payment %s", p->id);
}

/* The answer that the row as it is now gives to the same question. */
static int answer_state(struct request *req, const struct payment *p, int status)
{
    if (p->cancelled)
        return refuse_voided(req, p);
    if (payment_is_undecided(p->status))
        return refuse_undecided(req, p);
    if (payment_was_declined(p))
        return refuse_declined(req, p, p->reason);
    if (strcmp(p->status, "failed") == 0 || strcmp(p->status, "voided") == 0)
        return refuse_voided(req, p);
    return reply(req, status, &authorization_table, p);
}

/* No row was made: there is one already, or the method is not this user's. */
static int answer_repeat(struct request *req, const struct authorization_body *body)
{
    struct payment *p;
    TRY(store_find_by_order(body->order_id, NULL, &p));
    if (!p)
        return refuse(req, PAYMENT_METHOD_NOT_FOUND, "The user has no payment method %s",
            body->payment_method_id);
    bool same = p->user_id && strcmp(p->user_id, body->user_id) == 0 &&
                p->amount.amount == body->amount.amount &&
                money_same_currency(&p->amount, &body->amount);
    if (!same && !p->cancelled)
        return refuse(req, PAYMENT_ORDER_TAKEN, "Order %s has another payment", body->order_id);
    return answer_state(req, p, 200);
}

static int record_shielded(struct job *j)
{
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + RECORD_US);
    int r = job_record(j);
    fiber_shield_end(shield);
    return r < 0 ? ERR(r) : r;
}

/* Somebody gave the order up, or resolved it, while the bank was asked: the row knows best. */
static int answer_current(struct request *req, const char *id)
{
    struct payment *p;
    TRY(store_find(id, NULL, &p));
    if (!p)
        return ERR(ERR_INVALID);
    return answer_state(req, p, 201);
}

static int answer_job(struct request *req, struct job *j)
{
    struct payment *p = j->payment;
    if (j->verdict == VERDICT_FAILED)
        return refuse_declined(req, p, j->reason);
    if (j->verdict == VERDICT_VOIDED)
        return refuse_voided(req, p);
    if (j->verdict != VERDICT_AUTHORIZED)
        return refuse_undecided(req, p);
    p->status = "authorized";
    return reply(req, 201, &authorization_table, p);
}

int post_authorization(struct request *req)
{
    const struct authorization_body *body = req->body;
    struct payment *p;
    char id[UUID_TEXT_SIZE];
    payment_id_of(body->order_id, id);
    TRY(store_insert(id, body, req->correlation_id, &p));
    if (!p)
        return answer_repeat(req, body);
    struct job j = {.payment = p, .task = TASK_AUTHORIZE, .arena = req->arena};
    FAULT("payment_before_provider");
    job_ask(&j);
    FAULT("payment_after_provider");
    int r = record_shielded(&j);
    if (r == PG_NOT_NULL)
        return answer_current(req, p->id);
    TRY(r);
    FAULT("payment_after_authorize_commit");
    return answer_job(req, &j);
}

/* ---- voiding ---- */

/* Writes the wish, or the tombstone. Fills `j` with what is to be done now: nothing while a capture
 * is under way (its end sees the wish). An authorization under way is no reason to wait: whatever
 * the bank hears first, the charge ends voided, and its request finds the row decided. */
static int wish_void(const char *order_id, const char *reason, struct job *j)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct payment *p;
    char id[UUID_TEXT_SIZE];
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_lock_by_order(tx, order_id, &p));
    if (!p) {
        payment_id_of(order_id, id);
        TRY(store_tombstone(tx, id, order_id, reason));
        TRY(store_lock_by_order(tx, order_id, &p));
    } else {
        TRY(store_cancelled(tx, order_id, reason));
        p->cancelled = true;
    }
    j->payment = p;
    bool capturing = p->busy && strcmp(p->status, "authorized") == 0;
    j->task = capturing ? TASK_NONE : payment_task_of(p);
    if (j->task != TASK_NONE)
        TRY(store_lease(tx, p->id, WORK_LEASE_S));
    return pg_commit(tx);
}

/* Does at once what was leased; what can't be done now is the worker's. */
static int work_now(struct job *j)
{
    if (j->task == TASK_NONE)
        return 0;
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + RECORD_US);
    job_ask(j);
    int r = job_record(j);
    fiber_shield_end(shield);
    if (r != 0)
        log_warn("left to the worker", LF_TEXT("orderId", j->payment->order_id),
            LF_TEXT("error", r > 0 ? pg_constraint() : error_name(r)));
    error_clear();
    return store_find(j->payment->id, NULL, &j->payment);
}

int post_void(struct request *req)
{
    const struct order_params *params = req->params;
    const struct void_body *body = req->body;
    struct job j = {.arena = req->arena};
    int r = wish_void(params->order_id, body->reason, &j);
    if (r == PG_UNIQUE) /* an authorization came between look and tombstone */
        r = wish_void(params->order_id, body->reason, &j);
    TRY(r);
    TRY(work_now(&j));
    payment_refund_nudge();
    return reply(req, 200, &authorization_table, j.payment);
}

/* ---- capturing ---- */

static int wish_capture(const char *order_id, struct job *j)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct payment *p;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_lock_by_order(tx, order_id, &p));
    if (!p)
        return 0;
    j->payment = p;
    if (p->ordered < 0 && !p->cancelled) {
        struct ordered wish = {order_id, p->amount.amount, p->amount.currency};
        struct list ordered;
        TRY(store_ordered(tx, (struct list){1, &wish}, &ordered));
        p->ordered = p->amount.amount;
    }
    j->task = p->busy || p->cancelled ? TASK_NONE : payment_task_of(p);
    if (j->task != TASK_NONE)
        TRY(store_lease(tx, p->id, WORK_LEASE_S));
    return pg_commit(tx);
}

int post_capture(struct request *req)
{
    const struct order_params *params = req->params;
    struct job j = {.arena = req->arena};
    TRY(wish_capture(params->order_id, &j));
    if (!j.payment)
        return refuse(req, OUTCOME_NOT_FOUND, "Order %s has no payment", params->order_id);
    TRY(work_now(&j));
    payment_nudge();
    return answer_state(req, j.payment, 200);
}
