#!/usr/bin/env bash
# What aibuddy has learned is learned again from the audit stream, to the last column, though the
# replay dies twice and the shop goes on meanwhile; nobody is mailed or charged again.
. tests/lib.sh

ctl() { SOUK_CTL_AUDIT=$WORK/ctl-audit.log "$SOUK_BUILD/src/soukctl" "$@"; }
known() { tools/state-hash aibuddy; }
# but_for ORDER: what is known apart from that order
but_for() { tools/state-hash --rows aibuddy | grep -v "$1"; }
says() { curl -sS --max-time 30 "$AIBUDDY_SERVICE_URL/readyz?verbose" | grep "$1" >/dev/null; }
mails() { echo "$(sql notification "SELECT count(*), sum(attempts) FROM deliveries") $(curl -sS --max-time 30 "$MAIL_URL/email" | jq length)"; }
charges() { sql payment "SELECT count(*), sum(captured), sum(refunded), sum(attempts) FROM payments"; }
quiet() { tools/audit >/dev/null 2>&1; }

product 100 && first=$SKU
product 100 && second=$SKU
product 100
reprice "$second" 1700
shopper ann
for skus in "$first $second" "$second $SKU" "$first $second $SKU"; do
    for sku in $skus; do put "$sku"; done
    checkout
    must 201
done
soon 10 "the orders are confirmed" order_is "$ORDER" confirmed
call POST "/api/v1/orders/$ORDER/cancellation" '{"reason":"no"}'
must 200
shopper ben
put "$first" 3
checkout
must 201
call PUT /api/v1/recommendations/preferences '{"optOut":true}'
must 200
shopper cid
put "$second"
checkout
must 201
soon 5 "all of them" order_is "$ORDER" confirmed
call DELETE "/api/v1/users/$USER_ID"
soon 20 "everything has settled" quiet

before=$(known) mails=$(mails) charges=$(charges)
tools/state-hash --rows aibuddy >"$WORK/before"
that "there is something to forget" sql_is aibuddy "SELECT count(*) > 1 FROM pair_counts" t
is "a trial says that it can be had again" "$(ctl replay --to ai-events-queue --rebuild --dry-run --json | jq '.matched > 10 and .replayed == 0')" true
is "and changes nothing" "$(known)" "$before"
is "and is not under way" "$(ctl replay --to ai-events-queue --since 1d --json | jq -c '[.replayed, .late]')" '[0,0]'

refused() { ! ctl replay --to "$1" --since 1h 2>"$WORK/why" && grep -q 'takes no replay' "$WORK/why"; }
for queue in notification payment order seller cart; do that "$queue takes no replay" refused $queue; done

that "a rebuild dies when all is forgotten" eval '! SOUK_FAULT=replay_begun ctl replay --to ai-events-queue --rebuild 2>/dev/null'
is "what was learned is gone" "$(sql aibuddy "SELECT count(*) FROM known_orders")" 0
is "what a person chose is not" "$(sql aibuddy "SELECT count(*) FROM profiles WHERE user_id = '${USERS[ben]}' AND opted_out")" 1
that "the service says so" says 'a rebuild from the audit stream began'
that "and is ready" http_ok "$AIBUDDY_SERVICE_URL/readyz"
is "no other replay may begin" "$(ctl replay --to ai-events-queue --since 1h 2>&1 | grep -c 'a rebuild is half done')" 1
that "it goes on and dies half-way" eval '! SOUK_FAULT=replay_before_progress:2 ctl replay --to ai-events-queue --rebuild --rate 5 2>/dev/null'
is "some of it is there again" "$(sql aibuddy "SELECT count(*) > 5 FROM inbox")" t
is "nobody was mailed again" "$(mails)" "$mails"
is "or charged" "$(charges)" "$charges"
as ann
put "$first"
put "$SKU"
checkout
must 201
soon 10 "the shop goes on" order_is "$ORDER" confirmed
soon 10 "and is learned from" sql_is aibuddy "SELECT counted FROM known_orders WHERE order_id = '$ORDER'" t
that "the rebuild goes on to its end" ctl replay --to ai-events-queue --rebuild
that "the service says nothing any more" says '\[+\] data'
that "the audit log says who did it" jq -es 'any(.action == "replay" and .result == "done" and .who != null)' "$WORK/ctl-audit.log"
call POST "/api/v1/orders/$ORDER/cancellation" '{"reason":"no"}'
must 200
soon 20 "that order is taken back" quiet
is "what is known is what it was" "$(but_for "$ORDER" | diff "$WORK/before" - | head)" ''

before=$(known) mails=$(mails) charges=$(charges)
that "another one in one go" ctl replay --to ai-events-queue --rebuild
is "the state is the same" "$(known)" "$before"
is "nobody was mailed again" "$(mails)" "$mails"
is "or charged" "$(charges)" "$charges"
sql_write() { psql -X -q -v ON_ERROR_STOP=1 -d "$AIBUDDY_MIGRATE_DATABASE_URL" -c "$1"; }
sql_write "INSERT INTO inbox (event_id, type) VALUES ('01900000-0000-7000-8000-00000000dead', 'order.created')"
is "what the stream does not have is not forgotten" "$(ctl replay --to ai-events-queue --rebuild 2>&1 | grep -c 'has handled 1 events that are not in the stream')" 1
sql_write "DELETE FROM inbox WHERE event_id = '01900000-0000-7000-8000-00000000dead'"
is "and nothing was begun" "$(known)" "$before"
audit
