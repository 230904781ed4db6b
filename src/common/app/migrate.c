/* Migrations: each file is one multi-statement script, which PostgreSQL runs as one transaction.
 * The script takes the advisory lock and inserts the version's row before the file's own SQL.
 * So of several processes that start together one applies a version and the others, let in
 * afterwards, meet its row: that unique violation means "done by somebody else", and undoes nothing
 * but itself. */

#include "common/app/migrate.h"

#include "common/base/buf.h"

#define LOCK_KEY "7364021" /* one for all: each service has its own database */

struct version {
    const char *version;
};
static const struct field version_fields[] = {FIELD_TEXT(struct version, version, "version")};
static const struct table version_table = TABLE("Version", struct version, version_fields);

static const struct pg_statement sql_table = {
    "souk_migrations_table", "SELECT to_regclass('schema_migrations')::text", &version_table};
static const struct pg_statement sql_versions = {
    "souk_migrations_versions", "SELECT version FROM schema_migrations", &version_table};

static const char create_table[] =
    "SET LOCAL statement_timeout = 0;\n"
    "SELECT pg_advisory_xact_lock(" LOCK_KEY ");\n"
    "CREATE TABLE IF NOT EXISTS schema_migrations (version varchar PRIMARY KEY);\n";

/* The part between `-- migrate:up` and `-- migrate:down` or the end. */
static bool migration_up(const char *sql, struct span *ret_up)
{
    struct span rest = span_of(sql), line;
    const char *begin = NULL, *end = NULL;

    while (span_cut(&rest, '\n', &line)) {
        struct span text = span_trim(line);

        if (!begin && span_starts(text, SPAN("-- migrate:up")))
            begin = line.ptr + line.len;
        else if (begin && span_starts(text, SPAN("-- migrate:down"))) {
            end = line.ptr;
            break;
        }
    }
    if (!begin)
        return false;
    *ret_up = span_make(begin, end ? (size_t)(end - begin) : strlen(begin));
    return true;
}

static bool version_known(const struct pg_result *applied, const char *version)
{
    for (size_t i = 0; i < applied->rows.len; i++)
        if (strcmp(PG_ROW(*applied, struct version, i)->version, version) == 0)
            return true;
    return false;
}

static int read_applied(struct pg_pool *p, struct pg_result *ret_applied) PARKS
{
    struct pg_result table;

    TRY(pg_query(p, &sql_table, PG_NO_ARGS, &table));
    if (!PG_ROW(table, struct version, 0)->version) {
        *ret_applied = (struct pg_result){0};
        return 0;
    }
    TRY(pg_query(p, &sql_versions, PG_NO_ARGS, ret_applied));
    return 0;
}

/* Versions are digits, so they need no quoting, and ascend. */
static int check_list(const struct migration *list, size_t count)
{
    struct span up;

    for (size_t i = 0; i < count; i++) {
        const char *version = list[i].version;

        if (version[0] == '\0' || version[strspn(version, "0123456789")] != '\0' ||
            (i > 0 && strcmp(list[i - 1].version, version) >= 0) ||
            !migration_up(list[i].sql, &up)) {
            error_note(
                "migration %s_%s: not in order, or without -- migrate:up", version, list[i].name);
            return ERR(ERR_INVALID);
        }
    }
    return 0;
}

/* 0 applied now, 1 by somebody else. */
static int apply(struct pg_pool *p, const struct migration *m) PARKS
{
    struct buf sql CLEANUP(buf_deinit) = {0};
    struct span up;
    int r;

    migration_up(m->sql, &up);
    buf_put_text(&sql, create_table);
    buf_printf(&sql, "INSERT INTO schema_migrations (version) VALUES ('%s');\n", m->version);
    buf_put_span(&sql, up);
    r = pg_script(p, sql.ptr);
    if (r == PG_UNIQUE && strcmp(pg_constraint(), "schema_migrations_pkey") == 0)
        return 1;
    if (r == 0) {
        log_info("migrated", LF_TEXT("version", m->version), LF_TEXT("name", m->name));
        return 0;
    }
    log_error("migration failed", LF_TEXT("version", m->version), LF_TEXT("name", m->name),
        LF_TEXT("error", r > 0 ? pg_constraint() : error_text()));
    if (r > 0)
        error_note("migration %s_%s violates %s", m->version, m->name, pg_constraint());
    return ERR(r > 0 ? ERR_INVALID : r);
}

int migrate_run(struct pg_pool *p, const struct migration *list, size_t count, size_t *ret_applied)
{
    struct pg_result applied;
    size_t done = 0;

    TRY(check_list(list, count));
    TRY(read_applied(p, &applied));
    for (size_t i = 0; i < count; i++) {
        int r;

        if (version_known(&applied, list[i].version))
            continue;
        r = apply(p, &list[i]);
        if (r < 0)
            return ERR(r);
        done += r == 0;
    }
    *ret_applied = done;
    return 0;
}

int migrate_pending(
    struct pg_pool *p, const struct migration *list, size_t count, size_t *ret_pending)
{
    struct pg_result applied;
    size_t pending = 0;

    TRY(check_list(list, count));
    TRY(read_applied(p, &applied));
    for (size_t i = 0; i < count; i++)
        pending += !version_known(&applied, list[i].version);
    *ret_pending = pending;
    return 0;
}
