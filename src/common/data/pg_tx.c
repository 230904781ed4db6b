/* Transactions on a link. What travels up to one sync is a transaction by itself (PostgreSQL's
 * manual, "Pipelining"), so statements are held back until somebody waits: when that is pg_commit,
 * they go out without BEGIN and COMMIT, which were two of four or five. A wait before that brings
 * them a BEGIN, and then a COMMIT; both are prepared statements like any other and travel in the
 * same pipeline. A transaction that did nothing costs nothing.
 *
 * The one thing a pipeline cannot do is to look before it leaps: a COMMIT in the same round trip as
 * an expectation would commit before we learn that the expectation was not met. So pg_commit first
 * waits for expectations that are still under way, and pays a second round trip. Who wants one
 * round trip writes SQL that fails by itself, which makes the server skip the COMMIT.
 *
 * After what commits was sent, only an answer tells what happened. Such a wait is not cancelled,
 * and losing it is ERR_UNKNOWN. The same holds for a single statement outside of a transaction,
 * unless its text begins with SELECT. */

#include <assert.h>
#include <strings.h>

#include "common/base/crypto.h"
#include "common/data/pg_link.h"

#define ATTEMPTS            5
#define ROLLBACK_TIMEOUT_US (1 * USEC_PER_SEC)

/* A statement that was not sent yet, in the fiber's arena. */
struct held {
    struct held *next;
    const struct pg_statement *statement;
    struct pg_args args;
    struct pg_want want;
};

struct pg_tx {
    struct pg_pool *pool;
    struct pg_link *link;
    struct held *held, **held_end;
    bool begun;   /* BEGIN is under way or done: nothing is held back any more */
    bool over;    /* committed, or failed to: nothing may follow */
    bool expects; /* an expectation was queued since the last wait */
    int failure;  /* the first; nothing but a rollback may follow */
    const struct pg_end *end;
    void *end_arg;
};

static const struct pg_statement sql_begin = {"souk_begin", "BEGIN", NULL};
static const struct pg_statement sql_commit = {"souk_commit", "COMMIT", NULL};
static const struct pg_statement sql_rollback = {"souk_rollback", "ROLLBACK", NULL};
static const struct pg_statement sql_reuse_plans = {
    "souk_reuse_plans", "SET LOCAL plan_cache_mode = force_generic_plan", NULL};

/* ---- one transaction ---- */

int pg_begin(struct pg_pool *p, struct pg_tx **ret_tx)
{
    struct pg_link *l;
    struct pg_tx *tx;

    TRY(pg_pool_take(p, &l));
    tx = ARENA_NEW(fiber_arena(), struct pg_tx);
    *tx = (struct pg_tx){.pool = p, .link = l, .held_end = &tx->held};
    *ret_tx = tx;
    return 0;
}

/* The first failure is final: whatever follows gives the same answer. */
static int tx_fail(struct pg_tx *tx, int r)
{
    if (!tx->failure)
        tx->failure = r;
    return r < 0 ? ERR(r) : r;
}

static int tx_send(
    struct pg_tx *tx, const struct pg_statement *s, struct pg_args args, struct pg_want want)
{
    int r = pg_link_send(tx->link, s, args, want);

    return r < 0 ? tx_fail(tx, r) : 0;
}

static int send_held(struct pg_tx *tx)
{
    for (const struct held *h = tx->held; h; h = h->next)
        TRY(tx_send(tx, h->statement, h->args, h->want));
    return 0;
}

/* From here on statements are sent as they come. */
static int tx_begin(struct pg_tx *tx)
{
    if (tx->begun)
        return 0;
    tx->begun = true;
    TRY(tx_send(tx, &sql_begin, PG_NO_ARGS, (struct pg_want){0}));
    return send_held(tx);
}

/* The arguments' texts may be gone by the time they are sent. Of those that can be sent. */
static struct pg_args args_copy(struct pg_args args)
{
    struct arena *a = fiber_arena();
    struct pg_arg *copy = arena_array(a, args.count, sizeof(*copy));

    for (size_t i = 0; i < args.count; i++) {
        copy[i] = args.at[i];
        if (copy[i].kind == PG_ARG_TEXT)
            copy[i].text = arena_strdup(a, copy[i].text);
        else if (copy[i].kind == PG_ARG_SPAN)
            copy[i] = PG_TEXT(arena_strndup(a, copy[i].text, copy[i].len));
    }
    return (struct pg_args){args.count, copy};
}

static int hold(
    struct pg_tx *tx, const struct pg_statement *s, struct pg_args args, struct pg_want want)
{
    struct held *h = ARENA_NEW(fiber_arena(), struct held);
    int r = pg_args_check(s, args);

