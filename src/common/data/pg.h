#pragma once

/* PostgreSQL over libpq in pipeline mode; only the files pg_*.c include libpq.
 *
 * Every SQL text is a named row of a service's statement table, prepared on a connection at its
 * first use, in the same round trip. A fiber owns a connection for one transaction. Nothing is sent
 * until somebody waits: what is only queued and committed is one message, without BEGIN and COMMIT.
 *
 *     struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;    // rolls back what was not committed
 *     struct pg_result rows;
 *
 *     TRY(pg_begin(pool, &tx));
 *     TRY(pg_queue(tx, &SQL_INSERT, PG_ARGS(PG_TEXT(id), PG_I64(total))));   // no round trip
 *     TRY(pg_run(tx, &SQL_GET, PG_ARGS(PG_TEXT(id)), &rows));    // one round trip for all so far
 *     TRY(pg_commit(tx));
 *
 * Whatever a caller can do in SQL that fails by itself (a CHECK, a RAISE with ERRCODE '23514' and a
 * CONSTRAINT name) needs no expectation and no second round trip. */

#include "common/fiber/fiber.h"
#include "common/json/table.h"

struct pg_statement {
    const char *name;        /* unique in the service, also the server-side name */
    const char *sql;         /* $1…; one statement */
    const struct table *row; /* how a row maps to a struct (table.h); NULL: rows are not read */
};

struct pg_arg {
    enum {
        PG_ARG_NULL,
        PG_ARG_TEXT,
        PG_ARG_I64,
        PG_ARG_BOOL,
        PG_ARG_TIME,
        PG_ARG_REAL,
        PG_ARG_SPAN
    } kind;
    const char *text;
    size_t len;
    int64_t value;
    double real;
};
struct pg_args {
    size_t count;
    const struct pg_arg *at;
};
#define PG_TEXT(v)                                                                                 \
    ((struct pg_arg){                                                                              \
        .kind = PG_ARG_TEXT, .text = (v)}) /* NULL = SQL NULL; also uuid, jsonb, arrays '{…}' */
#define PG_SPAN(s) ((struct pg_arg){.kind = PG_ARG_SPAN, .text = (s).ptr, .len = (s).len})
#define PG_I64(v)  ((struct pg_arg){.kind = PG_ARG_I64, .value = (int64_t)(v)})
#define PG_BOOL(v) ((struct pg_arg){.kind = PG_ARG_BOOL, .value = (v)})
#define PG_TIME(v)                                                                                 \
    ((struct pg_arg){.kind = PG_ARG_TIME, .value = (v)}) /* wall µs; 0 = SQL NULL                 \
                                                          */
#define PG_REAL(v) ((struct pg_arg){.kind = PG_ARG_REAL, .real = (v)})
#define PG_ARGS(...)                                                                               \
    ((struct pg_args){sizeof((const struct pg_arg[]){__VA_ARGS__}) / sizeof(struct pg_arg),        \
        (const struct pg_arg[]){__VA_ARGS__}})
#define PG_NO_ARGS ((struct pg_args){0, NULL})

/* Positive outcomes of running a statement: constraints speak, callers translate. The transaction
 * is aborted afterwards. `pg_constraint()` names the constraint. */
enum pg_outcome { PG_UNIQUE = 1, PG_CHECK = 2, PG_FOREIGN = 3, PG_NOT_NULL = 4 };

struct buf;
struct pg_pool;
struct pg_pool_config {
    const char *url;              /* postgresql://user:pass@host:port/db?application_name=… */
    const char *application_name; /* where the url has none; NULL: "souk" */
    unsigned size;                /* default 8 */
    unsigned waiting_limit;       /* default 512 */
    int64_t connect_timeout_us;   /* default 2 s */
    int64_t statement_timeout_us; /* default 5 s: the client's own deadline per wait */
    bool async_commit;            /* synchronous_commit=off: only for data that may be rebuilt */
    bool reuse_plans;             /* as pg_reuse_plans(), for all statements of the pool */
    int64_t swollen_us; /* default 10 s: how long an idle connection keeps room for long messages */
};

/* Makes the pool; connections are opened when first needed and reopened with jittered back-off.
 * One that needed room for more than 64 KiB at once, and not since `swollen_us`, is closed when it
 * is idle, for libpq never gives that back: one each half of that time, as long as the pool is used
 * and nobody waits for a connection. */
struct pg_pool *pg_pool_new(struct loop *l, const struct pg_pool_config *config);
void pg_pool_free(struct pg_pool *p); /* no transaction may be open */
/* Whether a connection can be had now: 0, or ERR_UNAVAILABLE with a note naming host, port and
 * database. */
int pg_pool_check(struct pg_pool *p, int64_t deadline_us) PARKS;
struct pg_pool_stats {
    unsigned size, open, in_use, waiting;
    uint64_t transactions, errors, round_trips;
    int64_t busy_us; /* time that connections were taken, summed */
};
struct pg_pool_stats pg_pool_stats(const struct pg_pool *p);

