-- What is asked of every service's database: its events, and what is still under way. The fingerprint of a set of ids is
-- their number and two sums without carry of their hashes (64 bits each). A table has an id once only, so that two sets with
-- one fingerprint are, but for a chance of 1 in 2^128, the same.
\o :out.told
SELECT type, count(*), bit_xor(uuid_hash_extended(event_id, 0)), bit_xor(uuid_hash_extended(event_id, 1))
    FROM outbox GROUP BY type;
\o :out.heard
SELECT type, count(*), bit_xor(uuid_hash_extended(event_id, 0)), bit_xor(uuid_hash_extended(event_id, 1))
    FROM inbox GROUP BY type;
\if :rest
-- What may be tried again (5xx, and what the request itself did wrong) must not be kept.
\o :out.unkept
SELECT 'key', key, 'of', caller, 'on', route, 'keeps the answer', status FROM idempotency_keys
    WHERE status >= 500 OR status IN (400, 401, 422, 429) OR (status IN (200, 201) AND body IS NULL);
\o :out.answers
SELECT count(*) FROM idempotency_keys WHERE status IS NOT NULL;
\endif
\o :out.busy
SELECT count(*), 'events to publish' FROM outbox WHERE published_at IS NULL HAVING count(*) > 0;
