#!/usr/bin/env bash
# Some 170 forged tokens at each of the seven services: 401 with one and the same body. And good
# tokens of the wrong kind.
. tests/lib.sh

register forger seller
call POST /api/v1/sellers "{\"name\":\"Forger $RUN_ID\"}"
must 201
keys=$SOUK_STATE/keys
kid_of() { awk -v state="$1" '$2 == state { print $1 }' "$keys/keys"; }
current=$(kid_of current) next=$(kid_of next)
routes=("$AUTH_SERVICE_URL/api/v1/auth/sessions" "$CART_SERVICE_URL/api/v1/checkouts/$USER_ID"
    "$ORDER_SERVICE_URL/api/v1/orders" "$PAYMENT_SERVICE_URL/api/v1/payment-methods"
    "$SELLER_SERVICE_URL/api/v1/inventory" "$NOTIFICATION_SERVICE_URL/api/v1/notifications"
    "$AIBUDDY_SERVICE_URL/api/v1/recommendations")
node tests/support/forged-tokens.mjs "$keys/$current.pem" "$current" "$next" "$keys/$next.pem" "$TOKEN" "${routes[@]}" >"$WORK/rows"
rows=0
while read -r verdict name; do
    case $name in the\ good\ one*) want=taken ;; *) want=401 ;; esac
    is "$name" "$verdict" "$want"
    rows=$((rows + 1))
done <"$WORK/rows"
that "there were $rows rows" test "$rows" -gt 150

# status URL TOKEN
status() { curl -sS --max-time 30 -o "$WORK/answer" -w '%{http_code}' -H "authorization: Bearer $2" "$1"; }
# service_token CALLER CALLEE
service_token() {
    curl -sS --max-time 30 "$PUBLIC_URL/oauth2/token" -u "$1:$(secret "api-$1")" \
        -d "grant_type=client_credentials&audience=$2" | jq -r .access_token
}
kinds=''
for svc in "${SERVICES[@]}"; do
    url=$(service_url "$svc")
    other=auth && [ "$svc" != auth ] || other=cart
    mine=$(service_token cart "$svc") theirs=$(service_token cart "$other")
    for route in "${routes[@]}"; do case $route in "$url"/*) break ;; esac; done
    kinds+="$(status "$url/debug/fibers" "$mine") $(status "$url/debug/fibers" "$theirs") "
    kinds+="$(status "$url/debug/fibers" "$TOKEN") $(status "$route" "$mine") $(status "$route" "$theirs")"$'\n'
done
is "a service token opens its callee's internal routes only, never a user's; a user's never those" \
    "$(sort -u <<<"${kinds%$'\n'}")" '200 401 403 403 401'
audit
