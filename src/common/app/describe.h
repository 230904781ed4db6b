#pragma once

/* Private to the application room: a service's tables as documents. */

#include "common/app/service.h"

void describe_json(const struct service *s, struct buf *out);    /* --describe */
void describe_openapi(const struct service *s, struct buf *out); /* /openapi.json, OpenAPI 3.1 */
