#pragma once

/* Forward-only SQL in dbmate's file format and table, applied in order under an advisory lock. */

#include "common/data/pg.h"

struct migration {
    const char *version; /* "0001" */
    const char *name;
    const char *sql; /* the whole file */
};

/* Applies what is missing, each file in one transaction with its row in schema_migrations. 0 with
 * the number applied. */
int migrate_run(struct pg_pool *p, const struct migration *list, size_t count, size_t *ret_applied)
    PARKS;
/* How many of the list are not applied yet. */
int migrate_pending(
    struct pg_pool *p, const struct migration *list, size_t count, size_t *ret_pending) PARKS;
