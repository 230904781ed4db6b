/* Any bytes: our parser and jansson must say the same of them. */

#include <stdlib.h>

#include "support/json_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    bool good;
    if (!json_reference_agrees(a, span_make(data, size), &good))
        abort();
    arena_free(a);
    return 0;
}
