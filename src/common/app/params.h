#pragma once

/* Private to the application room: path variables and query parameters into a struct by a table. */

#include "common/app/request.h"

/* 0, or OUTCOME_INVALID with the pointer "/name"; unknown and repeated parameters are refused. */
int params_read(
    struct request *req, const char *pattern, const struct table *t, const void **ret_params);
