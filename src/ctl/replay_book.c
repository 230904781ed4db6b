#include "ctl/replay_book.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/data/pg.h"

/* To forget and count anew may take a while where much is kept. */
#define PATIENCE_US (10 * 60 * USEC_PER_SEC)

struct book {
    struct pg_pool *pool;
};

static const struct field replay_fields[] = {
    FIELD_TEXT(struct replay, id, "id"),
    FIELD_TEXT(struct replay, who, "who"),
    FIELD_TEXT(struct replay, what, "what"),
    FIELD_BOOL(struct replay, rebuild, "rebuild"),
    FIELD_TIME(struct replay, since_us, "since"),
    FIELD_TIME(struct replay, until_us, "until"),
    FIELD_I64(struct replay, next_offset, "nextOffset"),
    FIELD_TEXT(struct replay, last_event, "lastEvent"),
    FIELD_I64(struct replay, sent, "sent"),
    FIELD_TIME(struct replay, started_us, "startedAt"),
};
static const struct table replay_table = TABLE("Replay", struct replay, replay_fields);

struct number {
    int64_t value;
};
static const struct field number_fields[] = {FIELD_I64(struct number, value, "value")};
static const struct table number_table = TABLE("Number", struct number, number_fields);

static const struct pg_statement unfinished_statement = {"replay_unfinished",
    "SELECT id, who, what, rebuild, since_at, until_at, coalesce(next_offset, 0), "
    "coalesce(last_event, ''), "
    "sent, started_at FROM replays WHERE ended_at IS NULL",
    &replay_table};
static const struct pg_statement replace_statement = {"replay_replace",
    "UPDATE replays SET ended_at = now() WHERE ended_at IS NULL AND id <> $1", NULL};
static const struct pg_statement begin_statement = {"replay_begin",
    "INSERT INTO replays (id, who, what, rebuild, since_at, until_at) VALUES ($1, $2, $3, $4, $5, "
    "$6)",
    NULL};
static const struct pg_statement forget_statement = {
    "replay_forget", "SELECT forget_since(coalesce($1::timestamptz, '-infinity'))", NULL};
static const struct pg_statement progress_statement = {"replay_progress",
    "UPDATE replays SET next_offset = $3, last_event = $4, sent = sent + $5, seen_at = now() "
    "WHERE id = $1 AND coalesce(next_offset, 0) = $2 AND ended_at IS NULL",
    NULL};
static const struct pg_statement end_statement = {"replay_end",
    "UPDATE replays SET ended_at = now(), seen_at = now() WHERE id = $1 AND ended_at IS NULL",
    NULL};
static const struct pg_statement count_statement = {"replay_inbox_count",
    "SELECT count(*) FROM inbox WHERE handled_at >= coalesce($1::timestamptz, '-infinity') "
    "AND handled_at <= coalesce($2::timestamptz, 'infinity')",
    &number_table};
static const struct pg_statement count_of_statement = {"replay_inbox_count_of",
    "SELECT count(*) FROM inbox WHERE handled_at >= coalesce($1::timestamptz, '-infinity') "
    "AND handled_at <= coalesce($2::timestamptz, 'infinity') AND event_id = ANY ($3::uuid[])",
    &number_table};

struct book *book_new(
    struct arena *a, struct loop *l, const struct queue_row *queue, const char **ret_variable)
{
    char *name = arena_printf(a, "%s_DATABASE_URL", queue->service);
    for (char *p = name; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    *ret_variable = name;
    const char *url = getenv(name);
    if (!url || !*url)
        return NULL;
    struct book *b = MEM_NEW(struct book);
    b->pool = pg_pool_new(l, &(struct pg_pool_config){.url = url,
                                 .application_name = "soukctl",
                                 .size = 1,
                                 .statement_timeout_us = PATIENCE_US});
    return b;
}

void book_free(struct book *b)
{
    if (!b)
        return;
    pg_pool_free(b->pool);
    mem_free(b);
}

int book_unfinished(struct book *b, struct replay **ret_replay)
{
    struct pg_result found;
    TRY(pg_query(b->pool, &unfinished_statement, PG_NO_ARGS, &found));
    *ret_replay = PG_FIRST(found, struct replay);
    return 0;
}

int book_begin(struct book *b, const struct replay *r, int64_t forget_us)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    TRY(pg_begin(b->pool, &tx));
    TRY(pg_queue(tx, &replace_statement, PG_ARGS(PG_TEXT(r->id))));
    int taken = pg_run(tx, &begin_statement,
        PG_ARGS(PG_TEXT(r->id), PG_TEXT(r->who), PG_TEXT(r->what), PG_BOOL(r->rebuild),
            PG_TIME(r->since_us), PG_TIME(r->until_us)),
        NULL);
    if (taken == PG_UNIQUE)
        return BOOK_TAKEN;
    TRY(taken);
    if (r->rebuild)
        TRY(pg_run(tx, &forget_statement, PG_ARGS(PG_TIME(forget_us)), NULL));
    return pg_commit(tx);
}

int book_progress(struct book *b, const char *id, int64_t from_offset, int64_t next_offset,
    const char *last_event, int64_t sent)
{
    struct pg_result done;
    TRY(pg_query(b->pool, &progress_statement,
        PG_ARGS(PG_TEXT(id), PG_I64(from_offset), PG_I64(next_offset), PG_TEXT(last_event),
            PG_I64(sent)),
        &done));
    return done.affected == 1 ? 0 : BOOK_TAKEN;
}

int book_end(struct book *b, const char *id)
{
    return pg_query(b->pool, &end_statement, PG_ARGS(PG_TEXT(id)), NULL);
}

int book_handled(struct book *b, int64_t since_us, int64_t until_us, const char *const *ids,
    size_t count, int64_t *ret_handled)
{
    struct buf list = {0};
    struct pg_result found;
    buf_put_char(&list, '{');
    for (size_t i = 0; i < count; i++)
        buf_printf(&list, "%s%s", i ? "," : "", ids[i]);
    buf_put_char(&list, '}');
    int r = ids ? pg_query(b->pool, &count_of_statement,
                      PG_ARGS(PG_TIME(since_us), PG_TIME(until_us), PG_TEXT(list.ptr)), &found)
                : pg_query(b->pool, &count_statement, PG_ARGS(PG_TIME(since_us), PG_TIME(until_us)),
                      &found);
    buf_deinit(&list);
    TRY(r);
    *ret_handled = PG_ROW(found, struct number, 0)->value;
    return 0;
}
