#!/usr/bin/env bash
# auth's signing keys are rotated again and again under traffic at all services: no request fails. A
# key that is dropped, as after a leak, stops counting everywhere at once.
. tests/lib.sh

# A key may sign that soon after it was published; a shopper whose client is known, on an address that
# the stories share, may log in all the time. Keys that an earlier run has retired are past their time.
export JWKS_MAX_AGE_S=5 LOGIN_DEVICE_BURST=100000 LOGIN_ADDRESS_PER_MINUTE=1000000
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

login() { TOKEN='' call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"quite long $RUN_ID\"}"; }

# One shopper who logs in anew in each round, looks everywhere, and buys; each answer is a line, a failed one with its code.
shop() {
    local route round=0
    heard() { case $STATUS in 20[01]) echo "$STATUS $1" ;; *) echo "$STATUS $(field .code) $1" ;; esac >>"$WORK/traffic"; }
    while [ ! -e "$WORK/stop" ]; do
        login
        heard login
        [ "$STATUS" = 200 ] || continue
        TOKEN=$(field .accessToken)
        kid "$TOKEN" >>"$WORK/kids"
        for route in "${routes[@]}"; do
            call GET "$route"
            heard "$route"
        done
        # Of the first login, too: its key is retired by now.
        TOKEN=$KEEPER call GET /api/v1/inventory
        heard "with the oldest token"
        call POST /api/v1/cart/items "{\"sku\":\"$SKU\",\"quantity\":1}"
        heard put
        call POST /api/v1/cart/checkout "$(checkout_body)" -H "idempotency-key: $(fresh_key)-$((round += 1))"
        heard checkout
    done
}
(trap - EXIT; shop) &
shopper=$!

for n in 1 2 3; do
    before=$(current)
    soon 30 "rotation $n, as soon as caches know the next key" keys rotate
    signs_anew() { [ -n "$(current)" ] && [ "$(tail -n 1 "$WORK/kids")" = "$(current)" ]; }
    soon 30 "the next login is signed by the new key" signs_anew
    that "the old one is kept for its tokens" grep -q "^$before *retired" "$WORK/keys"
done
touch "$WORK/stop"
that "the shopper went on to the end" wait $shopper
is "$(wc -l <"$WORK/traffic") requests meanwhile, none of which failed" "$(grep -v '^20[01] ' "$WORK/traffic" | sort | uniq -c)" ''
that "tokens of four keys were among them" test "$(sort -u "$WORK/kids" | wc -l)" -ge 4

login
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
login
must 200
TOKEN=$(field .accessToken)
fresh_is_good() { call GET /api/v1/orders && [ "$STATUS" = 200 ]; }
soon 10 "who logs in again is let in" fresh_is_good
unset JWKS_MAX_AGE_S LOGIN_DEVICE_BURST LOGIN_ADDRESS_PER_MINUTE
off auth && on auth
audit
