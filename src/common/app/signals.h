#pragma once

/* Private to the application room: signals as calls on the loop. */

#include "common/fiber/loop.h"

/* Blocks SIGTERM, SIGINT, SIGHUP in this and all later threads and ignores SIGPIPE; first thing in
 * main. */
void signals_block(void);
/* Calls `fn(signo)` on the loop for each of them, from now on. */
void signals_start(struct loop *l, void (*fn)(int signo));