    if (r < 0)
        return tx_fail(tx, r);
    *h = (struct held){.statement = s, .args = args_copy(args), .want = want};
    *tx->held_end = h;
    tx->held_end = &h->next;
    return 0;
}

/* Whether another statement may follow. */
static int tx_open(struct pg_tx *tx)
{
    if (tx->over)
        return ERR(ERR_INVALID);
    return tx->failure ? tx_fail(tx, tx->failure) : 0;
}

/* Not one byte is sent for a fiber that is not to wait any more. */
static int may_wait(void)
{
    int r = fiber_may_wait();

    if (r < 0)
        return ERR(r);
    if (clock_mono_us() >= fiber_deadline())
        return ERR(ERR_TIMEOUT);
    return 0;
}

static int tx_wait(struct pg_tx *tx) PARKS
{
    int r = may_wait();

    if (r == 0)
        r = pg_link_wait(tx->link, false, pg_pool_timeout_us(tx->pool));
    tx->expects = false;
    return r == 0 ? 0 : tx_fail(tx, r);
}

static int queue(
    struct pg_tx *tx, const struct pg_statement *s, struct pg_args args, struct pg_want want)
{
    TRY(tx_open(tx));
    return tx->begun ? tx_send(tx, s, args, want) : hold(tx, s, args, want);
}

int pg_queue(struct pg_tx *tx, const struct pg_statement *s, struct pg_args args)
{
    return queue(tx, s, args, (struct pg_want){0});
}

int pg_queue_expect(struct pg_tx *tx, const struct pg_statement *s, struct pg_args args,
    int64_t min_affected, int outcome)
{
    tx->expects = true;
    return queue(tx, s, args, (struct pg_want){.min_affected = min_affected, .outcome = outcome});
}

/* SET LOCAL is for a transaction that has begun. */
int pg_reuse_plans(struct pg_tx *tx)
{
    TRY(tx_open(tx));
    TRY(tx_begin(tx));
    return tx_send(tx, &sql_reuse_plans, PG_NO_ARGS, (struct pg_want){0});
}

int pg_run(struct pg_tx *tx, const struct pg_statement *s, struct pg_args args,
    struct pg_result *ret_result)
{
    int r = tx_open(tx);

    if (r == 0)
        r = tx_begin(tx);
    if (r == 0)
        r = tx_send(tx, s, args, (struct pg_want){.keep = ret_result != NULL});
    if (r == 0)
        r = tx_wait(tx);
    if (r == 0 && ret_result) {
        r = pg_link_rows(tx->link, s, ret_result);
        if (r < 0)
            return tx_fail(tx, r);
    }
    return r < 0 ? ERR(r) : r;
}

void **pg_at_commit(struct pg_tx *tx, const struct pg_end *end)
{
    assert((!tx->end || tx->end == end) && "a transaction has one end");
    tx->end = end;
    return &tx->end_arg;
}

/* What expectations came to must be known before anything is committed. */
static int expectations_met(struct pg_tx *tx) PARKS
{
    if (!tx->expects)
        return 0;
    TRY(tx_begin(tx));
    return tx_wait(tx);
}

/* What is in the pipeline when a fiber is not to wait any more would be sent with the rollback. */
static int send_and_commit(struct pg_tx *tx) PARKS
{
    int r = may_wait();

    if (r < 0)
        return tx_fail(tx, r);
    TRY(tx->begun ? tx_send(tx, &sql_commit, PG_NO_ARGS, (struct pg_want){0}) : send_held(tx));
    r = pg_link_wait(tx->link, true, pg_pool_timeout_us(tx->pool));
    return r == 0 ? 0 : tx_fail(tx, r);
}

static int commit(struct pg_tx *tx) PARKS
{
    int r = tx_open(tx);

    if (r == 0)
        r = expectations_met(tx);
    if (r == 0 && (tx->begun || tx->held))
        r = send_and_commit(tx);
    tx->over = true;
    return r < 0 ? ERR(r) : r;
}

int pg_commit(struct pg_tx *tx)
{
    const struct pg_end *end = tx->over || tx->failure ? NULL : tx->end;

    if (end)
        TRY(end->finish(tx, tx->end_arg));
    int r = commit(tx);
    if (end)
        end->ended(tx->end_arg, r);
    return r < 0 ? ERR(r) : r;
}

