#pragma once

/* Private to replay.c and replay_read.c: one run of the command, and its way through the stream. */

#include "common/base/uuid.h"
#include "ctl/audit.h"
#include "ctl/handled.h"
#include "ctl/replay_book.h"
#include "ctl/services.h"
#include "ctl/stream.h"

struct tally {
    int64_t read, matched, already, sent, late, not_sent;
};

struct replay_run {
    struct ctl *ctl;
    struct arena *arena; /* of the whole run; a batch has its fiber's */
    const struct queue_row *queue;
    const char *type, *stamp;
    bool dry, rebuild, again;
    int64_t since_us, until_us, rate, patience_us;
    struct services services;
    struct audit audit;
    struct bus *bus;
    struct book *book;
    struct handled *handled;
    struct stream *stream;
    struct replay replay;
    char last_event[UUID_TEXT_SIZE];
    int64_t begun_s; /* events of later times reach the queue by themselves */
    struct tally tally;
    bool done;
    int result; /* of the batch */
};

/* Letters are used for what they share with a replayed event: queue, id, type, message. */
struct batch {
    struct letter **at;
    size_t count;
};

/* The next event, on a new connection where the old one was lost; `run->replay.next_offset` and
 * `last_event` are after it. 0, STREAM_END, or CTL_WRONG or CTL_UNREACHABLE after a sentence. */
int replay_read(struct replay_run *run, struct bus_message **ret_message) PARKS;
/* At most `limit` events that the queue's consumer wants, in the fiber's arena. Sets `run->done` at
 * the stream's end, or where it tells of times after the beginning. 0 or an exit code. */
int replay_gather(struct replay_run *run, size_t limit, struct batch *ret_batch) PARKS;
void replay_close(struct replay_run *run);
