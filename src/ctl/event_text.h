#pragma once

/* An event's text against the contract: what dlq edit lets through. */

#include "common/base/arena.h"

struct event_identity { /* NULL members: not there */
    const char *event_id, *type, *aggregate_id, *correlation_id;
};

/* NULL when the text is an event of a known type and its payload fits; else what is wrong. */
const char *event_problem(struct arena *a, struct span text);
/* Of whatever is readable in it; all NULL when nothing is. */
struct event_identity event_identity(struct arena *a, struct span text);
/* NULL when `after` is still the same event; else the name of the member that was changed. Members
 * that `before` did not have may be added. */
const char *identity_changed(
    const struct event_identity *before, const struct event_identity *after);
/* Whether secrets in it were masked when it was put away: then it can't be handled any more. */
bool event_is_masked(const char *type, struct span text);
