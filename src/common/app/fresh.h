#pragma once

/* Private to the application room: events that were just committed, kept in memory for the relay,
 * which need not read them from the outbox. Loop thread only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An event on its way out. Times in microseconds since 1970. */
struct outbox_row {
    int64_t seq, parks; /* 0 of a fresh one */
    const char *event_id, *type, *aggregate_id, *correlation_id, *trace_parent, *body;
    int64_t created_at;
};

struct fresh_event {
    struct fresh_event *next;
    struct outbox_row row;
};

/* The events of one transaction, in the order in which they were added; in a fiber's arena. */
struct fresh_events {
    struct fresh_event *first, **end;
    struct fresh_events *later; /* among those whose commit is under way */
};

/* The commit is about to be sent. Then fresh_settle: what became of it. Only what was committed is
 * kept, as copies, and the relay is woken. */
void fresh_announce(struct fresh_events *events);
void fresh_settle(struct fresh_events *events, bool committed);
/* Instead of fresh_settle: nobody knows what became of it. For half a minute nothing comes into the
 * list, so that no later event of its aggregates overtakes it. */
void fresh_doubt(struct fresh_events *events);

/* Empties the list. Open: from now on what is committed comes into it. Closed: nothing does. */
void fresh_begin(bool open);
bool fresh_is_open(void);
size_t fresh_count(void);
/* Something was committed since fresh_begin that is not in the list: only the outbox has it. */
bool fresh_missed(void);
/* Takes out at most `limit`, the oldest first. They are the caller's, for fresh_free. */
struct fresh_event *fresh_take(size_t limit, size_t *ret_count);
void fresh_free(struct fresh_event *list);
/* Drops the event, which has gone another way; false: it was not in the list. */
bool fresh_forget(const char *event_id);
