#include "ctl/handled.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/uuid.h"
#include "common/data/pg.h"
#include "ctl/databases.h"

struct handled {
    struct pg_pool *pool;
};

struct inbox_id {
    const char *event_id;
};
static const struct field inbox_id_fields[] = {FIELD_TEXT(struct inbox_id, event_id, "eventId")};
static const struct table inbox_id_table = TABLE("InboxId", struct inbox_id, inbox_id_fields);
static const struct pg_statement look_statement = {"ctl_inbox_look",
    "SELECT event_id FROM inbox WHERE event_id = ANY ($1::uuid[])", &inbox_id_table};

struct handled *handled_new(
    struct arena *a, struct loop *l, const struct queue_row *queue, const char **ret_variable)
{
    const char *url = database_url(a, queue->service, ret_variable);
    if (!url)
        return NULL;
    struct handled *h = MEM_NEW(struct handled);
    h->pool = pg_pool_new(
        l, &(struct pg_pool_config){.url = url, .application_name = "soukctl", .size = 1});
    return h;
}

void handled_free(struct handled *h)
{
    if (!h)
        return;
    pg_pool_free(h->pool);
    mem_free(h);
}

int handled_look(struct handled *h, const char *const *ids, size_t count, bool *done)
{
    struct buf list = {0};
    struct pg_result found;
    buf_put_char(&list, '{');
    for (size_t i = 0, n = 0; i < count; i++)
        if (uuid_valid(span_of(ids[i])))
            buf_printf(&list, "%s%s", n++ ? "," : "", ids[i]);
    buf_put_char(&list, '}');
    int r = pg_query(h->pool, &look_statement, PG_ARGS(PG_TEXT(list.ptr)), &found);
    buf_deinit(&list);
    TRY(r);
    for (size_t i = 0; i < found.rows.len; i++)
        for (size_t k = 0; k < count; k++)
            if (strcmp(PG_ROW(found, struct inbox_id, i)->event_id, ids[k]) == 0)
                done[k] = true;
    return 0;
}
