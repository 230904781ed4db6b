#!/usr/bin/env bash
# aibuddy can't handle an order for a while: it fails in every tier and dies. Moved back by the RabbitMQ page's own "Move
# messages" and by soukctl it fails through all tiers again, and is dead again, never gone. The three others that
# listen to the same event notice nothing of it.
. tests/lib.sh

# The tiers' waits add up to 36 minutes; a policy of our own comes before theirs for as long as we need it.
at_end 'management DELETE /api/policies/%2f/story-tiers -o /dev/null'
at_end mend
management PUT /api/policies/%2f/story-tiers -f -d '{"pattern":"^order-events\\.retry\\.","apply-to":"queues","priority":10,
    "definition":{"message-ttl":200,"dead-letter-exchange":"order-events.return","dead-letter-strategy":"at-least-once","overflow":"reject-publish"}}'
alter() { psql -X -q -v ON_ERROR_STOP=1 -d "$AIBUDDY_MIGRATE_DATABASE_URL" -c "ALTER TABLE $1 RENAME TO $2"; }
broken=''
mend() { [ -z "$broken" ] || { alter known_orders_away known_orders && broken=''; }; }

product 10 1000
shopper ida
soon 60 "the suite is at rest" quiet
others=(payment seller notification)
# What they have dealt with, one way or another.
dealt() {
    local svc
    for svc in "${others[@]}"; do echo "$svc $(metric "$svc" souk_events_handled_total) $(sql "$svc" "SELECT count(*) FROM inbox")"; done
}

broken=yes
alter known_orders known_orders_away
put "$SKU"
checkout
must 201
event=$(sql order "SELECT event_id FROM outbox WHERE type = 'order.created' AND aggregate_id = '$ORDER'")
soon 20 "an event that fails in all five tiers is dead" dead 1 --id "$event" --queue ai-events-queue
soon 10 "the order is confirmed all the same" order_is "$ORDER" confirmed
paid() { [ "$(sql order "SELECT count(*) FROM outbox WHERE published_at IS NULL")" = 0 ] && mail_to "$EMAIL" "$ORDER"; }
soon 10 "and its buyer has the mail" paid
ctl dlq show "$event" --json >"$WORK/letter"
is "it was tried five times again" "$(jq -r '.[0].headers["souk-attempts"]' "$WORK/letter")" 5
dealt >"$WORK/before"

last_failed() { ctl dlq show "$event" --json 2>/dev/null | jq -r '.[].headers["souk-last-failed-at"]'; }
# One letter, and it has failed since.
dead_again() { [ "$(last_failed | wc -l)" = 1 ] && [[ "$(last_failed)" > "$was" ]]; }
for turn in first second; do
    was=$(last_failed) retried=$(metric aibuddy souk_event_retries_total)
    # What the page's button sends.
    management PUT /api/parameters/shovel/%2f/story-move -f -d '{"value":{"src-protocol":"amqp091","src-uri":"amqp:///%2f",
        "src-queue":"ai-events-queue.dlq","src-prefetch-count":1000,"src-delete-after":"queue-length","dest-protocol":"amqp091",
        "dest-uri":"amqp:///%2f","dest-queue":"ai-events-queue","dest-add-forward-headers":false,"ack-mode":"on-confirm"}}'
    soon 20 "moved by the RabbitMQ page it is dead again ($turn time)" dead_again
    is "after all five tiers" $(($(metric aibuddy souk_event_retries_total) - retried)) 5
done
for turn in first second; do
    was=$(last_failed) retried=$(metric aibuddy souk_event_retries_total)
    ctl dlq redrive --id "$event" --queue ai-events-queue >/dev/null
    soon 20 "sent back by soukctl it is dead again ($turn time)" dead_again
    is "after all five tiers" $(($(metric aibuddy souk_event_retries_total) - retried)) 5
done
mend
ctl dlq redrive --id "$event" --canary 1 --json >"$WORK/redrive" || true
is "when aibuddy is mended, it is sent back and handled" "$(jq -r .handled "$WORK/redrive")" 1
is "once" "$(sql aibuddy "SELECT count(*) FROM inbox WHERE event_id = '$event'") $(sql aibuddy "SELECT orders FROM daily_counts WHERE sku = '$SKU'")" '1 1'
that "it is dead no more" dead 0
is "payment, seller and notification have seen nothing of all this" "$(dealt | diff "$WORK/before" -)" ''
management DELETE /api/policies/%2f/story-tiers
audit
