#pragma once

#include "common/app/event.h"
#include "common/bus/bus.h"

/* Private to the application room: deliveries that may have killed a consumer. */

#define SUSPECT_DEATHS 2

/* To be asked before anything is done with the delivery of a batch, even reading it: true when it
 * is a suspect that has killed SUSPECT_DEATHS processes while it was handled alone. It is then not
 * to be handled again. */
bool suspect_is_guilty(const struct bus_message *m) PARKS;
/* We have survived it, whatever has become of it. */
void suspect_acquit(const struct bus_message *m) PARKS;

extern const struct pg_statement suspect_statements[];
extern const size_t suspect_statements_count;
int suspects_purge(void) PARKS;
