#pragma once

/* RFC 9457 problem documents: the one shape of every non-2xx answer, the HTTP layer's own included.
 */

#include "common/json/reader.h"
#include "common/json/writer.h"

#define PROBLEM_CONTENT_TYPE "application/problem+json"
#define PROBLEM_TYPE_BASE    "https://souk.example/problems/"

struct problem {
    int status;
    const char *code;                 /* snake_case; `type` is PROBLEM_TYPE_BASE + code */
    const char *title;                /* the same sentence for every occurrence */
    const char *detail;               /* about this occurrence; NULL leaves it out */
    const char *correlation_id;       /* NULL leaves it out */
    const struct json_errors *errors; /* NULL leaves it out */
    struct span extensions; /* more members as JSON text without the braces, e.g. `"available":3`;
                               may be empty */
};

void problem_write(struct buf *out, const struct problem *p);

/* "Bad Request" and our stable code "bad_request" for a status the HTTP layer itself answers. */
const char *problem_status_title(int status);
const char *problem_status_code(int status);
