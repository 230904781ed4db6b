#pragma once

/* One connection to PostgreSQL: connects, prepares, sends a pipeline, collects its answers. Private
 * to the pg_*.c files; pg.h is for everybody else. A link belongs to one fiber at a time. */

#include "common/data/pg.h"
#include "common/fiber/offload.h"
#include "common/fiber/sync.h"

struct event;
struct pg_conn;      /* libpq's PGconn */
struct libpq_result; /* libpq's PGresult; its own tag, pg_result, is taken by pg.h */

/* Where to connect, worked out once from the url. */
struct pg_target {
    char *problem; /* the url cannot be used, and why; else NULL */
    char *label;   /* "127.0.0.1:5432/order" for notes and logs */
    char **keys, **values;
    size_t count;
    size_t host_at;           /* index of "host" in values; "hostaddr" follows */
    char *name;               /* must be resolved before connecting; NULL when it is an address */
    struct offload *resolver; /* only with a name */
};
void pg_target_init(struct pg_target *t, struct loop *l, const struct pg_pool_config *config);
void pg_target_deinit(struct pg_target *t);
int pg_target_resolve(struct pg_target *t) PARKS; /* ERR_UNAVAILABLE: nobody knows the name */

/* One thing the server will answer, in order. */
struct pg_step {
    enum {
        PG_STEP_PREPARE,
        PG_STEP_RUN,
        PG_STEP_SYNC,
        PG_STEP_SCRIPT,
    } kind;
    bool answered;
    bool keep; /* the result is wanted */
    const struct pg_statement *statement;
    int64_t min_affected; /* 0: no expectation */
    int outcome;
};

struct pg_prepared {
    const struct pg_statement *statement; /* NULL: free slot */
    enum { PREPARED_NOT, PREPARED_SENT, PREPARED_YES } state;
};

/* What the sender of a statement wants to know about it. */
struct pg_want {
    bool keep;
    int64_t min_affected;
    int outcome;
};

struct pg_link {
    struct pg_link *next; /* in the pool's list of idle or closed ones */
    struct loop *loop;
    struct pg_target *target;
    void (*on_lost)(struct pg_link *l); /* the peer is gone; called once, from the loop */
    void (*on_notify)(void *ctx);       /* NULL: notifications are dropped */
    void *ctx;                          /* of both callbacks */

    struct pg_conn *conn; /* NULL: closed */
    struct event *reading, *writing;
    bool broken; /* its state is not known any more: only good for closing */
    bool stale;  /* close it after use: a cached plan does not fit the tables any more */

    struct pg_prepared *prepared; /* hash by the statement's address */
    size_t prepared_count, prepared_size;
    struct pg_step *steps;
    size_t step_head, step_count, step_size;

    struct latch done;           /* the sync was answered, or the link broke */
    struct libpq_result *kept;   /* of the last step that wanted its result */
    struct libpq_result *failed; /* the first failure since the last sync… */
    const char *failed_name;     /* …and whose it was */
    int unmet;                   /* or the outcome of the first expectation that was not met */
    uint64_t round_trips;
    int64_t taken_us;   /* when its fiber got it */
    size_t queued;      /* bytes of arguments since the last sync */
    int64_t swollen_us; /* when libpq last needed much room; 0: never */
};

void pg_link_init(struct pg_link *l, struct loop *loop, struct pg_target *target);
void pg_link_deinit(struct pg_link *l);

/* 0; ERR_UNAVAILABLE with a note, -ETIMEDOUT, -ECANCELED. Closed again on failure. */
int pg_link_open(struct pg_link *l, int64_t deadline_us) PARKS;
void pg_link_close(struct pg_link *l);

/* Whether these arguments can be sent. 0; ERR_INVALID with a note. */
int pg_args_check(const struct pg_statement *s, struct pg_args args);

/* Puts the statement into the pipeline, prepared first where this link has not seen it. Sends
 * nothing by itself. 0; -EINVAL for an argument that cannot be sent; ERR_UNAVAILABLE. */
int pg_link_send(
    struct pg_link *l, const struct pg_statement *s, struct pg_args args, struct pg_want want);

/* Sends all with one sync and waits for its answer. 0; the first failure as pg_error_code has it,
 * or its expectation's outcome; -ETIMEDOUT, -ECANCELED, ERR_UNAVAILABLE: the link is broken then.
 * `decisive`: these steps may commit. They are not cancelled once sent, and whatever breaks the
 * link gives ERR_UNKNOWN. */
int pg_link_wait(struct pg_link *l, bool decisive, int64_t timeout_us) PARKS;

/* The kept result, mapped into the fiber's arena by pg_rows_read and then dropped. */
int pg_link_rows(struct pg_link *l, const struct pg_statement *s, struct pg_result *ret_result);

/* Several statements by the simple protocol, in one implicit transaction. As pg_link_wait. */
int pg_link_script(struct pg_link *l, const char *sql, int64_t deadline_us) PARKS;

/* Columns of the statement's rows as the server describes it; prepares it. */
int pg_link_describe(
    struct pg_link *l, const struct pg_statement *s, int64_t timeout_us, int *ret_columns) PARKS;

/* A transaction is open on the server, or steps wait to be sent. */
bool pg_link_busy(const struct pg_link *l);

/* pg_prepared.c: what the link knows of the statement, made when it is first asked for; good until
 * the next one is made. */
struct pg_prepared *pg_prepared_entry(struct pg_link *l, const struct pg_statement *s);

/* pg_error.c: SQLSTATE to our codes, once. */
int pg_error_code(const char *sqlstate);
void pg_constraint_set(const char *name);

/* pg_rows.c */
size_t pg_rows_columns(const struct table *t);
/* Maps all rows into `a`. 0; ERR_PROTOCOL with a note naming statement and column. */
int pg_rows_read(struct arena *a, const struct pg_statement *s, const struct libpq_result *res,
    struct pg_result *ret_result);

/* pg_pool.c: a link for the calling fiber, which holds (fiber_hold) until it gives it back. */
int pg_pool_take(struct pg_pool *p, struct pg_link **ret_link) PARKS;
void pg_pool_give(struct pg_pool *p, struct pg_link *l, bool failed);
int64_t pg_pool_timeout_us(const struct pg_pool *p);
