#pragma once

/* Private to the inbox: one delivery on its way through a batch, from being read to the copy that
 * is made of it when it fails. */

#include "common/app/event.h"
#include "common/app/work.h"

struct envelope {
    const char *event_id, *event_type, *type, *event_version, *source, *aggregate_id,
        *correlation_id;
    int64_t timestamp;
    struct span payload;
};
extern const struct table envelope_table;

/* One delivery on its way through a batch. */
struct incoming {
    struct bus_message *message;
    const struct consumer_row *row;
    struct envelope envelope; /* type NULL: it could not be read */
    struct event event;
    struct work work;
    enum { INCOMING_GOOD, INCOMING_IGNORED, INCOMING_DEAD, INCOMING_RETRY, INCOMING_STUCK } fate;
    bool duplicate; /* was handled before */
    const char *error_code;
    const char *error_text;
};

extern struct metric inbox_handled_total; /* by type and result */

/* ---- incoming.c: reading ---- */

/* Fills all but `message`, which is there; what can't be handled is condemned. */
void incoming_read(struct incoming *in);
/* To the dead letters, with this reason. */
void incoming_condemn(struct incoming *in, const char *code, const char *text);
/* Straight from a publisher, not put into the queue by ourselves or by ops. */
bool incoming_is_fresh(const struct bus_message *m);
/* What an earlier copy's header says, if this is one. */
const char *incoming_earlier(const struct bus_message *m, const char *name, const char *otherwise);
/* Who sent it first; an unnamed sender is NULL. */
const char *incoming_origin_user(const struct bus_message *m);
/* The broker user of people and tools. */
#define INCOMING_OPERATOR "ops"
/* Whether the contract calls something in there a secret. */
bool incoming_has_secrets(const struct table *t);

/* ---- incoming_copy.c: to the retry tiers and the dead letters ---- */

/* Sends a copy to where `in->fate` says; once it has succeeded, the original may be acked. 0 or
 * ERR_UNAVAILABLE, after several attempts. An original that could not be copied goes back into the
 * queue, which costs it one of its deliveries. */
int incoming_copy(struct incoming *in) PARKS;
/* Series that are there from the start, so that the first retry is an increase. */
void incoming_metrics_begin(void);
