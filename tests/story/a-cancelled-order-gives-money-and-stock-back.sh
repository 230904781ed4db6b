#!/usr/bin/env bash
# Cancelled after the capture, at once after the checkout, and by two at the same time.
. tests/lib.sh

product 10 1100
shopper fay
put "$SKU" 3
checkout
must 201
soon 3 "the order is confirmed" order_is "$ORDER" confirmed
late=$ORDER
call POST "/api/v1/orders/$late/cancellation" '{"reason":"changed my mind"}'
is "it is cancelled" "$STATUS $(field '.status, .reason' | paste -sd ' ')" "200 cancelled changed my mind"
soon 3 "the money comes back" payment_is "$late" "refunded 3300 3300"
soon 3 "the stock too" stock_is "$SKU" "10 0 0"
soon 5 "a mail says so" mail_to "$EMAIL" ancel
call POST "/api/v1/orders/$late/cancellation" '{"reason":"again"}'
that "a cancelled order can't be cancelled" answered 409 invalid_transition

put "$SKU" 2
checkout
must 201
call DELETE "/api/v1/orders/$ORDER"
that "an order can be cancelled the moment it is made" answered 200
settled() { sql_is payment "SELECT captured - refunded FROM payments WHERE order_id = '$ORDER' AND status IN ('voided', 'refunded')" 0; }
soon 5 "whatever the bank had is given back" settled
soon 5 "and the stock" stock_is "$SKU" "10 0 0"
is "the order stays cancelled" "$(sql order "SELECT status FROM orders WHERE id = '$ORDER'")" cancelled

put "$SKU"
checkout
must 201
for _ in {1..10}; do aim POST "/api/v1/orders/$ORDER/cancellation" '{"reason":"me first"}'; done
fire 10
is "of ten that cancel at once one does" "$(codes)" "1 200 9 409"
soon 5 "the money comes back once" settled
soon 5 "the stock comes back once" stock_is "$SKU" "10 0 0"
is "one refund at most was made" "$(sql payment "SELECT count(*) <= 1 FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE p.order_id = '$ORDER'")" t
audit
