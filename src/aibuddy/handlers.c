#include "aibuddy/aibuddy.h"

static void give_reasons(struct arena *a, struct list rows)
{
    for (size_t i = 0; i < rows.len; i++) {
        struct recommendation *r = LIST_AT(rows, struct recommendation, i);
        r->reason =
            r->based_on ? reason_together(a, r->based_on, r->count) : reason_trending(a, r->count);
    }
}

static int reply_rows(struct request *req, struct list rows, bool personal)
{
    give_reasons(req->arena, rows);
    return reply(req, 200, &recommendations_table, &(struct recommendations){rows, personal});
}

/* Somebody without a history, or who opted out, sees what everybody sees. */
int get_recommendations(struct request *req)
{
    const struct limit_params *p = req->params;
    bool opted_out;
    struct list rows = {0};
    TRY(store_opted_out(req->caller.user_id, &opted_out));
    if (!opted_out)
        TRY(store_personal(req->caller.user_id, p->limit, &rows));
    if (rows.len)
        return reply_rows(req, rows, true);
    TRY(trending_get(req->arena, p->limit, &rows));
    return reply_rows(req, rows, false);
}

int get_related(struct request *req)
{
    const struct limit_params *p = req->params;
    struct list rows;
    TRY(store_related(p->sku, p->limit, &rows));
    reply_cache(req, "public, max-age=5");
    return reply_rows(req, rows, false);
}

int get_trending(struct request *req)
{
    const struct limit_params *p = req->params;
    struct list rows;
    TRY(trending_get(req->arena, p->limit, &rows));
    reply_cache(req, "public, max-age=5");
    return reply_rows(req, rows, false);
}

int get_preferences(struct request *req)
{
    struct preferences preferences;
    TRY(store_opted_out(req->caller.user_id, &preferences.opt_out));
    return reply(req, 200, &preferences_table, &preferences);
}

int put_preferences(struct request *req)
{
    const struct preferences *body = req->body;
    TRY(store_opt_out(req->caller.user_id, body->opt_out));
    return reply(req, 200, &preferences_table, body);
}

/* Not to be had is no news: /readyz tells of the database by itself. */
const char *aibuddy_notice(void)
{
    char since[CLOCK_TEXT_SIZE];
    struct rebuild *rebuild;
    if (store_rebuilding(&rebuild) != 0 || !rebuild)
        return NULL;
    clock_format(rebuild->started_us, since);
    return arena_printf(fiber_arena(),
        "a rebuild from the audit stream began at %s and is not done (%lld events so far): "
        "soukctl replay --to ai-events-queue --rebuild goes on with it",
        since, (long long)rebuild->sent);
}
