/* The worker: carries the wishes in the rows to the bank, and its answers back.
 *
 *     claim a batch (one commit) -> ask the bank, captures in one call -> write all results (one
 * commit)
 *
 * A claim is a lease: next_at lies in the future until the result is written. When the process
 * dies in between, the lease runs out and the same question is asked again under the same key,
 * which the bank answers as before. Two who work on one row (a lease that ran out under a slow
 * call) both get that answer, and only the first can write it.
 *
 * What a batch of events orders is claimed already when it comes here (payment_capture). Looking
 * for what is due besides, after a crash or a bank that was away, is for every LOOK_US and for
 * nudges.
 *
 * Every checkout passes here once, so results of a batch share a transaction; when it fails, each
 * is written alone and only the guilty one stays behind for its next lease. */

#include "common/app/handover.h"
#include "common/app/metrics.h"
#include "common/base/uuid.h"
#include "payment/payment.h"

#define PERIOD_US   (500 * USEC_PER_MS)
#define LOOK_US     (400 * USEC_PER_MS)
#define BATCH       64
#define PARALLEL    8
#define PROVIDER_US (5 * USEC_PER_SEC)

static struct metric verdicts = {.name = "souk_payment_verdicts_total",
    .help = "What became of questions to the payment provider.",
    .labels = "task,verdict"};

static const char *const task_names[] = {
    [TASK_NONE] = "none",
    [TASK_AUTHORIZE] = "authorize",
    [TASK_RESOLVE] = "resolve",
    [TASK_CAPTURE] = "capture",
    [TASK_VOID] = "void",
    [TASK_REFUND_REST] = "refund_rest",
};
static const char *const verdict_names[] = {
    [VERDICT_NOTHING] = "nothing",
    [VERDICT_AUTHORIZED] = "authorized",
    [VERDICT_UNDECIDED] = "undecided",
    [VERDICT_FAILED] = "failed",
    [VERDICT_CAPTURED] = "captured",
    [VERDICT_VOIDED] = "voided",
    [VERDICT_REFUND_REST] = "refund_rest",
    [VERDICT_RETRY] = "retry",
};

/* Most ticks are a checkout's nudge and have no refund to look for; other processes' refunds are
 * found within a period. */
static bool refunds_due;
static int64_t refunds_looked_us;
static bool payments_due;
static int64_t payments_looked_us;

/* Payments that were ordered, and claimed by that. */
static struct handovers ordered;

/* ---- asking the bank ---- */

/* Our keys: the payment's id for the charge, "capture:<payment>", "void:<payment>" and
 * "refund:<refund>" for what is done to it. */
static const char *key_of(struct job *j, const char *operation)
{
    return arena_printf(j->arena, "%s:%s", operation, j->payment->id);
}

static void decide(struct job *j, enum verdict verdict, const struct provider_charge *charge)
{
    j->verdict = verdict;
    j->reference = arena_strdup(j->arena, charge->reference);
    j->reason = arena_strdup(j->arena, charge->reason);
}

/* What authorize and lookup answer when the bank knows the charge. */
static void decide_charge(struct job *j, int r, const struct provider_charge *charge)
{
    decide(j,
        r == PROVIDER_REFUSED ? VERDICT_FAILED
        : charge->voided      ? VERDICT_VOIDED
                              : VERDICT_AUTHORIZED,
        charge);
}

static void ask_authorize(struct job *j)
{
    struct provider_charge charge = {0};
    int r = provider_authorize(j->payment->id, j->payment->token, &j->payment->amount, &charge);
    if (r < 0)
        decide(j, VERDICT_UNDECIDED, &charge);
    else
        decide_charge(j, r, &charge);
}

static void ask_void(struct job *j, enum verdict when_done, const char *reason);

/* The bank never saw the charge: it is barred there first, so that it can't arrive late. */
static void ask_resolve(struct job *j)
{
    struct provider_charge charge = {0};
    int r = provider_lookup(j->payment->id, &charge);
    if (r == PROVIDER_ABSENT)
        ask_void(j, VERDICT_FAILED, NOT_PROCESSED);
    else if (r >= 0)
        decide_charge(j, r, &charge);
}

