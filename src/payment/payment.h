#pragma once

/* The payment service: payment methods (tokens of the provider), one payment for each order, its
 * refunds and their ledger. Checkout authorizes and, when it fails, voids; the order's own events
 * capture and give back. */

#include "common/app/service.h"
#include "common/contract/events.h"
#include "payment/provider.h"

enum payment_outcome {
    PAYMENT_OUTCOME_BASE_ = OUTCOME_SERVICE_BASE,
#define OUTCOME(name, status, code, title) PAYMENT_##name,
#include "payment/outcomes.def"
#undef OUTCOME
};

/* ---- tables.c ---- */

struct payment_method {
    const char *id, *provider, *label;
    int64_t created_at;
    /* not shown */
    const char *token;
};
extern const struct table payment_method_table;

struct payment_method_body {
    const char *token, *label;
};
extern const struct table payment_method_body_table;

struct validation_answer {
    bool valid;
    const char *reason;
};
extern const struct table validation_answer_table;

struct refund {
    const char *id, *payment_id;
    struct money amount;
    const char *status, *reason;
    int64_t created_at;
    /* not shown */
    const char *reference, *correlation_id;
    int64_t attempts;
};
extern const struct table refund_table;

struct payment {
    const char *id, *order_id, *user_id, *status;
    struct money amount;
    int64_t captured, refunded; /* minor units */
    const char *reason;
    int64_t created_at, updated_at;
    /* not shown */
    const char *user_email, *token, *reference, *correlation_id;
    int64_t ordered;   /* what the order asked to capture; -1: no order yet */
    int64_t refunding; /* minor units of refunds under way */
    bool cancelled;    /* everything is to be given back */
    bool busy;         /* somebody works on it until its lease ends */
    int64_t attempts;
    struct list refunds; /* struct refund; only when one payment is shown */
};
extern const struct table payment_table;        /* a row */
extern const struct table payment_answer_table; /* shown to its owner */
extern const struct table authorization_table;  /* shown to services */

struct authorization_body {
    const char *order_id, *user_id, *user_email, *payment_method_id;
    struct money amount;
};
extern const struct table authorization_body_table;

struct void_body {
    const char *reason;
};
extern const struct table void_body_table;

struct refund_body {
    struct money amount;
    const char *reason;
};
extern const struct table refund_body_table;

struct order_params {
    const char *order_id;
};
extern const struct table order_params_table; /* of the path and of the query */

struct id_params {
    const char *id;
};
extern const struct table method_params_table;
extern const struct table payment_params_table;

struct page_params {
    const char *cursor;
    int64_t limit;
};
extern const struct table page_params_table;

extern const struct config_row payment_config[];
extern const size_t payment_config_count;

/* ---- rules.c ---- */

/* Whether the text has the shape of a card number: 12 to 19 digits, spaces and dashes aside. */
bool payment_is_card_number(const char *text);

enum payment_task {
    TASK_NONE,
    TASK_AUTHORIZE, /* the first call, made by the request itself */
    TASK_RESOLVE,   /* ask what became of an authorization */
    TASK_CAPTURE,
    TASK_VOID,
    TASK_REFUND_REST,
};
/* What the row's state and wishes ask for now. */
enum payment_task payment_task_of(const struct payment *p);
/* What is captured of an authorization: never more than was authorized. */
int64_t payment_capture_amount(int64_t ordered, int64_t authorized);
int64_t payment_refundable(const struct payment *p);
/* Doubles from 1 s to 30 s. */
int64_t payment_retry_delay_s(int64_t attempts);
bool payment_is_undecided(const char *status); /* pending or unknown */
/* The reason of an authorization that failed because the bank was away, and is barred there. */
#define NOT_PROCESSED "not_processed"
/* Failed by the bank's own word about the card. */
bool payment_was_declined(const struct payment *p);

/* ---- store.c ---- */

extern const struct pg_statement payment_statements[];
extern const size_t payment_statements_count;
extern const struct pg_statement payment_backlog; /* undecided, to be captured, to be refunded */

int store_method_insert(struct pg_tx *tx, const struct payment_method *m, const char *user_id,
    const char *token); /* queued */
int store_method_list(const char *user_id, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_methods) PARKS; /* at most limit + 1 rows */
/* 0 with NULL when the user has none of that id. */
int store_method_find(const char *id, const char *user_id, struct payment_method **ret_method)
    PARKS;
int store_method_delete(const char *id, const char *user_id, bool *ret_deleted) PARKS;
int store_methods_delete_all(struct pg_tx *tx, const char *user_id); /* queued */

/* The row before the bank is asked. 0 with NULL when the method is not the user's, or the order
 * has a payment already. */
int store_insert(const char *id, const struct authorization_body *b, const char *correlation_id,
    struct payment **ret_payment) PARKS;
/* 0 with NULL when there is none of that reader's. `reader_id` NULL: anybody's. */
int store_find(const char *id, const char *reader_id, struct payment **ret_payment) PARKS;
int store_find_by_order(const char *order_id, const char *reader_id, struct payment **ret_payment)
    PARKS;
