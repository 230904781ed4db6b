#!/usr/bin/env bash
# Each service of the chain is stopped in turn: the checkout is refused in words that fit, what was
# done before is undone, and with the same key it goes through once the service is back.
. tests/lib.sh

product 100 1000
shopper hal
put "$SKU" 2

# refused_without SERVICE CODE
refused_without() {
    local key
    key=$(fresh_key)
    off "$1"
    checkout "$key"
    that "without $1 it is 503 $2" answered 503 "$2"
    that "with a time to try again" test -n "$(header retry-after)"
    is "and no order" "$(orders_of "$USER_ID")" "$made"
    on "$1"
    soon 20 "what was done is undone" no_live_checkouts
    soon 5 "nothing is held" sql_is seller "SELECT held FROM stock WHERE sku = '$SKU'" 0
    soon 5 "nothing is authorized" sql_is payment "SELECT count(*) FROM payments WHERE user_id = '$USER_ID' AND status IN ('pending', 'unknown', 'authorized')" 0
    bought() { checkout "$key" && [ "$STATUS" = 201 ]; }
    soon 10 "once $1 is back the same key buys" bought
    made=$((made + 1))
    put "$SKU" 2
}

made=0
refused_without auth login_unavailable
refused_without payment payment_unavailable
refused_without seller stock_unavailable
refused_without order order_unavailable
audit
