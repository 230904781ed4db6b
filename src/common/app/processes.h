#pragma once

/* Private to the application room: several processes of one service on one port, and the parent
 * that keeps them running. */

#include <stdbool.h>
#include <stdint.h>

#define PROCESSES_LIMIT 32

/* Makes `count` children; returns in each of them with its number, from 1 on. The parent stays
 * until all of them have ended and leaves the program; it passes signals on. Before any thread. */
unsigned processes_start(unsigned count);
/* How many of us there are, as far as we know; at least 1. */
unsigned processes_count(void);
/* This process's part of what all of them have together, rounded up, and `least` at least. */
int64_t processes_share(int64_t whole, int64_t least);
