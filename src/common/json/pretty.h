#pragma once

/* JSON text laid out for people, with what looks like a secret masked. */

#include "common/base/buf.h"

/* `json` must be well formed (text_is_object() says so). Two blanks a level. Values of members
 * whose names say password, secret, token, authorization, cookie or api key become "***" with
 * `mask`. */
void json_pretty(struct span json, bool mask, struct buf *out);
/* The same without any blank. */
void json_compact(struct span json, bool mask, struct buf *out);
bool text_is_object(struct span text); /* one JSON object and nothing else */