void pg_tx_end(struct pg_tx **txp)
{
    struct pg_tx *tx = *txp;
    struct pg_link *l;

    if (!tx)
        return;
    *txp = NULL;
    l = tx->link;
    if (!l->broken && pg_link_busy(l)) {
        struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + ROLLBACK_TIMEOUT_US);

        /* What was queued and never waited for is sent now and undone at once. Its failure, if
         * any, is nobody's business, but the ROLLBACK behind it was skipped then. */
        for (int i = 0; i < 2 && !l->broken && pg_link_busy(l); i++)
            if (pg_link_send(l, &sql_rollback, PG_NO_ARGS, (struct pg_want){0}) == 0)
                pg_link_wait(l, false, ROLLBACK_TIMEOUT_US);
        fiber_shield_end(shield);
    }
    pg_pool_give(tx->pool, l, tx->failure < 0);
}

/* ---- without a transaction of their own ---- */

static bool only_reads(const struct pg_statement *s)
{
    return strncasecmp(s->sql, "select", strlen("select")) == 0;
}

static int query_once(struct pg_pool *p, const struct pg_statement *s, struct pg_args args,
    struct pg_result *ret_result) PARKS
{
    struct pg_link *l;
    int r;

    TRY(pg_pool_take(p, &l));
    r = may_wait();
    if (r == 0)
        r = pg_link_send(l, s, args, (struct pg_want){.keep = ret_result != NULL});
    if (r == 0)
        r = pg_link_wait(l, !only_reads(s), pg_pool_timeout_us(p));
    if (r == 0 && ret_result)
        r = pg_link_rows(l, s, ret_result);
    pg_pool_give(p, l, r < 0);
    return r < 0 ? ERR(r) : r;
}

static int pause_before_retry(int attempt) PARKS
{
    int64_t span_us = (INT64_C(5) << attempt) * USEC_PER_MS;

    return fiber_sleep(span_us / 2 + (int64_t)crypto_random_below((uint64_t)span_us));
}

int pg_query(struct pg_pool *p, const struct pg_statement *s, struct pg_args args,
    struct pg_result *ret_result)
{
    for (int attempt = 0;; attempt++) {
        int r = query_once(p, s, args, ret_result);

        if (r != ERR_RETRY || attempt + 1 >= ATTEMPTS)
            return r < 0 ? ERR(r) : r;
        error_clear();
        TRY(pause_before_retry(attempt));
    }
}

static int transaction_once(struct pg_pool *p, int (*fn)(struct pg_tx *tx, void *arg), void *arg)
    PARKS
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    TRY(pg_begin(p, &tx));
    TRY(fn(tx, arg));
    TRY(pg_commit(tx));
    return 0;
}

int pg_transaction(struct pg_pool *p, int (*fn)(struct pg_tx *tx, void *arg), void *arg)
{
    for (int attempt = 0;; attempt++) {
        int r = transaction_once(p, fn, arg);

        if (r != ERR_RETRY || attempt + 1 >= ATTEMPTS)
            return r < 0 ? ERR(r) : r;
        error_clear();
        TRY(pause_before_retry(attempt));
    }
}

int pg_script(struct pg_pool *p, const char *sql)
{
    struct pg_link *l;
    int r;

    TRY(pg_pool_take(p, &l));
    r = pg_link_script(l, sql, USEC_NEVER);
    pg_pool_give(p, l, r < 0);
    return r < 0 ? ERR(r) : r;
}

/* ---- checks ---- */

int pg_pool_check(struct pg_pool *p, int64_t deadline_us)
{
    int64_t outer = fiber_deadline_push(deadline_us);
    struct pg_link *l;
    int r = pg_pool_take(p, &l);

    if (r == 0) {
        r = pg_link_wait(l, false, pg_pool_timeout_us(p)); /* a sync alone: does it answer? */
        pg_pool_give(p, l, r < 0);
    }
    fiber_deadline_pop(outer);
    return r < 0 ? ERR(r) : 0;
}

static int check_statement(struct pg_pool *p, struct pg_link *l, const struct pg_statement *s) PARKS
{
    int columns;
    int r = pg_link_describe(l, s, pg_pool_timeout_us(p), &columns);

    if (r == 0 && s->row && (size_t)columns != pg_rows_columns(s->row)) {
        error_note("%s: %d columns, its table %s wants %zu", s->name, columns, s->row->name,
            pg_rows_columns(s->row));
        r = ERR_INVALID;
    }
    if (r != 0)
        log_error("statement does not fit the database", LF_TEXT("statement", s->name),
            LF_TEXT("error", error_text()));
    return r;
}

int pg_check_statements(struct pg_pool *p, const struct pg_statement *statements, size_t count)
{
    struct pg_link *l;
    int first = 0;

    TRY(pg_pool_take(p, &l));
    for (size_t i = 0; i < count && !l->broken; i++) {
        int r = check_statement(p, l, &statements[i]);

        if (r != 0 && first == 0)
            first = r;
        if (r != 0)
            error_clear();
    }
    pg_pool_give(p, l, first != 0);
    return first < 0 ? ERR(first) : first;
}
