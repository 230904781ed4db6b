#pragma once

/* Who did what to which letters, or to the broker: a JSON line before an action ("intent") and one
 * after it
 * ("outcome"), on disk before the next step is taken. */

#include "ctl/ctl.h"
#include "ctl/letter.h"

struct audit {
    const char *path, *action, *run; /* the run's id is in all its lines */
    const char *reason;              /* NULL: none was asked for */
};

/* False, with a sentence on stderr, when the line could not be written: then nothing may be done.
 */
bool audit_intent(const struct audit *audit, const struct letter *const *letters, size_t count);
bool audit_outcome(const struct audit *audit, const struct letter *const *letters, size_t count,
    const char *result);
/* The same for what is no letter: sentences. `result` NULL: the intent. */
bool audit_changes(
    const struct audit *audit, const char *result, const char *const *changes, size_t count);