int store_lock(struct pg_tx *tx, const char *id, struct payment **ret_payment) PARKS;
int store_lock_by_order(struct pg_tx *tx, const char *order_id, struct payment **ret_payment) PARKS;
int store_refunds(const char *payment_id, struct list *ret_refunds) PARKS;

/* Wishes of the order; they change nothing when the payment is over. */
struct ordered {
    const char *order_id;
    int64_t amount;
    const char *currency;
};
/* Orders are struct ordered, each once. Answers with the payments that have the wish now; what is
 * authorized among them is the caller's to capture, for CAPTURE_LEASE_S at least. */
int store_ordered(struct pg_tx *tx, struct list orders, struct list *ret_payments) PARKS;
int store_cancelled(struct pg_tx *tx, const char *order_id, const char *reason); /* queued */
/* An order that will never be authorized (queued); PG_UNIQUE at the next wait when a payment came
 * first. */
int store_tombstone(struct pg_tx *tx, const char *id, const char *order_id, const char *reason);
/* Takes the row for `lease_s` (queued). */
int store_lease(struct pg_tx *tx, const char *id, int64_t lease_s);

/* Takes rows that are due. */
int store_claim(int64_t limit, int64_t lease_s, struct list *ret_payments) PARKS;
int store_claim_refunds(int64_t limit, int64_t lease_s, struct list *ret_refunds) PARKS;

/* Results (queued). Each fails the transaction with PG_NOT_NULL when the row is not any more in a
 * state that allows it, so a result is never written twice. */
int store_authorized(struct pg_tx *tx, const char *id, const char *reference);
int store_undecided(struct pg_tx *tx, const char *id);
int store_failed(struct pg_tx *tx, const char *id, const char *reason);
struct capture {
    const char *payment_id;
    int64_t amount;
};
int store_captured(struct pg_tx *tx, struct list captures); /* each once; and the ledger entries */
int store_voided(struct pg_tx *tx, const char *id);
int store_retry(struct pg_tx *tx, const char *id, int64_t delay_s);
/* Nothing to do for now, unless a wish was written since `p` was read. */
int store_rest(struct pg_tx *tx, const struct payment *p);

int store_refund_insert(
    struct pg_tx *tx, const struct refund *r, const char *requested_by); /* queued */
/* Writes refund and ledger; answers with the payment as it is now. */
int store_refund_done(struct pg_tx *tx, const char *id, struct payment **ret_payment) PARKS;
int store_refund_failed(struct pg_tx *tx, const char *id, const char *reason); /* queued */
int store_refund_retry(struct pg_tx *tx, const char *id, int64_t delay_s);     /* queued */

/* ---- worker.c ---- */

#define AUTHORIZE_LEASE_S 5  /* more than a request's deadline */
#define CAPTURE_LEASE_S   3  /* at least, for what is captured as soon as it is ordered */
#define WORK_LEASE_S      15 /* more than a call to the bank may take */
#define WORKER            "payments"

int payment_start(void);
/* Payments that store_ordered() gave and that are committed; it keeps copies. `until_us`
 * (monotonic) is the end of their lease. */
void payment_capture(struct list payments, int64_t until_us);
/* Something is due: a wish, a refund was committed. */
void payment_nudge(void);
void payment_refund_nudge(void);
/* What became of one task. */
enum verdict {
    VERDICT_NOTHING,
    VERDICT_AUTHORIZED,
    VERDICT_UNDECIDED,
    VERDICT_FAILED,
    VERDICT_CAPTURED,
    VERDICT_VOIDED,
    VERDICT_REFUND_REST,
    VERDICT_RETRY,
};
struct job {
    struct payment *payment;
    enum payment_task task;
    struct arena *arena; /* keeps the texts */
    enum verdict verdict;
    const char *reference, *reason;
};
/* Asks the bank. Must hold no transaction. */
void job_ask(struct job *j) PARKS;
/* Writes the verdict and its event in a transaction of its own. PG_NOT_NULL when somebody else
 * decided meanwhile. */
int job_record(struct job *j) PARKS;

/* ---- events.c ---- */

int payment_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count);
void payment_batch_committed(void);
extern const struct consumer_row payment_consumers[];
extern const size_t payment_consumers_count;
extern const struct event_kind *const payment_publishes[];
extern const size_t payment_publishes_count;

/* Publishes an event of `amount` about the payment (queued). */
int payment_publish(struct pg_tx *tx, const struct event_kind *kind, const struct payment *p,
    int64_t amount, const char *reason);

/* ---- routes.c, handlers.c (people), authorizations.c (services) ---- */

extern const struct route payment_routes[];
extern const size_t payment_routes_count;

int post_payment_method(struct request *req);
int get_payment_methods(struct request *req);
int delete_payment_method(struct request *req);
int post_validation(struct request *req);
int get_payment(struct request *req);
int get_payments(struct request *req);
int post_refund(struct request *req);

int post_authorization(struct request *req);
int post_void(struct request *req);
int post_capture(struct request *req);
