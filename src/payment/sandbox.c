/* The sandbox bank: what it does follows from the token alone, so demos and tests can predict it.
 *
 * It stands for a bank outside of this house, so its books survive our crash and know nothing of
 * our transactions: tables of its own, each call one statement with its own commit, on connections
 * of its own. Those commits don't wait for the disk. That is safe: the log is written in order, so
 * our own commit that records the bank's answer makes the bank's commit durable with it; and when
 * both are lost, nobody has heard the answer.
 *
 * A charge is known by the key it was asked for with; its reference is "sbx_" and that key. */

#include "common/app/service.h"
#include "payment/provider.h"

#define REFERENCE_PREFIX "sbx_"
#define CONNECTIONS      8

/* ---- tokens ---- */

struct plan {
    const char *token;
    const char *refusal;      /* NULL: approved */
    int64_t delay_us;         /* of the answer to authorize */
    bool fails;               /* HTTP 500, nothing done */
    bool loses_first_answer;  /* done, but the caller never hears of it */
    int64_t capture_failures; /* times that a capture finds the bank away; -1: refused for good */
};

static const struct plan plans[] = {
    {"tok_visa"},
    {"tok_mastercard"},
    {"tok_declined", .refusal = "do_not_honor"},
    {"tok_insufficient_funds", .refusal = "insufficient_funds"},
    {"tok_expired", .refusal = "card_expired"},
    {"tok_slow", .delay_us = 1 * USEC_PER_SEC},
    {"tok_unknown", .loses_first_answer = true},
    {"tok_error", .fails = true},
    {"tok_capture_refused", .capture_failures = -1},
    {"tok_capture_flaky", .capture_failures = 2},
};

static const struct plan unknown_token = {.refusal = "invalid_token"};

static const struct plan *plan_of(const char *token)
{
    for (size_t i = 0; i < ARRAY_SIZE(plans); i++)
        if (strcmp(plans[i].token, token) == 0)
            return &plans[i];
    return &unknown_token;
}

/* ---- the books ---- */

struct charge_row {
    const char *key, *state, *reason;
    int64_t capture_failures;
};
static const struct field charge_fields[] = {
    FIELD_TEXT(struct charge_row, key, "key"),
    FIELD_TEXT(struct charge_row, state, "state"),
    FIELD_TEXT(struct charge_row, reason, "reason"),
    FIELD_I64(struct charge_row, capture_failures, "captureFailures"),
};
static const struct table charge_table = TABLE("SandboxCharge", struct charge_row, charge_fields);

struct key_row {
    const char *key;
};
static const struct field key_fields[] = {FIELD_TEXT(struct key_row, key, "key")};
static const struct table key_table = TABLE("SandboxKey", struct key_row, key_fields);

struct done_row {
    bool done;
};
static const struct field done_fields[] = {FIELD_BOOL(struct done_row, done, "done")};
static const struct table done_table = TABLE("SandboxDone", struct done_row, done_fields);

enum { SQL_AUTHORIZE, SQL_LOOKUP, SQL_CAPTURE, SQL_CAPTURE_FAILED, SQL_VOID, SQL_REFUND, SQL_DONE };