static struct provider_capture capture_of(struct job *j)
{
    const struct payment *p = j->payment;
    struct provider_capture c = {
        .key = key_of(j, "capture"), .reference = p->reference, .amount = p->amount};
    c.amount.amount = payment_capture_amount(p->ordered, p->amount.amount);
    if (p->ordered > p->amount.amount)
        log_error("order costs more than was authorized, the rest is not captured",
            LF_TEXT("orderId", p->order_id), LF_I64("ordered", p->ordered),
            LF_I64("authorized", p->amount.amount));
    return c;
}

static void decide_capture(struct job *j, const struct provider_capture *c)
{
    if (c->r >= 0)
        decide(j, c->r == 0 ? VERDICT_CAPTURED : VERDICT_FAILED, &c->answer);
}

static void ask_capture(struct job *j)
{
    struct provider_capture c = capture_of(j);
    provider_capture(&c, 1);
    decide_capture(j, &c);
}

/* A void that the bank refuses had a capture before it whose answer was lost: hear it again. */
static void ask_void(struct job *j, enum verdict when_done, const char *reason)
{
    struct provider_charge answer = {0};
    int r = provider_void(key_of(j, "void"), j->payment->id, &answer);
    if (r == 0)
        decide(j, when_done, &(struct provider_charge){.reason = reason});
    else if (r > 0 && j->payment->ordered >= 0 && j->payment->reference)
        ask_capture(j);
}

static void job_asked(const struct job *j)
{
    metric_add(&verdicts, 1, task_names[j->task], verdict_names[j->verdict]);
    if (j->verdict == VERDICT_RETRY || j->verdict == VERDICT_UNDECIDED)
        log_warn("payment provider gave no answer", LF_TEXT("task", task_names[j->task]),
            LF_TEXT("orderId", j->payment->order_id), LF_I64("attempts", j->payment->attempts),
            LF_TEXT("trace", error_text()));
}

void job_ask(struct job *j)
{
    int64_t outer = fiber_deadline_push(clock_mono_us() + PROVIDER_US);
    error_clear();
    j->verdict = VERDICT_RETRY;
    switch (j->task) {
    case TASK_NONE:
        j->verdict = VERDICT_NOTHING;
        break;
    case TASK_AUTHORIZE:
        ask_authorize(j);
        break;
    case TASK_RESOLVE:
        ask_resolve(j);
        break;
    case TASK_CAPTURE:
        ask_capture(j);
        break;
    case TASK_VOID:
        ask_void(j, VERDICT_VOIDED, NULL);
        break;
    case TASK_REFUND_REST:
        j->verdict = VERDICT_REFUND_REST;
        break;
    }
    fiber_deadline_pop(outer);
    job_asked(j);
}

/* ---- writing the answer ---- */

static int record_refund_rest(struct pg_tx *tx, const struct job *j)
{
    struct payment *p;
    char id[UUID_TEXT_SIZE];
    TRY(store_lock(tx, j->payment->id, &p));
    if (!p)
        return 0;
    TRY(store_rest(tx, p));
    if (payment_refundable(p) <= 0)
        return 0;
    uuid_make(id);
    struct refund refund = {.id = id,
        .payment_id = p->id,
        .amount = p->amount,
        .reason = p->reason,
        .created_at = clock_wall_us()};
    refund.amount.amount = payment_refundable(p);
    refunds_due = true;
    return store_refund_insert(tx, &refund, "order");
}

static int64_t capture_amount(const struct payment *p)
{
    return payment_capture_amount(p->ordered, p->amount.amount);
}

/* The rows of all captures among the jobs, in one statement. */
static int record_captures(struct pg_tx *tx, const struct job *jobs, size_t count)
{
    struct capture *captures = arena_array(fiber_arena(), count, sizeof(*captures));
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].verdict == VERDICT_CAPTURED)
            captures[n++] = (struct capture){jobs[i].payment->id, capture_amount(jobs[i].payment)};
    if (n == 0)
        return 0;
    TRY(pg_reuse_plans(tx));
    return store_captured(tx, (struct list){n, captures});
}

