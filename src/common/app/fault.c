/* Crash points for the fault stories; an empty file in normal builds. */

#include "common/app/service.h"

#ifdef SOUK_FAULTS

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[] = {
#define FAULT_POINT(name, where) #name,
#include "common/app/faults.def"
#undef FAULT_POINT
};

/* What was armed for this point behind its name: "" or ":more"; NULL: nothing was. */
static const char *armed_for(const char *name)
{
    const char *armed = getenv("SOUK_FAULT");
    size_t n = strlen(name);
    return armed && strncmp(armed, name, n) == 0 && (armed[n] == 0 || armed[n] == ':') ? armed + n
                                                                                       : NULL;
}

static void die_at(const char *name)
{
    fprintf(stderr, "fault point %s reached: the process ends here\n", name);
    _exit(137);
}

void fault_point(const char *name)
{
    static unsigned hits;
    const char *more = armed_for(name);
    if (!more)
        return;
    unsigned at = *more ? (unsigned)strtoul(more + 1, NULL, 10) : 1;
    if (++hits >= at)
        die_at(name);
}

void fault_point_of(const char *name, const char *thing)
{
    const char *more = armed_for(name);
    if (more && *more && strcmp(more + 1, thing) == 0)
        die_at(name);
}

bool fault_known(const char *armed)
{
    if (!armed || !*armed)
        return true;
    struct span name = span_make(armed, strcspn(armed, ":"));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (span_equal(span_of(names[i]), name))
            return true;
    return false;
}

#endif
