#pragma once

/* What a replayable service keeps of replays into it: a table `replays` of its own database, and
 * its function forget_since(). All functions but the first two park and return 0, or
 * ERR_UNAVAILABLE and the like; what they tell lives in the fiber's arena. */

#include "common/fiber/fiber.h"
#include "ctl/queues.h"

struct replay {
    const char *id, *who;
    const char *what; /* as it was asked for: the same again goes on with it */
    bool rebuild;
    int64_t since_us, until_us; /* since 0: all */
    int64_t next_offset;        /* 0 with an empty last_event: nothing has been read */
    const char *last_event;     /* the one before next_offset */
    int64_t sent, started_us;
};

struct book;
/* NULL when nobody told where that service's database is (as the service itself: it writes);
 * `*ret_variable` names what to set. */
struct book *book_new(
    struct arena *a, struct loop *l, const struct queue_row *queue, const char **ret_variable);
void book_free(struct book *b) PARKS; /* NULL ok */

int book_unfinished(struct book *b, struct replay **ret_replay) PARKS; /* NULL: there is none */
/* Ends an unfinished one and enters this; for a rebuild the service forgets in the same transaction
 * what it learned since `forget_us` (0: everything). Twice is once. BOOK_TAKEN: somebody else began
 * one just now. */
enum { BOOK_TAKEN = 100 };
int book_begin(struct book *b, const struct replay *r, int64_t forget_us) PARKS;
/* The replay `id` has come from one offset to the next. BOOK_TAKEN: it is not there, so somebody
 * else goes on with it. */
int book_progress(struct book *b, const char *id, int64_t from_offset, int64_t next_offset,
    const char *last_event, int64_t sent) PARKS;
int book_end(struct book *b, const char *id) PARKS;

/* How many events the inbox holds that were handled in a time (0: unbounded); with `ids` only those
 * among them. */
int book_handled(struct book *b, int64_t since_us, int64_t until_us, const char *const *ids,
    size_t count, int64_t *ret_handled) PARKS;
