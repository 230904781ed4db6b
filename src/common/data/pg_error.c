/* SQLSTATE to our codes. Constraint violations are outcomes (positive): the caller asked a question
 * that only the database can answer, and translates the answer. Everything else is unplanned. SQL
 * that fails by itself speaks the same language: RAISE ... USING ERRCODE = '23514', CONSTRAINT =
 * 'out_of_stock' arrives as PG_CHECK with that name.
 *
 * The name of the violated constraint must outlive the rollback that follows, so it is not kept in
 * the transaction but in a note in the fiber's arena, found through a list of all such notes. */

#include "common/data/pg_link.h"

struct constraint_note {
    uint64_t fiber_id;
    struct constraint_note *next, **link;
    char name[64]; /* NAMEDATALEN */
};

static struct constraint_note *notes;

static const struct {
    const char *prefix;
    int code;
} codes[] = {
    {"23505", PG_UNIQUE},
    {"23P01", PG_UNIQUE},
    {"23514", PG_CHECK},
    {"23503", PG_FOREIGN},
    {"23001", PG_FOREIGN},
    {"23502", PG_NOT_NULL},
    {"40003", ERR_UNKNOWN},
    {"40", ERR_RETRY},
    {"26000", ERR_RETRY},     /* our prepared statement is gone */
    {"55P03", ERR_TIMEOUT},   /* lock_timeout, NOWAIT */
    {"57014", ERR_TIMEOUT},   /* statement_timeout */
    {"57P", ERR_UNAVAILABLE}, /* shutdown, crash, starting up */
    {"08", ERR_UNAVAILABLE},
    {"25P03", ERR_UNAVAILABLE}, /* idle in transaction for too long: we were thrown out */
    {"25P04", ERR_UNAVAILABLE},
    {"53", ERR_UNAVAILABLE}, /* too many connections, disk full, out of memory */
    {"58", ERR_UNAVAILABLE},
    {"25006", ERR_UNAVAILABLE}, /* read-only: the primary has moved */
    {"42501", -13},             /* -EACCES */
    {"22", ERR_INVALID},
    {"42", ERR_INVALID},
    {"P0", ERR_INVALID},
};

int pg_error_code(const char *sqlstate)
{
    if (!sqlstate)
        return ERR_UNAVAILABLE;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (strncmp(sqlstate, codes[i].prefix, strlen(codes[i].prefix)) == 0)
            return codes[i].code;
    return ERR_PROTOCOL;
}

static struct constraint_note *note_find(uint64_t fiber_id)
{
    for (struct constraint_note *n = notes; n; n = n->next)
        if (n->fiber_id == fiber_id)
            return n;
    return NULL;
}

static void note_dispose(void *arg)
{
    struct constraint_note *n = arg;

    *n->link = n->next;
    if (n->next)
        n->next->link = n->link;
}

void pg_constraint_set(const char *name)
{
    uint64_t id = fiber_id(fiber_current());
    struct constraint_note *n = note_find(id);

    if (!n) {
        n = ARENA_NEW(fiber_arena(), struct constraint_note);
        *n = (struct constraint_note){.fiber_id = id, .next = notes, .link = &notes};
        if (notes)
            notes->link = &n->next;
        notes = n;
        arena_adopt(fiber_arena(), n, note_dispose);
    }
    strncpy(n->name, name ? name : "", sizeof(n->name) - 1);
}

const char *pg_constraint(void)
{
    const struct constraint_note *n = fiber_current() ? note_find(fiber_id(fiber_current())) : NULL;

    return n ? n->name : "";
}