/* Result of a statement: rows mapped into the fiber's arena. */
struct pg_result {
    struct list rows; /* of structs of the statement's row table */
    int64_t affected; /* rows touched by INSERT/UPDATE/DELETE, or found by SELECT */
};
#define PG_ROW(result, type, i) LIST_AT((result).rows, type, i)
/* The first row, or NULL. */
#define PG_FIRST(result, type) ((result).rows.len ? PG_ROW(result, type, 0) : NULL)

struct pg_tx;
/* Takes a connection (waits its turn). Sends nothing. 0;
 * ERR_UNAVAILABLE, ERR_BUSY, ERR_TIMEOUT, -ECANCELED. Holds (fiber_hold) until the end of the
 * transaction. */
int pg_begin(struct pg_pool *p, struct pg_tx **ret_tx) PARKS;
/* Queues a copy without waiting. A later wait reports its failure (first failure wins). Never
 * parks. */
int pg_queue(struct pg_tx *tx, const struct pg_statement *s, struct pg_args args);
/* Queues that the statement must touch at least `min_affected` rows, else the next wait returns
 * `outcome` (> 0,
 * >= 100 by convention so that it cannot meet pg_outcome) and the transaction is rolled back.
 * pg_commit waits for open expectations before it commits: one more round trip. */
int pg_queue_expect(struct pg_tx *tx, const struct pg_statement *s, struct pg_args args,
    int64_t min_affected, int outcome);
/* Sends everything queued plus this statement, waits for all. `ret_result` NULL ok. 0; pg_outcome;
 * an `outcome` of pg_queue_expect; ERR_RETRY (40001, 40P01); ERR_UNAVAILABLE (connection lost
 * before COMMIT: rolled back), ERR_TIMEOUT. */
int pg_run(struct pg_tx *tx, const struct pg_statement *s, struct pg_args args,
    struct pg_result *ret_result) PARKS;
/* Queued, no round trip: what follows in this transaction is planned once and not for its values.
 * For batches: PostgreSQL finds a plan for an array of two items that much cheaper than the plan
 * for any array that it would plan anew each time, which costs more than running it. Not for
 * statements whose best plan depends on which of their arguments are NULL. */
int pg_reuse_plans(struct pg_tx *tx);
/* What belongs to the end of a transaction. `finish(tx, *slot)` queues it when pg_commit begins;
 * never when it is rolled back. After it came back with 0, `ended(*slot, r)` tells what became of
 * the commit, as pg_commit returns it, before anybody else runs. One `end` for a transaction. Gives
 * the slot, which is NULL at first; what is put there must live as long as the transaction. */
struct pg_end {
    int (*finish)(struct pg_tx *tx, void *arg);
    void (*ended)(void *arg, int r);
};
void **pg_at_commit(struct pg_tx *tx, const struct pg_end *end);
/* Commits, with everything still queued. 0; as pg_run; ERR_UNKNOWN: the connection broke or was
 * silent after that was sent, look the effect up before doing it again. Once sent it is not
 * cancelled. After a failure the transaction is over. */
int pg_commit(struct pg_tx *tx) PARKS;
/* Ends the transaction; rolls back unless committed; gives the connection back. For CLEANUP: takes
 * struct pg_tx **. */
void pg_tx_end(struct pg_tx **tx) PARKS;

/* An array argument, item by item, in a buffer that was empty; then its text, '{"a","b"}' in the
 * fiber's arena, for PG_TEXT. The buffer is empty again and free. */
void pg_array_put(struct buf *array, const char *item); /* NULL: SQL NULL */
void pg_array_put_i64(struct buf *array, int64_t item);
const char *pg_array_text(struct buf *array);

/* One statement in its own implicit transaction: one round trip, no BEGIN. As pg_run, and again on
 * ERR_RETRY like pg_transaction. A statement whose text does not begin with SELECT may have been
 * committed when the connection is lost: ERR_UNKNOWN. */
int pg_query(struct pg_pool *p, const struct pg_statement *s, struct pg_args args,
    struct pg_result *ret_result) PARKS;

/* Runs `fn` in a transaction and commits; again (at most 5 times, jittered) on ERR_RETRY. A
 * positive outcome of fn rolls back and is returned. */
int pg_transaction(struct pg_pool *p, int (*fn)(struct pg_tx *tx, void *arg), void *arg) PARKS;

/* The constraint of the last pg_outcome of this fiber's transaction, e.g. "users_email_key"; "" if
 * none. */
const char *pg_constraint(void);

/* Runs a multi-statement SQL text (migrations only) with the simple protocol, in one implicit
 * transaction. */
int pg_script(struct pg_pool *p, const char *sql) PARKS;

/* Prepares all statements and compares their columns with their row tables; logs each one that does
 * not fit. 0, or the first failure. For --check-sql. */
int pg_check_statements(struct pg_pool *p, const struct pg_statement *statements, size_t count)
    PARKS;

/* LISTEN: `on_notify(ctx)` on the loop for each notification, and once after each
 * (re)connect; one extra connection and fiber. A hint only. Free: the fiber ends in a later turn.
 */
struct pg_listener;
struct pg_listener *pg_listener_new(
    struct loop *l, const char *url, const char *channel, void (*on_notify)(void *ctx), void *ctx);
void pg_listener_free(struct pg_listener *l);
