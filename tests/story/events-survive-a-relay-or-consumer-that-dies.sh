#!/usr/bin/env bash
# The relay dies before and after the broker has the event, consumers before and after their commit.
# An event may then be sent or delivered twice; what it does happens once.
. tests/lib.sh

product 100 1000
shopper jan
bought=0
buys() {
    put "$SKU"
    checkout
    [ -z "$ORDER" ] || orders+=("$ORDER")
}
# An event that a look into the outbox finds does not come by the points of those in memory: the next one will.
dies() {
    wait_until 1 struck "$service" && return
    buys
    return 1
}
while read -r service point; do
    orders=()
    before=$(sql seller "SELECT committed FROM stock WHERE sku = '$SKU'")
    arm "$service" "$point"
    buys
    must 201
    soon 10 "$service dies at $point and comes back" dies
    for ORDER in "${orders[@]}"; do
        soon 15 "the order is confirmed" order_is "$ORDER" confirmed
        soon 5 "paid once" payment_is "$ORDER" "captured 1000 0"
    done
    bought=$((bought + ${#orders[@]}))
    soon 5 "taken from the stock once" sql_is seller "SELECT committed FROM stock WHERE sku = '$SKU'" $((before + ${#orders[@]}))
done <<'POINTS'
order relay_before_publish
order relay_before_mark
payment relay_before_mark
seller relay_before_publish
order consumer_before_commit
order consumer_after_commit
payment consumer_before_commit
payment consumer_after_commit
seller consumer_before_commit
seller consumer_after_commit
aibuddy consumer_before_commit
aibuddy consumer_after_commit
POINTS
is "aibuddy counted each order once" "$(sql aibuddy "SELECT sum(orders) FROM daily_counts WHERE sku = '$SKU'")" "$bought"
audit