static const struct pg_statement statements[] = {
    [SQL_AUTHORIZE] = {"sandbox_authorize",
        "INSERT INTO sandbox_charges (key, token, amount, currency, state, reason, "
        "capture_failures) VALUES ($1, $2, $3, $4, $5::text::sandbox_state, $6, $7) "
        "ON CONFLICT (key) DO NOTHING RETURNING key, state::text, reason, capture_failures",
        &charge_table},
    [SQL_LOOKUP] = {"sandbox_lookup",
        "SELECT key, state::text, reason, capture_failures FROM sandbox_charges WHERE key = $1",
        &charge_table},
    [SQL_CAPTURE] = {"sandbox_capture",
        "WITH entered AS (INSERT INTO sandbox_operations (key, charge, kind, amount) "
        "SELECT asked.key, c.key, 'capture', asked.amount "
        "FROM unnest($1::text[], $2::text[], $3::bigint[]) AS asked (key, charge, amount) "
        "JOIN sandbox_charges c ON c.key = asked.charge WHERE c.state = 'authorized' "
        "AND c.capture_failures = 0 AND c.amount >= asked.amount FOR UPDATE OF c "
        "ON CONFLICT DO NOTHING RETURNING key, charge, amount) "
        "UPDATE sandbox_charges c SET state = 'captured', captured = entered.amount FROM entered "
        "WHERE c.key = entered.charge AND c.state = 'authorized' RETURNING entered.key",
        &key_table},
    [SQL_CAPTURE_FAILED] = {"sandbox_capture_failed",
        "UPDATE sandbox_charges SET capture_failures = capture_failures - 1 WHERE key = $1"},
    /* A charge that never arrived is entered as given up: it can't arrive any more. */
    [SQL_VOID] = {"sandbox_void",
        "INSERT INTO sandbox_charges AS c (key, token, amount, currency, state) "
        "VALUES ($1, '', 0, '', 'voided') ON CONFLICT (key) DO UPDATE SET state = 'voided' "
        "WHERE c.state = 'authorized'"},
    [SQL_REFUND] = {"sandbox_refund",
        "WITH entered AS (INSERT INTO sandbox_operations (key, charge, kind, amount) "
        "SELECT $1::text, key, 'refund', $3::bigint FROM sandbox_charges WHERE key = $2 "
        "AND state = 'captured' AND refunded + $3::bigint <= captured FOR UPDATE "
        "ON CONFLICT DO NOTHING RETURNING charge) "
        "UPDATE sandbox_charges c SET refunded = c.refunded + $3::bigint FROM entered "
        "WHERE c.key = entered.charge"},
    [SQL_DONE] = {"sandbox_done", "SELECT EXISTS (SELECT 1 FROM sandbox_operations WHERE key = $1)",
        &done_table},
};

static struct pg_pool *books;

static int run(size_t statement, struct pg_args args, struct pg_result *ret_result)
{
    return pg_query(books, &statements[statement], args, ret_result);
}

static int start(void)
{
    books = pg_pool_new(app()->loop, &(struct pg_pool_config){.url = config_text("DATABASE_URL"),
                                         .application_name = "souk-sandbox",
                                         .size = CONNECTIONS,
                                         .async_commit = true,
                                         .reuse_plans = true});
    return 0;
}

static int refused(struct provider_charge *ret_answer, const char *reason)
{
    *ret_answer = (struct provider_charge){.reason = reason};
    return PROVIDER_REFUSED;
}

static int answer_of(const struct charge_row *row, struct provider_charge *ret_charge)
{
    if (strcmp(row->state, "refused") == 0)
        return refused(ret_charge, row->reason);
    *ret_charge = (struct provider_charge){
        .reference = arena_printf(fiber_arena(), REFERENCE_PREFIX "%s", row->key),
        .voided = strcmp(row->state, "voided") == 0};
    return 0;
}

/* NULL when there is none. */
static int find(const char *key, struct charge_row **ret_row)
{
    struct pg_result result;
    TRY(run(SQL_LOOKUP, PG_ARGS(PG_TEXT(key)), &result));
    *ret_row = PG_FIRST(result, struct charge_row);
    return 0;
}

static const char *key_of(const char *reference)
{
    size_t n = strlen(REFERENCE_PREFIX);
    return strncmp(reference, REFERENCE_PREFIX, n) == 0 ? reference + n : "";
}

/* ---- what a bank does ---- */

static int validate(const char *token, struct provider_charge *ret_answer)
{
    const struct plan *plan = plan_of(token);
    *ret_answer = (struct provider_charge){0};
    bool usable = !plan->refusal || strcmp(plan->refusal, "insufficient_funds") == 0;
    return usable ? 0 : refused(ret_answer, plan->refusal);
}

static int authorize(const char *key, const char *token, const struct money *amount,
    struct provider_charge *ret_charge)
{
    const struct plan *plan = plan_of(token);
    struct pg_result entered;
    struct charge_row *row;
    if (plan->fails) {
        error_note("the sandbox answered 500");
        return ERR(ERR_UNAVAILABLE);
    }
    if (plan->delay_us)
        TRY(fiber_sleep(plan->delay_us));
    TRY(run(SQL_AUTHORIZE,
        PG_ARGS(PG_TEXT(key), PG_TEXT(token), PG_I64(amount->amount), PG_TEXT(amount->currency),
            PG_TEXT(plan->refusal ? "refused" : "authorized"), PG_TEXT(plan->refusal),
            PG_I64(plan->capture_failures)),
        &entered));
    if (entered.rows.len && plan->loses_first_answer) {
        error_note("the sandbox did not answer in time");
        return ERR(ERR_TIMEOUT);
    }
    if (entered.rows.len)
        return answer_of(PG_ROW(entered, struct charge_row, 0), ret_charge);
    TRY(find(key, &row));
    return row ? answer_of(row, ret_charge) : ERR(ERR_UNKNOWN);
}

