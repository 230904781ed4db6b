#pragma once

/* What the fiber room's tests share. The journal is the usual way to state an order of events:
 * fibers write words into it, and the test compares the whole text. */

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/fiber/fiber.h"
#include "common/fiber/sync.h"

/* The head of a fiber's function. */
#define FIBER(name) static PARKS void name(void *arg)

#define MS USEC_PER_MS

/* Starts a fiber on the present loop; fails the test when it can't. */
struct fiber *start(const char *name, fiber_fn fn, void *arg);

/* Runs `fn(arg)` as a fiber of a fresh loop, until it and all that it started have ended. */
void run(fiber_fn fn, void *arg);

/* The same in two steps, for tests that start several fibers. */
void open_loop(void);
void close_loop(void); /* runs until idle, then frees the loop */

/* Afterwards a fiber that was just started or woken has run as far as it can. */
void run_one_round(void) PARKS;

/* Appends a word, after a space unless it is the first. */
void note(const char *fmt, ...) PRINTF(1, 2);
const char *journal(void);

#define cr_assert_journal(expected) cr_assert_str_eq(journal(), expected)

/* Fibers of every day: one notes its name, the others wait until the gate is set. */
void noting_its_name(void *arg);
extern struct latch gate;
void waiting_at_the_gate(void *arg) PARKS;

/* "0", "ETIMEDOUT", "ECANCELED"... for the journal. */
const char *outcome(int r);

int64_t in_ms(int64_t ms); /* a deadline */
