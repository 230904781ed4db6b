#pragma once

/* Whether a service has handled events: a look into its inbox. */

#include "common/fiber/fiber.h"
#include "ctl/queues.h"

struct handled;
/* NULL when nobody told where that service's database is; `*ret_variable` names what to set. */
struct handled *handled_new(
    struct arena *a, struct loop *l, const struct queue_row *queue, const char **ret_variable);
void handled_free(struct handled *h) PARKS; /* NULL ok */
/* Sets done[i] of those that are handled and leaves the others; what is no event id is never
 * handled. 0 or ERR_UNAVAILABLE and the like. */
int handled_look(struct handled *h, const char *const *ids, size_t count, bool *done) PARKS;
