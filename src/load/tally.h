#pragma once

/* What came of the requests. A series is one kind of request, named by its step ("checkout"), or
 * whole visits ("visit.buy"). Each answer is
 *
 *     good    as the scenario expects
 *     again   expected, too, but no answer yet: the same request is still being worked on
 *     shed    429 or 503 with Retry-After: the shop says it has too much to do
 *     wrong   any other answer
 *     lost    none: refused, reset, timed out
 *
 * and is counted under its outcome: the status with the problem's code, or how it was lost. The
 * times are those of the good ones, from when they were due. */

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "load/histogram.h"

#define TALLY_NAME_SIZE    40
#define TALLY_SERIES_LIMIT 32
#define TALLY_OUTCOMES     24
#define TALLY_SAMPLE_SIZE  200

enum answer_kind {
    ANSWER_GOOD,
    ANSWER_AGAIN,
    ANSWER_SHED,
    ANSWER_WRONG, /* from here on they are errors */
    ANSWER_LOST,
    ANSWER_KINDS
};
const char *answer_kind_name(enum answer_kind k);

struct outcome {
    char name[TALLY_NAME_SIZE]; /* "409 out_of_stock", "timeout" */
    enum answer_kind kind;
    uint64_t count;
    char sample[TALLY_SAMPLE_SIZE]; /* the first such answer, unless it is good */
};

/* One second of a series. */
struct moment {
    uint32_t good, again, shed, wrong, lost;
    int64_t p50_us, p99_us, max_us;
};

struct series {
    char name[TALLY_NAME_SIZE];
    struct histogram all, now; /* now: of the present second */
    uint64_t kinds[ANSWER_KINDS];
    size_t outcomes_count;
    struct outcome outcomes[TALLY_OUTCOMES];
    struct moment *moments; /* one a second */
    size_t moments_count, moments_room;
    struct moment present;
};

/* Something a scenario vouches for, beyond single answers. */
struct promise {
    const char *sentence;
    uint64_t kept, broken;
    char sample[TALLY_SAMPLE_SIZE]; /* the first time it was broken */
};
#define TALLY_PROMISES 8

struct tally {
    size_t series_count, promises_count;
    struct series *series[TALLY_SERIES_LIMIT];
    struct promise promises[TALLY_PROMISES];
    size_t moment; /* the present second's number */
};

void tally_deinit(struct tally *t);
struct series *tally_series(struct tally *t, const char *name); /* made when there is none */
const struct series *tally_find(const struct tally *t, const char *name); /* NULL: none */
/* `sample` is what to show of an answer that is not good. */
void tally_answer(struct tally *t, struct series *s, enum answer_kind kind, const char *outcome,
    struct span sample, int64_t took_us);
void tally_promise(struct tally *t, const char *sentence, bool kept, const char *fmt, ...)
    PRINTF(4, 5);
/* Closes the present second of every series. */
void tally_tick(struct tally *t);
/* Series of requests only; visits are not counted again. */
bool series_is_visit(const struct series *s);
uint64_t series_count(const struct series *s, bool errors_only);
uint64_t tally_count(const struct tally *t, bool errors_only);
uint64_t tally_shed(const struct tally *t);
uint64_t tally_broken(const struct tally *t);
