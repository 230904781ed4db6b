#!/usr/bin/env bash
# An event that kills whoever handles it comes first in a batch, with twenty good ones behind it. They are handled; it
# alone dies, and its dead letter says what it has done.
. tests/lib.sh

soon 60 "the suite is at rest" quiet
register mia user
off aibuddy
# aibuddy hears of new accounts, changed products and orders; these are twenty-one of them.
keeper
for _ in {1..21}; do
    product 1
    call GET "/api/v1/products/$SKU"
    TOKEN=$KEEPER
    call PATCH "/api/v1/products/$SKU" '{"price":{"amount":1700,"currency":"USD"}}' -H "if-match: $(header etag)"
    must 200
done
told_all() { sql_is seller "SELECT count(*) FROM outbox WHERE published_at IS NULL" 0; }
soon 10 "twenty-one events wait for aibuddy" told_all
sql seller "SELECT event_id FROM outbox WHERE type = 'product.updated' ORDER BY seq DESC LIMIT 21" | tac >"$WORK/events"
poison=$(head -n 1 "$WORK/events")
good=$(tail -n +2 "$WORK/events" | paste -sd, | sed "s/,/','/g")

began=$EPOCHSECONDS
SOUK_FAULT=consumer_poison:$poison service_up aibuddy
soon 40 "one of them is dead" dead 1
soon 10 "the twenty others are handled" sql_is aibuddy "SELECT count(*) FROM inbox WHERE event_id IN ('$good')" 20
ok "all of it took $((EPOCHSECONDS - began)) s and $(cat "$RUN/aibuddy.crashes") lives"
that "its consumer is alive" service_ready aibuddy
ctl dlq show "$poison" --json >"$WORK/letter"
is "the letter is the poison" "$(jq -r '.[0].headers["souk-error-code"]' "$WORK/letter")" killed_consumer
ok "it says: $(jq -r '.[0].headers["souk-error"]' "$WORK/letter")"
is "with the queue it died in" "$(jq -r '.[0].headers["souk-origin-queue"]' "$WORK/letter")" ai-events-queue
is "and was not handled" "$(sql aibuddy "SELECT count(*) FROM inbox WHERE event_id = '$poison'")" 0
is "nobody is under suspicion any more" "$(sql aibuddy "SELECT count(*) FROM suspects")" 0

off aibuddy
on aibuddy
ctl dlq redrive --id "$poison" --canary 1 --json >"$WORK/redrive" || true
is "once its consumer is mended it can be sent back, and is handled" "$(jq -r .handled "$WORK/redrive")" 1
audit
