#pragma once

/* Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header-07): a key is claimed before the
 * handler runs and its answer is kept 24 h. Scope: caller + route + key. */

#include "common/app/request.h"

#define IDEMPOTENCY_KEY_LIMIT 255

/* Reads and checks the header; 0 or an outcome. Fills key and fingerprint. */
int idempotency_read(struct request *req);
/* Claims the key: 0 go on; 1 (IDEMPOTENCY_REPLAYED): the stored answer is in the response;
 * OUTCOME_KEY_IN_USE, OUTCOME_KEY_REUSED. */
enum { IDEMPOTENCY_REPLAYED = 1 };
int idempotency_claim(struct request *req) PARKS;
/* Queues the storing of the present response in `tx`; no-op without a claimed key. */
int idempotency_store(struct request *req, struct pg_tx *tx);
/* After the handler: keeps the answer (own commit) unless stored already, or gives the key free
 * when the answer must not be kept. */
void idempotency_finish(struct request *req, bool keep) PARKS;
/* Drops keys older than 24 h. */
int idempotency_purge(void) PARKS;

extern const struct pg_statement idempotency_statements[];
extern const size_t idempotency_statements_count;
