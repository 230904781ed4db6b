#!/usr/bin/env bash
# The relay dies before and after the broker has the event, consumers before and after their commit.
# An event may then be sent or delivered twice; what it does happens once.
. tests/lib.sh

product 100 1000
shopper jan
while read -r service point; do
    put "$SKU"
    before=$(sql seller "SELECT committed FROM stock WHERE sku = '$SKU'")
    arm "$service" "$point"
    checkout
    must 201
    soon 10 "$service dies at $point and comes back" struck "$service"
    soon 15 "the order is confirmed" order_is "$ORDER" confirmed
    soon 5 "paid once" payment_is "$ORDER" "captured 1000 0"
    soon 5 "taken from the stock once" sql_is seller "SELECT committed FROM stock WHERE sku = '$SKU'" $((before + 1))
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
is "aibuddy counted each order once" "$(sql aibuddy "SELECT sum(orders) FROM daily_counts WHERE sku = '$SKU'")" 12
audit
