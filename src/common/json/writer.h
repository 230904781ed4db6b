#pragma once

/* Structs to JSON text, streaming into a buffer; commas and escaping are its business. Text that is
 * not UTF-8 is written with U+FFFD in place of the bad bytes. */

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/json/table.h"

struct json_writer {
    struct buf *out;
    bool need_comma;
    unsigned depth;
};

static inline struct json_writer json_writer_on(struct buf *out)
{
    return (struct json_writer){.out = out};
}

void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *name);

void json_text(struct json_writer *w, const char *text); /* NULL writes null */
void json_span(struct json_writer *w, struct span text);
void json_i64(struct json_writer *w, int64_t value);
void json_double(struct json_writer *w, double value); /* NaN and infinities write null */
void json_bool(struct json_writer *w, bool value);
void json_none(struct json_writer *w); /* null; jansson, which libjwt brings, owns json_null */
void json_time(struct json_writer *w, int64_t wall_us);        /* 0 writes null */
void json_money(struct json_writer *w, const struct money *m); /* currency "" writes null */
void json_raw(struct json_writer *w, struct span json); /* trusted JSON text; empty writes null */

/* key + value */
void json_put_text(struct json_writer *w, const char *name, const char *text);
void json_put_i64(struct json_writer *w, const char *name, int64_t value);
void json_put_bool(struct json_writer *w, const char *name, bool value);
void json_put_time(struct json_writer *w, const char *name, int64_t wall_us);
void json_put_money(struct json_writer *w, const char *name, const struct money *m);

void json_struct(struct json_writer *w, const struct table *t, const void *value);
void json_struct_masked(
    struct json_writer *w, const struct table *t, const void *value); /* secrets "***" */
void json_list(struct json_writer *w, const struct table *t, struct list list);

/* The same as a NUL-terminated text in the arena: for jsonb arguments and stored answers. */
const char *json_struct_text(struct arena *a, const struct table *t, const void *value);
const char *json_list_text(struct arena *a, const struct table *t, struct list list);

/* JSON Schema (draft 2020-12) of a table, for --describe and OpenAPI. At the top of a document it
 * names its dialect ("$schema"); inside another one it does not. Members that are not required may
 * be null. Unknown members are left open: requests refuse them, events ignore them. */
void json_schema(struct json_writer *w, const struct table *t);
