#!/usr/bin/env bash
# auth's signing keys are rotated again and again under traffic at all services: no request fails. A
# key that is dropped, as after a leak, stops counting everywhere at once.
. tests/lib.sh

# A key may sign that soon after it was published; a shopper may log in all the time. Keys that an
# earlier run has retired are past their time.
export JWKS_MAX_AGE_S=5 LOGIN_PAIR_BURST=100000 LOGIN_ACCOUNT_BURST=100000
off auth
sed -i 's/ retired [0-9]*$/ retired 1000000000/' "$SOUK_STATE/keys/keys"
chmod 400 "$SOUK_STATE/keys/keys"
on auth

register vera seller
call POST /api/v1/sellers "{\"name\":\"Vera $RUN_ID\"}"
must 201
as vera
card tok_visa
CARDS[vera]=$CARD
routes=(/api/v1/orders /api/v1/payment-methods /api/v1/inventory /api/v1/notifications /api/v1/recommendations
    /api/v1/cart /api/v1/auth/sessions "/api/v1/users/$USER_ID")
product 100000
as vera
keys() { ./souk keys "$@" >"$WORK/keys" 2>"$WORK/keys-error"; }
current() { ./souk keys | awk '$2 == "current" { print $1 }'; }
kid() { cut -d. -f1 <<<"$1" | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' | base64 -d | jq -r .kid; }

# One shopper who logs in anew in each round, looks everywhere, and buys; each answer's status is a line.
shop() {
    local route round=0
    while [ ! -e "$WORK/stop" ]; do
        TOKEN='' call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"quite long $RUN_ID\"}"
        echo "$STATUS login" >>"$WORK/traffic"
        TOKEN=$(field .accessToken)
        kid "$TOKEN" >>"$WORK/kids"
        for route in "${routes[@]}"; do
            call GET "$route"
            echo "$STATUS $route" >>"$WORK/traffic"
        done
        # Of the first login, too: its key is retired by now.
        TOKEN=$KEEPER call GET /api/v1/inventory
        echo "$STATUS with the oldest token" >>"$WORK/traffic"
        call POST /api/v1/cart/items "{\"sku\":\"$SKU\",\"quantity\":1}"
        echo "$STATUS put" >>"$WORK/traffic"
        call POST /api/v1/cart/checkout "$(checkout_body)" -H "idempotency-key: $(fresh_key)-$((round += 1))"
        echo "$STATUS checkout" >>"$WORK/traffic"
    done
}
(trap - EXIT; shop) &
shopper=$!

for n in 1 2 3; do
    before=$(current)
    soon 15 "rotation $n, as soon as caches know the next key" keys rotate
    signs_anew() { [ -n "$(current)" ] && [ "$(tail -n 1 "$WORK/kids")" = "$(current)" ]; }
    soon 10 "the next login is signed by the new key" signs_anew
    that "the old one is kept for its tokens" grep -q "^$before *retired" "$WORK/keys"
done
touch "$WORK/stop"
wait $shopper
is "$(wc -l <"$WORK/traffic") requests meanwhile, none of which failed" "$(grep -v '^20[01] ' "$WORK/traffic" | sort | uniq -c)" ''
that "tokens of four keys were among them" test "$(sort -u "$WORK/kids" | wc -l)" -ge 4

TOKEN='' call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"quite long $RUN_ID\"}"
must 200
TOKEN=$(field .accessToken)
leaked=$(kid "$TOKEN")
call GET /api/v1/orders
that "before the leak: the token is good" answered 200
that "the leaked key is dropped" keys drop "$leaked"
refused_everywhere() {
    local route
    for route in "${routes[@]}"; do
        [ "$route" != /api/v1/cart ] || continue # guests have one, too
        call GET "$route"
        [ "$STATUS" = 401 ] || return 1
    done
}
soon 30 "its tokens are refused by every service" refused_everywhere
TOKEN='' call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"quite long $RUN_ID\"}"
TOKEN=$(field .accessToken)
fresh_is_good() { call GET /api/v1/orders && [ "$STATUS" = 200 ]; }
soon 10 "who logs in again is let in" fresh_is_good
unset JWKS_MAX_AGE_S LOGIN_PAIR_BURST LOGIN_ACCOUNT_BURST
off auth && on auth
audit
