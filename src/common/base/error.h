#pragma once

/* The sign of a return code is a promise: 0 done; negative = nobody planned for this (an errno
 * value), passed upward through ERR() so that the failure records its own path; positive = an
 * outcome named by the callee and translated by the caller.
 *
 * The trace is a per-fiber list of places (file and line); the HTTP edge and the consumers log it.
 */

#include "common/base/macros.h"

/* Negative codes with a meaning of our own beside errno's. */
enum {
    ERR_UNAVAILABLE = -112, /* -EHOSTDOWN: a server or peer is not there, breaker open */
    ERR_BUSY = -16,         /* -EBUSY: a bounded queue or pool is full */
    ERR_TIMEOUT = -110,     /* -ETIMEDOUT: deadline passed */
    ERR_CANCELED = -125,    /* -ECANCELED: the fiber was cancelled */
    ERR_RETRY = -11,    /* -EAGAIN: serialization failure or deadlock; run the transaction again */
    ERR_UNKNOWN = -104, /* -ECONNRESET: sent, but the outcome is not known */
    ERR_PROTOCOL = -71, /* -EPROTO: the peer answered what it must not */
    ERR_INVALID = -22,  /* -EINVAL */
};

/* Records the place and returns the code, which must be negative. */
#define ERR(r) error_trace((r), __FILE__, __LINE__)
int error_trace(int r, const char *file, int line);

/* Adds a sentence to the current trace: what was tried, with which server. Truncated at 160 bytes.
 */
void error_note(const char *fmt, ...) PRINTF(1, 2);

/* The trace so far as "file:line<file:line: note", for a log line; never NULL. Valid until the next
 * call. */
const char *error_text(void);
/* The sentence alone, for people; the whole trace where there is none. */
const char *error_sentence(void);
void error_clear(void);

/* A short stable name: "ETIMEDOUT". */
const char *error_name(int r);

/* The trace's storage belongs to the running fiber: the switch swaps it. */
struct error_stack {
    unsigned n;
    struct {
        const char *file;
        int line;
    } at[8];
    char note[160];
};
struct error_stack *error_stack_swap(struct error_stack *mine); /* NULL = the thread's own */