static int record(struct pg_tx *tx, const struct job *j)
{
    const struct payment *p = j->payment;
    correlation_adopt(p->correlation_id);
    switch (j->verdict) {
    case VERDICT_NOTHING:
        return store_rest(tx, p);
    case VERDICT_AUTHORIZED:
        TRY(store_authorized(tx, p->id, j->reference));
        return payment_publish(tx, &EVENT_PAYMENT_AUTHORIZED, p, p->amount.amount, NULL);
    case VERDICT_UNDECIDED:
        return store_undecided(tx, p->id);
    case VERDICT_FAILED:
        TRY(store_failed(tx, p->id, j->reason));
        return payment_publish(tx, &EVENT_PAYMENT_FAILED, p, p->amount.amount, j->reason);
    case VERDICT_CAPTURED: /* the row: record_captures() */
        return payment_publish(tx, &EVENT_PAYMENT_COMPLETED, p, capture_amount(p), NULL);
    case VERDICT_VOIDED:
        return store_voided(tx, p->id);
    case VERDICT_REFUND_REST:
        return record_refund_rest(tx, j);
    case VERDICT_RETRY:
        return store_retry(tx, p->id, payment_retry_delay_s(p->attempts));
    }
    return ERR(ERR_INVALID);
}

static int record_all(struct job *jobs, size_t count)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    TRY(pg_begin(app()->pg, &tx));
    TRY(record_captures(tx, jobs, count));
    for (size_t i = 0; i < count; i++)
        TRY(record(tx, &jobs[i]));
    return pg_commit(tx);
}

int job_record(struct job *j)
{
    return record_all(j, 1);
}

/* ---- batches ---- */

struct batch {
    struct job *jobs;
    size_t count, next;
};

/* All captures in one call. */
static void ask_captures(struct job *jobs, size_t count)
{
    struct provider_capture *captures = arena_array(fiber_arena(), count, sizeof(*captures));
    size_t n = 0, k = 0;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].task == TASK_CAPTURE)
            captures[n++] = capture_of(&jobs[i]);
    if (n == 0)
        return;
    int64_t outer = fiber_deadline_push(clock_mono_us() + PROVIDER_US);
    error_clear();
    provider_capture(captures, n);
    fiber_deadline_pop(outer);
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].task != TASK_CAPTURE)
            continue;
        jobs[i].verdict = VERDICT_RETRY;
        decide_capture(&jobs[i], &captures[k++]);
        job_asked(&jobs[i]);
    }
}

static void ask_some(void *arg)
{
    struct batch *b = arg;
    while (b->next < b->count) {
        struct job *j = &b->jobs[b->next++];
        if (j->task != TASK_CAPTURE)
            job_ask(j);
    }
}

static void ask_all(struct job *jobs, size_t count)
{
    struct batch b = {.jobs = jobs, .count = count};
    struct fiber *helpers[PARALLEL - 1];
    size_t n = 0, others = 0;
    for (size_t i = 0; i < count; i++)
        others += jobs[i].task != TASK_CAPTURE;
    while (n < ARRAY_SIZE(helpers) && n + 1 < others &&
           fiber_spawn(app()->loop, "payment helper", ask_some, &b, &helpers[n]) == 0)
        n++;
    ask_captures(jobs, count);
    ask_some(&b);
    /* The batch lives on this stack: no leaving before the others. */
    struct fiber_shield shield = fiber_shield_begin(USEC_NEVER);
    for (size_t i = 0; i < n; i++)
        (void)fiber_join(helpers[i], USEC_NEVER);
    fiber_shield_end(shield);
}

static void record_one_by_one(struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = record_all(&jobs[i], 1);
        if (r != 0)
            log_warn("result of a payment not written, it will be asked again",
                LF_TEXT("orderId", jobs[i].payment->order_id),
                LF_TEXT("verdict", verdict_names[jobs[i].verdict]),
                LF_TEXT("error", r > 0 ? pg_constraint() : error_name(r)));
        error_clear();
    }
}

static void work_payments(struct list due)
{
    struct job *jobs = arena_array(fiber_arena(), due.len, sizeof(*jobs));
    for (size_t i = 0; i < due.len; i++) {
        struct payment *p = LIST_AT(due, struct payment, i);
        jobs[i] = (struct job){.payment = p, .task = payment_task_of(p), .arena = fiber_arena()};
    }
    ask_all(jobs, due.len);
    FAULT("capture_after_provider");
    if (record_all(jobs, due.len) != 0)
        record_one_by_one(jobs, due.len);
}

/* ---- what was handed over ---- */

