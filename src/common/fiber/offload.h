#pragma once

/* A few worker threads for what burns CPU or blocks by nature: password hashes, RSA signatures,
 * name resolution. The queue is bounded: beyond it callers get -EBUSY and answer 503. */

#include "common/fiber/fiber.h"

struct offload;

struct offload *offload_new(struct loop *l, unsigned threads, unsigned queue_limit);
void offload_free(struct offload *o); /* finishes what is queued */

/* Runs `fn(arg)` on a worker and parks until it is done, so `arg` may live on the fiber's stack:
 * the wait ignores cancellation and deadlines once the job was accepted. 0, or -EBUSY; -ECANCELED
 * and -ETIMEDOUT only before that, when the fiber may not wait any more. */
int offload_run(struct offload *o, const char *name, void (*fn)(void *arg), void *arg) PARKS;
unsigned offload_queued(const struct offload *o);
