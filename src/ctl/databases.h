#pragma once

/* Where the services' databases are, as the environment tells. */

#include "common/base/arena.h"

#define SERVICES_COUNT 7
extern const char *const ctl_services[SERVICES_COUNT];

/* <SERVICE>_AUDIT_DATABASE_URL, else <SERVICE>_DATABASE_URL; NULL when neither is set. The text of
 * `*ret_variable`, what to set, lives in `a`. */
const char *database_url(struct arena *a, const char *service, const char **ret_variable);
/* A sentence about what went wrong with it, from the trace of errors. CTL_UNREACHABLE when it is
 * away or does not answer, else CTL_WRONG. */
int database_failed(const char *service, int r);
