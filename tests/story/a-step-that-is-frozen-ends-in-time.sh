#!/usr/bin/env bash
# Each service of the chain is frozen in turn, so that it takes requests and never answers. The shopper
# is not kept waiting, and when it thaws, whatever it does with the late request harms nobody.
. tests/lib.sh

product 100 1000
shopper ida
put "$SKU" 2

# slow SERVICE CODE
slow() {
    local key began=$EPOCHREALTIME
    key=$(fresh_key)
    freeze "$1"
    checkout "$key"
    that "with $1 frozen it is 503 $2" answered 503 "$2"
    that "within three seconds" awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { exit b - a > 3 }'
    thaw "$1"
    soon 30 "what was done is undone" no_live_checkouts
    soon 5 "nothing is held" sql_is seller "SELECT held FROM stock WHERE sku = '$SKU'" 0
    bought() { checkout "$key" && [ "$STATUS" = 201 ]; }
    soon 10 "once $1 is awake the same key buys" bought
    put "$SKU" 2
}

slow auth login_unavailable
slow payment payment_unavailable
slow seller stock_unavailable
slow order order_unavailable
is "four orders were made" "$(orders_of "$USER_ID")" 4
audit
