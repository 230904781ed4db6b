#pragma once

/* Which logins have ended although their access tokens have not expired. */

#include "common/base/span.h"

/* Follows auth's list from here on; auth itself, which looks into its own database, has no need. */
int revocations_start(void);
/* Whether the login of a token has ended. NULL: false. */
bool revocations_have(const char *session_id);