/* A capture that changed nothing: done before, out of order today, or never possible. */
static int explain_capture(
    const char *key, const char *charge_key, struct provider_charge *ret_answer)
{
    struct pg_result done;
    struct charge_row *row;
    TRY(run(SQL_DONE, PG_ARGS(PG_TEXT(key)), &done));
    if (PG_ROW(done, struct done_row, 0)->done)
        return 0;
    TRY(find(charge_key, &row));
    if (!row || row->capture_failures <= 0)
        return refused(ret_answer,
            row && row->capture_failures < 0 ? "capture_refused" : "charge_not_capturable");
    TRY(run(SQL_CAPTURE_FAILED, PG_ARGS(PG_TEXT(charge_key)), NULL));
    error_note("the sandbox takes no captures right now");
    return ERR(ERR_UNAVAILABLE);
}

static bool has_key(const struct pg_result *done, const char *key)
{
    for (size_t i = 0; i < done->rows.len; i++)
        if (strcmp(PG_ROW(*done, struct key_row, i)->key, key) == 0)
            return true;
    return false;
}

/* One statement for all; what it did not do is looked at one by one. */
static void capture(struct provider_capture *captures, size_t count)
{
    struct buf keys = {0}, charges = {0}, amounts = {0};
    struct pg_result done;
    for (size_t i = 0; i < count; i++) {
        pg_array_put(&keys, captures[i].key);
        pg_array_put(&charges, key_of(captures[i].reference));
        pg_array_put_i64(&amounts, captures[i].amount.amount);
    }
    int r = run(SQL_CAPTURE,
        PG_ARGS(PG_TEXT(pg_array_text(&keys)), PG_TEXT(pg_array_text(&charges)),
            PG_TEXT(pg_array_text(&amounts))),
        &done);
    for (size_t i = 0; i < count; i++) {
        struct provider_capture *c = &captures[i];
        c->answer = (struct provider_charge){.reference = c->reference};
        c->r = r;
        if (r == 0 && !has_key(&done, c->key))
            c->r = explain_capture(c->key, key_of(c->reference), &c->answer);
    }
}

static int void_charge(const char *key, const char *charge_key, struct provider_charge *ret_answer)
{
    struct pg_result result;
    struct charge_row *row;
    *ret_answer = (struct provider_charge){.voided = true};
    TRY(run(SQL_VOID, PG_ARGS(PG_TEXT(charge_key)), &result));
    if (result.affected == 1)
        return 0;
    TRY(find(charge_key, &row));
    return row && strcmp(row->state, "captured") == 0 ? refused(ret_answer, "already_captured") : 0;
}

static int refund(const char *key, const char *reference, const struct money *amount,
    struct provider_charge *ret_answer)
{
    struct pg_result result;
    *ret_answer = (struct provider_charge){.reference = reference};
    TRY(run(SQL_REFUND, PG_ARGS(PG_TEXT(key), PG_TEXT(key_of(reference)), PG_I64(amount->amount)),
        &result));
    if (result.affected == 1)
        return 0;
    TRY(run(SQL_DONE, PG_ARGS(PG_TEXT(key)), &result));
    return PG_ROW(result, struct done_row, 0)->done ? 0 : refused(ret_answer, "not_refundable");
}

static int lookup(const char *charge_key, struct provider_charge *ret_charge)
{
    struct charge_row *row;
    TRY(find(charge_key, &row));
    return row ? answer_of(row, ret_charge) : PROVIDER_ABSENT;
}

const struct provider sandbox_provider = {.name = "sandbox",
    .start = start,
    .validate = validate,
    .authorize = authorize,
    .capture = capture,
    .void_charge = void_charge,
    .refund = refund,
    .lookup = lookup};
