/* Rows to structs: column i fills field i of the statement's table (money takes two columns).
 * Everything arrives as text, which costs a parse but shows the same in psql, logs and tests. NULL
 * is what the table calls absent. Texts are copied into the arena, so the result itself can go back
 * to libpq at once. */

#include <errno.h>
#include <stdlib.h>

#include "common/data/pg_link.h"
#include "common/json/reader.h"

#define pg_result libpq_result /* libpq's tag would be our struct pg_result */
#include <libpq-fe.h>
#undef pg_result

struct cell {
    struct arena *a;
    const struct field *field;
    bool null;
    struct span text;
};

struct texts {
    struct list items;
};
static const struct field texts_fields[] = {FIELD_TEXTS(struct texts, items, "items")};
static const struct table texts_table = TABLE("Texts", struct texts, texts_fields);

size_t pg_rows_columns(const struct table *t)
{
    size_t columns = t->count;

    for (size_t i = 0; i < t->count; i++)
        if (t->fields[i].kind == FIELD_KIND_MONEY)
            columns++;
    return columns;
}

static struct cell cell_at(
    struct arena *a, const struct field *f, const PGresult *res, int row, int column)
{
    return (struct cell){
        .a = a,
        .field = f,
        .null = PQgetisnull(res, row, column),
        .text = {PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column)},
    };
}

static bool read_real(struct span text, double *ret_value)
{
    char *end;
    double value = strtod(text.ptr, &end);

    if (end == text.ptr || *end != '\0')
        return false;
    *ret_value = value;
    return true;
}

static bool read_bool(struct span text, bool *ret_value)
{
    if (text.len != 1 || (text.ptr[0] != 't' && text.ptr[0] != 'f'))
        return false;
    *ret_value = text.ptr[0] == 't';
    return true;
}

static bool read_object(const struct cell *c, void **ret_object)
{
    struct json_errors errors = {0};
    void *object = arena_alloc(c->a, c->field->sub->size);

    if (json_read(c->a, c->text, c->field->sub, JSON_LENIENT, object, &errors) != 0)
        return false;
    *ret_object = object;
    return true;
}

static bool read_texts(const struct cell *c, struct list *ret_list)
{
    struct json_errors errors = {0};
    struct texts texts;
    char *text = arena_printf(c->a, "{\"items\":%.*s}", SPAN_ARG(c->text));

    if (json_read(c->a, span_of(text), &texts_table, JSON_LENIENT, &texts, &errors) != 0)
        return false;
    *ret_list = texts.items;
    return true;
}

static bool read_list(const struct cell *c, struct list *ret_list)
{
    struct json_errors errors = {0};

    return json_read_list(c->a, c->text, c->field->sub, JSON_LENIENT, ret_list, &errors) == 0;
}

/* Everything but money, which needs its neighbour. A NULL leaves the zeroed member, except where
 * the table has a fallback. */
static bool read_cell(const struct cell *c, void *member)
{
    switch (c->field->kind) {
    case FIELD_KIND_TEXT:
    case FIELD_KIND_UUID:
        if (!c->null)
            *(const char **)member = arena_strndup(c->a, c->text.ptr, c->text.len);
        return true;
    case FIELD_KIND_I64:
        *(int64_t *)member = c->field->fallback;
        return c->null || span_to_i64(c->text, member);
    case FIELD_KIND_BOOL:
        *(bool *)member = c->field->fallback != 0;
        return c->null || read_bool(c->text, member);
    case FIELD_KIND_TIME:
        return c->null || clock_parse(c->text, member);
    case FIELD_KIND_REAL:
        return c->null || read_real(c->text, member);
    case FIELD_KIND_OBJECT:
        return c->null || read_object(c, member);
    case FIELD_KIND_LIST:
        return c->null || read_list(c, member);
    case FIELD_KIND_TEXTS:
        return c->null || read_texts(c, member);
    case FIELD_KIND_RAW:
        if (!c->null)
            *(struct span *)member =
                span_make(arena_strndup(c->a, c->text.ptr, c->text.len), c->text.len);
        return true;
    case FIELD_KIND_MONEY:
        break;
    }
    return false;
}

static bool read_money(const struct cell *amount, const struct cell *currency, struct money *m)
{
    if (amount->null && currency->null)
        return true;
    if (amount->null || currency->null || currency->text.len >= sizeof(m->currency))
        return false;
    memcpy(m->currency, currency->text.ptr, currency->text.len);
    return span_to_i64(amount->text, &m->amount);
}

static int read_row(
    struct arena *a, const struct pg_statement *s, const PGresult *res, int row, char *item)
{
    int column = 0;

    for (size_t i = 0; i < s->row->count; i++) {
        const struct field *f = &s->row->fields[i];
        struct cell cell = cell_at(a, f, res, row, column++);
        bool ok;

        if (f->kind == FIELD_KIND_MONEY) {
            struct cell currency = cell_at(a, f, res, row, column++);
            ok = read_money(&cell, &currency, (struct money *)(void *)(item + f->offset));
        } else {
            ok = read_cell(&cell, item + f->offset);
        }
        if (!ok) {
            error_note("statement %s: column %d does not fit \"%s\"", s->name, column, f->name);
            return ERR(ERR_PROTOCOL);
        }
    }
    return 0;
}

int pg_rows_read(struct arena *a, const struct pg_statement *s, const PGresult *res,
    struct pg_result *ret_result)
{
    struct pg_result result = {0};
    struct span affected = span_of(PQcmdTuples((PGresult *)(uintptr_t)res));

    if (!span_to_i64(affected, &result.affected))
        result.affected = 0;
    if (s->row && PQresultStatus(res) == PGRES_TUPLES_OK) {
        if ((size_t)PQnfields(res) != pg_rows_columns(s->row)) {
            error_note("statement %s: %d columns, its table %s wants %zu", s->name, PQnfields(res),
                s->row->name, pg_rows_columns(s->row));
            return ERR(ERR_PROTOCOL);
        }
        result.rows.len = (size_t)PQntuples(res);
        result.rows.items = arena_array(a, result.rows.len, s->row->size);
        for (size_t i = 0; i < result.rows.len; i++)
            TRY(read_row(a, s, res, (int)i, (char *)result.rows.items + i * s->row->size));
    }
    *ret_result = result;
    return 0;
}
