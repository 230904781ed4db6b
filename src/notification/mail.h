#pragma once

/* A mail's text, RFC 5322: headers, then plain text and HTML as alternatives. A pure function of
 * what it says: composed again it is the same bytes, so a mail sent twice is one to a reader's
 * program. */

#include "common/base/buf.h"

struct mail {
    const char *from, *to;  /* bare addresses */
    const char *from_name;  /* "Souk" */
    const char *subject;    /* UTF-8 */
    const char *message_id; /* with its angle brackets */
    int64_t date_us;
    const char *text, *html; /* UTF-8 with LF */
};

/* Appends to `out`, every line ended by CRLF and at most 998 bytes. No value can end its header:
 * control characters become spaces. */
void mail_compose(struct buf *out, const struct mail *m);
