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

void fault_point(const char *name)
{
    static unsigned hits;
    const char *armed = getenv("SOUK_FAULT");
    if (!armed || !*armed)
        return;
    size_t n = strcspn(armed, ":");
    if (strlen(name) != n || strncmp(armed, name, n) != 0)
        return;
    unsigned at = armed[n] ? (unsigned)strtoul(armed + n + 1, NULL, 10) : 1;
    if (++hits < at)
        return;
    fprintf(stderr, "fault point %s reached: the process ends here\n", name);
    _exit(137);
}

bool fault_known(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strncmp(names[i], name, strcspn(name, ":")) == 0 &&
            strlen(names[i]) == strcspn(name, ":"))
            return true;
    return false;
}

#endif
