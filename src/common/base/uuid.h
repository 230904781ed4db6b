#pragma once

/* UUIDv7 (RFC 9562): 48 bits of milliseconds, then a monotonic counter and random bits, so ids made
 * by one thread sort by age. Canonical lower-case text is the only form that leaves the process.
 */

#include "common/base/span.h"

#define UUID_TEXT_SIZE 37

void uuid_make(char text[static UUID_TEXT_SIZE]);
/* The same at a given time, for tests and backfill; never before the ids already made. */
void uuid_make_at(int64_t wall_us, char text[static UUID_TEXT_SIZE]);
/* The id that belongs to another one, always the same for the same two: its time, and for the rest
 * a digest of it and of `what`. `from` is a valid id. */
void uuid_derive(const char *from, const char *what, char text[static UUID_TEXT_SIZE]);
bool uuid_valid(struct span text); /* canonical form, any version; upper case refused */
