/* A delivery that kills its consumer comes again with all that was prefetched with it, and all of
 * them look alike: the broker counts the deliveries of a lost connection, not whose fault it was.
 * If nothing were done, twenty deaths later it would throw the whole lot to the dead letters,
 * without a word about the reason.
 *
 * So from the second such return on a delivery comes alone (the bus room sees to that), and before
 * anything is done with it, it is written down here. When the process dies, the line stays, and
 * tells the next one. A delivery that was begun SUSPECT_DEATHS times and never ended is guilty: it
 * goes to the dead letters as it is. Its neighbours are handled, one by one, each crossed out
 * again.
 *
 * A connection that breaks again and again makes suspects too, but no deaths. */

#include "common/app/suspect.h"

#include "common/app/periodic.h"
#include "common/app/service.h"
#include "common/base/crypto.h"

struct suspect_row {
    int64_t begun;
};
static const struct field suspect_fields[] = {FIELD_I64(struct suspect_row, begun, "begun")};
static const struct table suspect_table = TABLE("Suspect", struct suspect_row, suspect_fields);

enum { SQL_BEGIN, SQL_END, SQL_PURGE };
const struct pg_statement suspect_statements[] = {
    [SQL_BEGIN] = {"suspect_begin",
        "INSERT INTO suspects (message) VALUES ($1) ON CONFLICT (message) DO UPDATE SET "
        "begun = suspects.begun + 1, begun_at = now() RETURNING begun",
        &suspect_table},
    [SQL_END] = {"suspect_end", "DELETE FROM suspects WHERE message = $1"},
    [SQL_PURGE] = {"suspect_purge",
        "DELETE FROM suspects WHERE message IN (SELECT message FROM suspects "
        "WHERE begun_at < now() - interval '7 days' LIMIT " PURGE_LIMIT_TEXT ")"},
};
const size_t suspect_statements_count = ARRAY_SIZE(suspect_statements);

/* By its content, for what kills may well be in the headers; a suspect that comes back from a tier
 * is the same one. */
static const char *name_of(const struct bus_message *m)
{
    char *name = arena_alloc(fiber_arena(), SHA256_HEX_SIZE);
    crypto_sha256_hex(m->body, name);
    return name;
}

static bool is_suspect(const struct bus_message *m)
{
    return m->delivery_count >= BUS_SUSPECT_COUNT;
}

bool suspect_is_guilty(const struct bus_message *m)
{
    struct pg_result result;
    if (!is_suspect(m))
        return false;
    int r =
        pg_query(app()->pg, &suspect_statements[SQL_BEGIN], PG_ARGS(PG_TEXT(name_of(m))), &result);
    if (r != 0) { /* its death would go uncounted, that is all */
        log_warn("a suspect can't be written down", LF_TEXT("messageId", m->message_id),
            LF_TEXT("trace", error_text()));
        error_clear();
        return false;
    }
    return PG_ROW(result, struct suspect_row, 0)->begun > SUSPECT_DEATHS;
}

void suspect_acquit(const struct bus_message *m)
{
    if (is_suspect(m) &&
        pg_query(app()->pg, &suspect_statements[SQL_END], PG_ARGS(PG_TEXT(name_of(m))), NULL) != 0)
        error_clear(); /* the purge will */
}

int suspects_purge(void)
{
    return purge(&suspect_statements[SQL_PURGE]);
}