/* What is not authorized yet is left to whoever works on it. */
void payment_capture(struct list payments, int64_t until_us)
{
    struct payment *authorized = arena_array(fiber_arena(), payments.len, sizeof(*authorized));
    struct list list = {.items = authorized};
    for (size_t i = 0; i < payments.len; i++) {
        const struct payment *p = LIST_AT(payments, struct payment, i);
        if (strcmp(p->status, "authorized") == 0)
            authorized[list.len++] = *p;
    }
    handover_put(&ordered, &payment_table, list, until_us);
    app_nudge(WORKER);
}

/* All of it at once, as far as it still is ours. */
static void work_ordered(void)
{
    struct payment *payments = arena_array(fiber_arena(), ordered.count, sizeof(*payments));
    struct list due = {.items = payments};
    int64_t now_us = clock_mono_us();
    for (const struct handover *h; (h = handover_take(&ordered, fiber_arena()));)
        for (size_t i = 0; i < h->items.len && h->until_us > now_us; i++)
            payments[due.len++] = *LIST_AT(h->items, struct payment, i);
    if (due.len)
        work_payments(due);
}

/* ---- refunds ---- */

static int record_refund(const struct refund *refund, int r, const struct provider_charge *answer)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct payment *p;
    correlation_adopt(refund->correlation_id);
    TRY(pg_begin(app()->pg, &tx));
    if (r == 0) {
        TRY(store_refund_done(tx, refund->id, &p));
        if (p)
            TRY(payment_publish(
                tx, &EVENT_PAYMENT_REFUNDED, p, refund->amount.amount, refund->reason));
    } else if (r > 0) {
        TRY(store_refund_failed(tx, refund->id, answer->reason));
    } else {
        TRY(store_refund_retry(tx, refund->id, payment_retry_delay_s(refund->attempts)));
    }
    return pg_commit(tx);
}

static void work_refund(const struct refund *refund)
{
    struct provider_charge answer = {0};
    const char *key = arena_printf(fiber_arena(), "refund:%s", refund->id);
    int64_t outer = fiber_deadline_push(clock_mono_us() + PROVIDER_US);
    error_clear();
    int r = provider_refund(key, refund->reference, &refund->amount, &answer);
    fiber_deadline_pop(outer);
    if (r > 0)
        log_error("the bank refused a refund", LF_TEXT("refundId", refund->id),
            LF_TEXT("reason", answer.reason));
    if (r < 0)
        log_warn("refund will be asked again", LF_TEXT("refundId", refund->id),
            LF_I64("attempts", refund->attempts), LF_TEXT("trace", error_text()));
    if (record_refund(refund, r, &answer) != 0)
        log_warn("result of a refund not written, it will be asked again",
            LF_TEXT("refundId", refund->id), LF_TEXT("trace", error_text()));
}

static int work_refunds(size_t *ret_count)
{
    struct list due;
    TRY(store_claim_refunds(BATCH, BATCH * WORK_LEASE_S, &due));
    *ret_count = due.len;
    for (size_t i = 0; i < due.len; i++)
        work_refund(LIST_AT(due, struct refund, i));
    return 0;
}

/* ---- the tick ---- */

void payment_nudge(void)
{
    payments_due = true;
    app_nudge(WORKER);
}

void payment_refund_nudge(void)
{
    refunds_due = true;
    app_nudge(WORKER);
}

static int look_for_payments(void)
{
    struct list due;
    if (!payments_due && clock_mono_us() - payments_looked_us < LOOK_US)
        return 0;
    payments_due = false;
    payments_looked_us = clock_mono_us();
    TRY(store_claim(BATCH, WORK_LEASE_S, &due));
    if (due.len)
        work_payments(due);
    if (due.len == BATCH)
        payment_nudge();
    return 0;
}

static int look_for_refunds(void)
{
    size_t count = 0;
    if (!refunds_due && clock_mono_us() - refunds_looked_us < LOOK_US)
        return 0;
    refunds_due = false;
    refunds_looked_us = clock_mono_us();
    TRY(work_refunds(&count));
    if (count == BATCH)
        payment_refund_nudge();
    return 0;
}

/* A nudge that comes meanwhile makes the tick run again. */
static int work(void)
{
    work_ordered();
    TRY(look_for_payments());
    return look_for_refunds();
}

int payment_start(void)
{
    TRY(provider_start());
    return app_every(WORKER, PERIOD_US, work);
}
