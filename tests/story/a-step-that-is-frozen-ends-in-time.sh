#!/usr/bin/env bash
# Each service of the chain is frozen in turn, so that it takes requests and never answers. The shopper
# is not kept waiting, and when it thaws, whatever it does with the late request harms nobody.
. tests/lib.sh

product 100 1000
shopper ida
put "$SKU" 2

# took COMMAND...: sets TOOK, ms
took() {
    local began=${EPOCHREALTIME/[.,]/}
    "$@"
    TOOK=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
}

took checkout
must 201
usual=$TOOK # on this machine, as busy as it is
put "$SKU" 2

# tried SERVICE CODE KEY
tried() {
    freeze "$1"
    took checkout "$3"
    that "with $1 frozen it is 503 $2" answered 503 "$2"
    thaw "$1"
    soon 30 "what was done is undone" no_live_checkouts
}

# slow SERVICE CODE: a busy machine may take longer once, the code would each time.
slow() {
    local key
    key=$(fresh_key)
    for _ in 1 2 3; do
        tried "$1" "$2" "$key"
        [ $TOOK -gt $((3000 + 3 * usual)) ] || break
    done
    that "within three seconds, and what a checkout takes anyway ($TOOK ms; $usual ms)" test "$TOOK" -le $((3000 + 3 * usual))
    soon 5 "nothing is held" sql_is seller "SELECT held FROM stock WHERE sku = '$SKU'" 0
    bought() { checkout "$key" && [ "$STATUS" = 201 ]; }
    soon 10 "once $1 is awake the same key buys" bought
    put "$SKU" 2
}

slow auth login_unavailable
slow payment payment_unavailable
slow seller stock_unavailable
slow order order_unavailable
is "five orders were made" "$(orders_of "$USER_ID")" 5
audit
