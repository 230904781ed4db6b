/* One connection in pipeline mode, and the only user of libpq's protocol functions.
 *
 * Model: pg_link_send appends a statement to libpq's buffer and notes in `steps` what answer will
 * come; pg_link_wait appends a sync, which makes libpq write everything in one send, and parks. A
 * persistent read event collects answers into the steps, in order; the answer to the sync wakes the
 * fiber. So a transaction of many statements costs as many system calls as a single one. Between
 * two waits at most one fiber uses a link, therefore there is at most one sync under way.
 *
 * After a failed statement the server skips everything up to the sync. The first failure is what
 * counts and is kept as it came; it is translated in the fiber, whose error trace it belongs to.
 * A statement counts as prepared only when the server said so: a PREPARE that was skipped is sent
 * again next time.
 *
 * When a wait is given up, answers of unknown age are still to come, so the link is broken and its
 * only use is to be closed; PQcancel would block. The server ends the work itself by
 * statement_timeout, which is set a little shorter than the client's own patience.
 *
 * Connecting is plain top-to-bottom code in the fiber: PQconnectPoll says what to wait for, on a
 * socket that may be another one after each call. */

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "common/data/pg_link.h"

#define pg_result libpq_result /* libpq's tag would be our struct pg_result */
#include <libpq-fe.h>
#undef pg_result

#define ARGS_LIMIT   64
#define NUMBER_SIZE  32
#define LONG_MESSAGE ((size_t)64 * 1024) /* libpq's buffers begin with 16 KiB, and never shrink */

/* ---- room ---- */

/* `len` bytes that libpq may have to keep at once: what is sent until the socket takes it, and each
 * row by itself until it is whole. */
static void note_room(struct pg_link *l, size_t len)
{
    if (len > LONG_MESSAGE)
        l->swollen_us = clock_mono_us();
}

static size_t mean_row(const PGresult *res)
{
    int rows = PQntuples(res);

    return rows > 0 ? PQresultMemorySize(res) / (size_t)rows : 0;
}

/* ---- collecting answers ---- */

static void result_drop(PGresult **res)
{
    PQclear(*res);
    *res = NULL;
}

/* The link can only be closed from here on. Whoever waits is woken. */
static void link_break(struct pg_link *l)
{
    if (l->broken)
        return;
    l->broken = true;
    event_del(l->reading);
    event_del(l->writing);
    latch_set(&l->done, 0);
    if (l->on_lost)
        l->on_lost(l);
}

static void step_push(struct pg_link *l, struct pg_step step)
{
    if (l->step_head == l->step_count)
        l->step_head = l->step_count = 0;
    if (l->step_count == l->step_size) {
        l->step_size = l->step_size ? 2 * l->step_size : 16;
        l->steps = mem_resize(l->steps, l->step_size * sizeof(*l->steps));
    }
    l->steps[l->step_count++] = step;
}

static bool failed_already(const struct pg_link *l)
{
    return l->failed || l->unmet;
}

static int64_t affected_rows(const PGresult *res)
{
    int64_t affected = 0;

    span_to_i64(span_of(PQcmdTuples((PGresult *)(uintptr_t)res)), &affected);
    return affected;
}

static void step_succeeded(struct pg_link *l, const struct pg_step *step, PGresult *res)
{
    if (step->kind == PG_STEP_PREPARE)
        pg_prepared_entry(l, step->statement)->state = PREPARED_YES;
    if (step->min_affected > 0 && affected_rows(res) < step->min_affected && !failed_already(l))
        l->unmet = step->outcome;
    note_room(l, mean_row(res));
    if (step->keep) {
        result_drop(&l->kept);
        l->kept = res;
    } else {
        PQclear(res);
    }
}

static void step_failed(struct pg_link *l, const struct pg_step *step, PGresult *res)
{
    if (step->kind == PG_STEP_PREPARE)
        pg_prepared_entry(l, step->statement)->state = PREPARED_NOT;
    if (PQresultStatus(res) != PGRES_PIPELINE_ABORTED && !failed_already(l)) {
        l->failed = res;
        l->failed_name = step->statement              ? step->statement->name
                         : step->kind == PG_STEP_SYNC ? "commit"
                                                      : "script";
    } else {
        PQclear(res);
    }
}

static void step_end(struct pg_link *l)
{
    if (++l->step_head == l->step_count)
        l->step_head = l->step_count = 0;
}

/* Takes one result for the oldest step; false when the link makes no sense any more. Only a sync
 * answers a sync: an error may come before it, of a commit that failed itself, and libpq puts one
 * in its place when the connection ends. */
