#pragma once

/* What topology check and topology apply share. */

#include "common/json/writer.h"
#include "ctl/ctl.h"
#include "ctl/deviation.h"
#include "ctl/management.h"

/* What the broker has. 0, or an exit code after a sentence on stderr. */
int topology_live(struct management *m, struct topology *ret_topology) PARKS;

/* Members "deviations" and "wrong" of the object at hand. */
void deviations_json(struct json_writer *w, const struct deviations *list);
void deviations_print(struct ctl *ctl, const struct deviations *list); /* one a line */
