#pragma once

/* What the dlq commands share: filters, and a dead letter queue taken for looking. */

#include "ctl/browse.h"
#include "ctl/ctl.h"
#include "ctl/letter.h"

#define DLQ_FILTER_OPTIONS                                                                         \
    {"queue", "QUEUE", OPTION_TEXT, "of this queue or service (order-queue, order)"},              \
        {"group", "GROUP", OPTION_TEXT, "of this group of dlq list"},                              \
        {"code", "CODE", OPTION_TEXT, "with this error code"},                                     \
        {"type", "TYPE", OPTION_TEXT, "with this event type"},                                     \
        {"id", "ID[,ID]", OPTION_TEXT, "of these events"},                                         \
        {"older-than", "AGE", OPTION_DURATION, "last failed longer ago (90s, 15m, 2h, 3d)"},       \
    {                                                                                              \
        "newer-than", "AGE", OPTION_DURATION, "last failed since"                                  \
    }

/* 0 or CTL_USAGE. `ret_any`: nothing was asked for, so everything matches. */
int dlq_filter(const struct args *args, struct letter_filter *ret_filter, bool *ret_any);

struct letters {
    struct letter **at;
    size_t count, capacity;
};
void letters_add(struct arena *a, struct letters *list, struct letter *l);

/* One queue's letters, held until closed: nobody else gets them meanwhile. */
struct dlq {
    struct arena *arena;
    const struct queue_row *queue;
    struct browse *browse;
    struct letters letters; /* oldest in the queue first */
    size_t bytes;
    bool partial; /* there are more than were taken */
    int64_t opened_us;
};
/* Takes what is there, up to a limit of letters and bytes. 0; an exit code after a sentence. */
int dlq_open(struct ctl *ctl, const struct queue_row *queue, struct dlq *ret_dlq);
/* A letter that has come in since; NULL when none did in time. 0 or an exit code. */
int dlq_arrival(struct dlq *d, int64_t timeout_us, struct letter **ret_letter);
int dlq_close(struct dlq *d); /* 0 or an exit code: acks may be lost */
/* Opens each queue in turn, or `only` this one, for a look at it. 0 or an exit code. */
int dlq_each(struct ctl *ctl, const struct queue_row *only, void (*look)(struct dlq *d, void *ctx),
    void *ctx);

/* Letters that were acked. The broker may forget acks that it was still holding when the channel
 * was closed, so what was acked is looked for again. */
struct settled {
    struct arena *arena;
    const char **keys;
    size_t count, capacity;
    bool sorted;
};
void settled_add(struct settled *s, const struct letter *l);
bool settled_has(struct settled *s, const struct letter *l);
/* Acks again whatever of them is still in the queue, until nothing is. 0 or an exit code. */
int dlq_settle_rest(struct ctl *ctl, const struct queue_row *queue, struct settled *s);

struct letters dlq_select(struct dlq *d, const struct letter_filter *f);
void dlq_print(struct ctl *ctl, const struct letters *letters); /* a sheet */
const char *age_text(struct arena *a, int64_t age_us);          /* "45s", "12m", "3h", "2d" */
