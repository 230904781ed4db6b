/* The running work: correlation id, W3C trace context, log context. Held in the fiber's one local
 * slot. */

#include "common/app/work.h"

#include <stdio.h>

#include "common/base/crypto.h"
#include "common/base/uuid.h"

#define CORRELATION_LIMIT 128

void work_begin(struct work *w)
{
    w->log = (struct log_context){.correlation_id = w->correlation_id, .trace_id = w->trace_parent};
    fiber_set_local(w);
    log_context_swap(&w->log);
}

void work_end(void)
{
    fiber_set_local(NULL);
    log_context_swap(NULL);
}

const struct work *work_current(void)
{
    return fiber_current() ? fiber_local() : NULL;
}

const char *correlation_current(void)
{
    const struct work *w = work_current();
    if (w && w->correlation_id)
        return w->correlation_id;
    static char fresh[UUID_TEXT_SIZE];
    uuid_make(fresh);
    return fresh;
}

void correlation_adopt(const char *correlation_id)
{
    struct work *w = fiber_current() ? fiber_local() : NULL;
    if (!w)
        return;
    w->correlation_id = correlation_id;
    w->log.correlation_id = correlation_id;
}

bool correlation_valid(struct span text)
{
    if (text.len == 0 || text.len > CORRELATION_LIMIT)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '_' || c == '.' || c == ':';
        if (!ok)
            return false;
    }
    return true;
}

/* "00-<32 hex>-<16 hex>-<2 hex>", lower case, ids not all zero. */
static bool trace_parent_valid(struct span t)
{
    static const char zeros[] = "00000000000000000000000000000000";
    if (t.len != TRACE_PARENT_SIZE - 1 || memcmp(t.ptr, "00-", 3) != 0)
        return false;
    for (size_t i = 3; i < t.len; i++) {
        char c = t.ptr[i];
        bool dash = i == 35 || i == 52;
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (dash ? c != '-' : !hex)
            return false;
    }
    return memcmp(t.ptr + 3, zeros, 32) != 0 && memcmp(t.ptr + 36, zeros, 16) != 0;
}

static void put_hex(const uint8_t *bytes, size_t n, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void trace_parent_make(struct span incoming, char text[static TRACE_PARENT_SIZE])
{
    uint8_t bytes[24];
    crypto_random(bytes, sizeof(bytes));
    memcpy(text, "00-00000000000000000000000000000000-0000000000000000-01", TRACE_PARENT_SIZE);
    if (trace_parent_valid(incoming))
        memcpy(text + 3, incoming.ptr + 3, 32);
    else
        put_hex(bytes, 16, text + 3);
    put_hex(bytes + 16, 8, text + 36);
}