static bool step_take(struct pg_link *l, PGresult *res)
{
    struct pg_step *step = &l->steps[l->step_head];
    ExecStatusType status = PQresultStatus(res);

    if (!res) { /* a statement's results end with NULL, and so does that error */
        if (!step->answered)
            return false;
        if (step->kind == PG_STEP_SYNC) {
            step->answered = false; /* once */
            return true;
        }
        if (step->kind == PG_STEP_SCRIPT)
            latch_set(&l->done, 0);
        step_end(l);
        return true;
    }
    bool of_commit = step->kind == PG_STEP_SYNC && status == PGRES_FATAL_ERROR &&
                     PQstatus(l->conn) == CONNECTION_OK;
    if ((step->kind == PG_STEP_SYNC) != (status == PGRES_PIPELINE_SYNC) && !of_commit) {
        PQclear(res);
        return false;
    }
    step->answered = true;
    switch ((int)status) {
    case PGRES_PIPELINE_SYNC:
        PQclear(res);
        step_end(l);
        latch_set(&l->done, 0);
        return true;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        step_succeeded(l, step, res);
        return true;
    case PGRES_FATAL_ERROR:
    case PGRES_PIPELINE_ABORTED:
        step_failed(l, step, res);
        return true;
    default: /* COPY and its like have no place here */
        PQclear(res);
        return false;
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct pg_link *l = arg;
    bool alive = PQconsumeInput(l->conn);
    PGnotify *notify;

    while (!PQisBusy(l->conn) && l->step_head < l->step_count)
        if (!step_take(l, PQgetResult(l->conn))) {
            alive = false;
            break;
        }
    while ((notify = PQnotifies(l->conn))) {
        PQfreemem(notify);
        if (l->on_notify)
            l->on_notify(l->ctx);
    }
    if (!alive || PQstatus(l->conn) == CONNECTION_BAD)
        link_break(l);
}

/* ---- sending ---- */

/* Writes what the socket takes; the rest when it is writable. */
static void link_flush(struct pg_link *l)
{
    int r = PQflush(l->conn);

    if (r > 0)
        event_add(l->writing, NULL);
    else
        event_del(l->writing);
    if (r < 0)
        link_break(l);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    link_flush(arg);
}

struct arg_texts {
    const char *at[ARGS_LIMIT];
    char numbers[ARGS_LIMIT][NUMBER_SIZE];
};

static const char *arg_text(const struct pg_arg *arg, char *number)
{
    switch (arg->kind) {
    case PG_ARG_NULL:
        return NULL;
    case PG_ARG_TEXT:
        return arg->text;
    case PG_ARG_SPAN:
        return arg->text ? arena_strndup(fiber_arena(), arg->text, arg->len) : NULL;
    case PG_ARG_I64:
        i64_text(arg->value, number);
        return number;
    case PG_ARG_BOOL:
        return arg->value ? "t" : "f";
    case PG_ARG_TIME:
        if (arg->value == 0)
            return NULL;
        clock_format(arg->value, number);
        return number;
    case PG_ARG_REAL:
        snprintf(number, NUMBER_SIZE, "%.17g", arg->real);
        return number;
    }
    return NULL;
}

int pg_args_check(const struct pg_statement *s, struct pg_args args)
{
    if (args.count > ARGS_LIMIT)
        return ERR(ERR_INVALID);
    for (size_t i = 0; i < args.count; i++) {
        const struct pg_arg *arg = &args.at[i];

        if (arg->kind == PG_ARG_SPAN && arg->text && memchr(arg->text, '\0', arg->len)) {
            error_note("statement %s: argument %zu holds a NUL byte", s->name, i + 1);
            return ERR(ERR_INVALID);
        }
    }
    return 0;
}

static int lost(struct pg_link *l, bool unknown)
{
    const char *text = l->failed ? PQresultErrorField(l->failed, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    error_note("lost PostgreSQL at %s: %s", l->target->label, text ? text : "connection closed");
    result_drop(&l->failed);
    return ERR(unknown ? ERR_UNKNOWN : ERR_UNAVAILABLE);
}

static int link_prepare(struct pg_link *l, const struct pg_statement *s)
{
    struct pg_prepared *p = pg_prepared_entry(l, s);

    if (p->state != PREPARED_NOT)
        return 0;
    if (!PQsendPrepare(l->conn, s->name, s->sql, 0, NULL)) {
        link_break(l);
        return lost(l, false);
    }
    p->state = PREPARED_SENT;
    step_push(l, (struct pg_step){.kind = PG_STEP_PREPARE, .statement = s});
    return 0;
}

int pg_link_send(
    struct pg_link *l, const struct pg_statement *s, struct pg_args args, struct pg_want want)
{
    struct arg_texts texts;
    size_t len = 0;

    if (l->broken)
        return lost(l, false);
    TRY(pg_args_check(s, args));
    for (size_t i = 0; i < args.count; i++) {
        texts.at[i] = arg_text(&args.at[i], texts.numbers[i]);
        len += texts.at[i] ? strlen(texts.at[i]) : 0;
    }
    l->queued += len;
    note_room(l, l->queued);
    TRY(link_prepare(l, s));
    if (!PQsendQueryPrepared(l->conn, s->name, (int)args.count, texts.at, NULL, NULL, 0)) {
        link_break(l);
        return lost(l, false);
    }
    step_push(l, (struct pg_step){
                     .kind = PG_STEP_RUN,
                     .statement = s,
                     .keep = want.keep,
                     .min_affected = want.min_affected,
                     .outcome = want.outcome,
                 });
    return 0;
}

/* ---- waiting ---- */

/* A plan that no longer fits its table, or a prepared statement that somebody discarded: a fresh
 * connection cures both. */
static bool cured_by_reconnect(const char *sqlstate, const char *message)
{
    return strcmp(sqlstate, "26000") == 0 ||
           (strcmp(sqlstate, "0A000") == 0 && message && strstr(message, "cached plan"));
}

static int failure_code(struct pg_link *l)
{
    const char *sqlstate = PQresultErrorField(l->failed, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(l->failed, PG_DIAG_MESSAGE_PRIMARY);
    int r = pg_error_code(sqlstate);

    if (sqlstate && cured_by_reconnect(sqlstate, message)) {
        l->stale = true;
        r = ERR_RETRY;
    }
    if (r > 0) {
        pg_constraint_set(PQresultErrorField(l->failed, PG_DIAG_CONSTRAINT_NAME));
        return r;
    }
    error_note("%s: %s (%s)", l->failed_name, message ? message : "failed",
        sqlstate ? sqlstate : "no SQLSTATE");
    return ERR(r);
}

/* What all steps up to the sync came to. */
static int link_verdict(struct pg_link *l)
{
    int r = l->unmet;

    if (l->failed)
        r = failure_code(l);
    result_drop(&l->failed);
    l->unmet = 0;
    if (r != 0)
        result_drop(&l->kept);
    return r;
}

static int64_t nearer(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int wait_done(struct pg_link *l, bool decisive, int64_t deadline_us) PARKS
{
    struct fiber_shield shield;
    int r;

    if (!decisive)
        return latch_wait(&l->done, "an answer of PostgreSQL", deadline_us, NULL);
    shield = fiber_shield_begin(nearer(deadline_us, fiber_deadline()));
    r = latch_wait(&l->done, "a commit of PostgreSQL", deadline_us, NULL);
    fiber_shield_end(shield);
    return r;
}

/* Waits until the steps under way are answered. */
static int link_settle(struct pg_link *l, bool decisive, int64_t deadline_us) PARKS
{
    int r = l->broken ? 0 : wait_done(l, decisive, deadline_us);

    if (r < 0 && !l->done.is_set) { /* else the answer came just before we gave up */
        link_break(l);
        if (decisive) {
            error_note("no answer to a commit from PostgreSQL at %s", l->target->label);
            return ERR(ERR_UNKNOWN);
        }
        return ERR(r);
    }
    if (l->step_head < l->step_count) /* woken by the break, not by an answer */
        return lost(l, decisive);
    return link_verdict(l);
}

static int64_t after(int64_t timeout_us)
{
    return timeout_us == USEC_NEVER ? USEC_NEVER : clock_mono_us() + timeout_us;
}

int pg_link_wait(struct pg_link *l, bool decisive, int64_t timeout_us)
{
    if (l->broken)
        return lost(l, false);
    l->done = LATCH_INIT;
    l->round_trips++;
    l->queued = 0;
    step_push(l, (struct pg_step){.kind = PG_STEP_SYNC});
    if (PQpipelineSync(l->conn))
        link_flush(l);
    else
        link_break(l);
    return link_settle(l, decisive, after(timeout_us));
}

int pg_link_rows(struct pg_link *l, const struct pg_statement *s, struct pg_result *ret_result)
{
    int r = pg_rows_read(fiber_arena(), s, l->kept, ret_result);

    result_drop(&l->kept);
    return r;
}

int pg_link_script(struct pg_link *l, const char *sql, int64_t deadline_us)
{
    int r;

    if (l->broken || l->step_head < l->step_count || !PQexitPipelineMode(l->conn))
        return lost(l, false);
    l->done = LATCH_INIT;
    l->round_trips++;
    step_push(l, (struct pg_step){.kind = PG_STEP_SCRIPT});
    if (PQsendQuery(l->conn, sql))
        link_flush(l);
    else
        link_break(l);
    r = link_settle(l, false, deadline_us);
    if (!l->broken && !PQenterPipelineMode(l->conn))
        link_break(l);
    return r;
}

int pg_link_describe(
    struct pg_link *l, const struct pg_statement *s, int64_t timeout_us, int *ret_columns)
{
    int r;

    TRY(link_prepare(l, s));
    if (!PQsendDescribePrepared(l->conn, s->name)) {
        link_break(l);
        return lost(l, false);
    }
    step_push(l, (struct pg_step){.kind = PG_STEP_RUN, .statement = s, .keep = true});
    r = pg_link_wait(l, false, timeout_us);
    if (r == 0) {
        *ret_columns = PQnfields(l->kept);
        result_drop(&l->kept);
    }
    return r;
}

bool pg_link_busy(const struct pg_link *l)
{
    return l->step_head < l->step_count || PQtransactionStatus(l->conn) != PQTRANS_IDLE;
}

/* ---- opening and closing ---- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    latch_set(arg, 0);
}

static int wait_ready(struct pg_link *l, short what, int64_t deadline_us) PARKS
{
    struct latch ready = LATCH_INIT;
    struct event *ev = event_new(loop_base(l->loop), PQsocket(l->conn), what, on_ready, &ready);
    int r;

    event_add(ev, NULL);
    r = latch_wait(&ready, "a connection to PostgreSQL", deadline_us, NULL);
    event_free(ev);
    return r;
}

static void on_notice(void *arg, const char *message)
{
    log_debug("postgresql", LF_TEXT("notice", message));
}

/* libpq's message without its prefix and its further lines. */
static int connect_failed(struct pg_link *l)
{
    const char *message = l->conn ? PQerrorMessage(l->conn) : "out of memory";
    const char *failed = strstr(message, "failed: ");
    int len;

    message = failed ? failed + strlen("failed: ") : message;
    len = (int)strcspn(message, "\n");
    error_note("no PostgreSQL at %s: %.*s; start it with ./souk up", l->target->label,
        len < 80 ? len : 80, message);
    return ERR(ERR_UNAVAILABLE);
}

static int link_connect(struct pg_link *l, int64_t deadline_us) PARKS
{
    const struct pg_target *t = l->target;

    l->conn = PQconnectStartParams((const char *const *)t->keys, (const char *const *)t->values, 0);
    if (!l->conn || PQstatus(l->conn) == CONNECTION_BAD)
        return connect_failed(l);
    PQsetNoticeProcessor(l->conn, on_notice, NULL);
    /* the first wait is for writing, as if PQconnectPoll had said so */
    for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;
         next = PQconnectPoll(l->conn)) {
        int r;

        if (next == PGRES_POLLING_FAILED)
            return connect_failed(l);
        r = wait_ready(l, next == PGRES_POLLING_READING ? EV_READ : EV_WRITE, deadline_us);
        if (r == -ETIMEDOUT)
            error_note("PostgreSQL at %s does not answer", t->label);
        if (r < 0)
            return ERR(r);
    }
    if (PQsetnonblocking(l->conn, 1) != 0 || !PQenterPipelineMode(l->conn))
        return connect_failed(l);
    return 0;
}

void pg_link_init(struct pg_link *l, struct loop *loop, struct pg_target *target)
{
    *l = (struct pg_link){.loop = loop, .target = target};
}

int pg_link_open(struct pg_link *l, int64_t deadline_us)
{
    int r;

    if (l->target->problem) {
        error_note("%s", l->target->problem);
        return ERR(ERR_UNAVAILABLE);
    }
    TRY(pg_target_resolve(l->target));
    r = link_connect(l, deadline_us);
    if (r < 0) {
        PQfinish(l->conn);
        l->conn = NULL;
        return r;
    }
    l->reading =
        event_new(loop_base(l->loop), PQsocket(l->conn), EV_READ | EV_PERSIST, on_readable, l);
    l->writing =
        event_new(loop_base(l->loop), PQsocket(l->conn), EV_WRITE | EV_PERSIST, on_writable, l);
    event_add(l->reading, NULL);
    l->broken = l->stale = false;
    l->queued = 0;
    l->swollen_us = 0;
    return 0;
}

void pg_link_close(struct pg_link *l)
{
    if (!l->conn)
        return;
    event_free(l->reading);
    event_free(l->writing);
    result_drop(&l->kept);
    result_drop(&l->failed);
    PQfinish(l->conn);
    l->conn = NULL;
    l->reading = l->writing = NULL;
    l->unmet = 0;
    l->step_head = l->step_count = 0;
    l->prepared_count = 0;
    if (l->prepared)
        memset(l->prepared, 0, l->prepared_size * sizeof(*l->prepared));
}

void pg_link_deinit(struct pg_link *l)
{
    pg_link_close(l);
    mem_free(l->prepared);
    mem_free(l->steps);
}
