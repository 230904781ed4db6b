#!/usr/bin/env bash
# cart on real servers, with the services that a checkout asks: carts of guests and users, merging,
# every way a checkout ends, repeats and double clicks, peers that are away, shoppers that leave,
# and a process that dies on the way.
set -euo pipefail
. tests/component-lib.sh

service_start auth
service_start seller
service_start payment
service_start order
service_start cart PRICE_CACHE_S=0
C=$CART_SERVICE_URL/api/v1/cart
S=$SELLER_SERVICE_URL/api/v1
run=$EPOCHSECONDS$$

account keeper seller
keeper=$ID as_keeper=$(bearer "$ACCESS")
ask POST "$S/sellers" '{"name":"Keeper"}' -H "$as_keeper"
product() { # product SKU STOCK [PRICE [CURRENCY]]
    ask POST "$S/products" "{\"sku\":\"$1-$run\",\"name\":\"Thing $1\",\"category\":\"things\",\"price\":{\"amount\":${3:-1000},\"currency\":\"${4:-USD}\"},\"initialStock\":$2}" -H "$as_keeper"
    [ "$STATUS" = 201 ] || die "no product: $BODY"
}
change() { # change SKU JSON
    ask GET "$S/products/$1-$run" - -H "$as_keeper"
    ask PATCH "$S/products/$1-$run" "$2" -H "$as_keeper" -H "If-Match: $(header ETag)"
    [ "$STATUS" = 200 ] || die "no change: $BODY"
}
reprice() { change "$1" "{\"price\":{\"amount\":$2,\"currency\":\"USD\"}}"; }
product A 500 1000
product B 500 250
product EUR 10 1000 EUR
product OFF 10
product FEW 2
change OFF '{"status":"inactive"}'
stock() { sql seller "SELECT available || '/' || held FROM stock WHERE sku = '$1-$run'"; }

# shopper NAME [CARD-TOKEN]: sets AS, ID, CARD
shopper() {
    account "$1"
    AS=$(bearer "$ACCESS")
    card "${2:-tok_visa}"
}
card() {
    ask POST "$PAYMENT_SERVICE_URL/api/v1/payment-methods" "{\"token\":\"$1\",\"label\":\"card\"}" -H "$AS"
    [ "$STATUS" = 201 ] || die "no card: $BODY"
    CARD=$(field .paymentMethodId)
}
put() { ask POST "$C/items" "{\"sku\":\"$1-$run\",\"quantity\":${2:-1}}" -H "${3:-$AS}" "${@:4}"; }
lines() { field '[.items[] | "\(.sku | sub("-[0-9]+$"; ""))\(.quantity)"] | join(" ")'; }
cart() { ask GET "$C" - -H "${1:-$AS}"; }
in_cart() { cart "${1:-$AS}" && lines; }

# ---- carts ----

ask GET "$C"
says 'a guest gets a cart and its token' 200 '.items == []' '.total == null' '.userId == null' '.version == 1' '.cartToken | length == 43'
guest="X-Cart-Token: $(field .cartToken)"
is 'in the header as well' "X-Cart-Token: $(header X-Cart-Token)" "$guest"
put B 2 "$guest"
says 'which it brings along' 200 '.items[0].name == "Thing B"' '.items[0].lineTotal.amount == 500' '.total.amount == 500' 'has("cartToken") | not'
put A 1 "$guest"
put B 1 "$guest"
is 'lines stay in the order of their coming, and add up' "$(lines)" 'B3 A1'
is 'each change is a version' "$(field .version) $(header ETag)" '4 "4"'
is 'the token itself is kept nowhere' "$(sql cart "SELECT count(*) FROM carts WHERE token_hash = '${guest#*: }'")" 0
ask POST "$C/items" "{\"sku\":\"A-$run\"}"
says 'a guest may begin with an item' 200 '.items[0].quantity == 1' '.cartToken | length == 43'
ask GET "$C" - -H 'X-Cart-Token: short'
says 'a token looks like one' 400 '.code == "malformed_request"'
ask GET "$C" - -H 'Authorization: Bearer spent' -H "$guest"
says 'who was logged in is not a guest' 401 '.code == "unauthenticated"'
ask DELETE "$C"
says 'nobody has no cart to change' 401
ask POST "$C/items" '{"sku":"no good","quantity":0,"colour":"red"}' -H "$guest"
says 'every bad field is named' 422 '[.errors[].pointer] | sort == ["/colour", "/quantity", "/sku"]'
ask POST "$C/items" '{"sku":"A-1","quantity":1000}' -H "$guest"
says 'up to 999' 422 '.errors[0].pointer == "/quantity"'
put A 999 "$guest"
says 'in all' 422 '.errors[0].pointer == "/quantity"'
put NONE 1 "$guest"
says 'what does not exist can not be bought' 409 '.code == "product_unavailable"'
put OFF 1 "$guest"
says 'nor what is off the shelves' 409 '.code == "product_unavailable"'
put EUR 1 "$guest"
says 'a cart holds one currency' 409 '.code == "currency_mismatch"'
ask PUT "$C/items/A-$run" '{"quantity":5}' -H "$guest" -H 'If-Match: "3"'
says 'a change can insist on a version' 412 '.code == "precondition_failed"'
is 'and learns the present one' "$(header ETag)" '"4"'
ask PUT "$C/items/A-$run" '{"quantity":5}' -H "$guest" -H 'If-Match: "4"'
says 'a quantity is set' 200 '.items[1].quantity == 5'
ask PUT "$C/items/A-$run" '{}' -H "$guest"
says 'not to nothing at all' 422 '.errors[0].pointer == "/quantity"'
ask PUT "$C/items/A-$run" '{"quantity":0}' -H "$guest"
is 'zero takes a line out' "$STATUS $(lines)" '200 B3'
ask DELETE "$C/items/B-$run" - -H "$guest"
is 'so does its deletion' "$STATUS $(lines)" '200 '
ask DELETE "$C/items/B-$run" - -H "$guest"
says 'which can be said twice' 200 '.items == []'
put A 1 "$guest"
ask DELETE "$C" - -H "$guest"
says 'a cart is emptied' 204
is 'and then is empty' "$(in_cart "$guest")" ''

put A 1 "$guest" -H "Idempotency-Key: k-$run"
etag=$(header ETag)
put A 1 "$guest" -H "Idempotency-Key: k-$run"
is 'a repeat under one key adds once' "$STATUS $(lines) $(header Idempotent-Replayed) $(header ETag)" "200 A1 true ${etag:?}"
put B 1 "$guest" -H "Idempotency-Key: k-$run"
says 'a key is for one request' 422 '.code == "idempotency_key_reused"'
ask GET "$C"
other="X-Cart-Token: $(field .cartToken)"
put A 1 "$other" -H "Idempotency-Key: k-$run"
is 'guests do not share keys' "$STATUS $(lines) $(header Idempotent-Replayed)" '200 A1 '
for i in {1..20}; do aim POST "$C/items" "{\"sku\":\"B-$run\"}" "$other"; done
is 'twenty clicks are all answered' "$(volley)" '20 200'
is 'and all counted' "$(in_cart "$other")" 'A1 B20'

shopper full
cart
sql cart "UPDATE carts SET lines = (SELECT json_agg(json_build_object('sku', 'F-' || n, 'name', 'F', 'sellerId', '$keeper', 'quantity', 1,
    'unitPrice', json_build_object('amount', 1, 'currency', 'USD'))) FROM generate_series(1, 100) n) WHERE id = '$(field .cartId)'"
put A
says 'a cart ends at 100 lines' 409 '.code == "cart_full"'
ask PUT "$C/items/A-$run" '{"quantity":1}' -H "$AS"
says 'in any way' 409 '.code == "cart_full"'
ask POST "$C/merge" "{\"cartToken\":\"${other#*: }\",\"policy\":\"sum\"}" -H "$AS"
says 'also by merging' 409 '.code == "cart_full"'

# ---- what is remembered, and is not so any more ----

product M 500 1000
product N 500 250
shopper rita
put M
# behind NEXT LINE...: another process writes the cart. NEXT: its version and moment.
behind() { sql cart "UPDATE carts SET lines = (SELECT json_agg(l) FROM (SELECT json_array_elements(lines::json) l UNION ALL SELECT json_build_object('sku', 'N-$run', 'name', 'Thing N', 'sellerId', '$keeper', 'quantity', 7, 'unitPrice', json_build_object('amount', 250, 'currency', 'USD'))) x)::json, $1 WHERE user_id = '$ID'" >/dev/null; }
behind 'version = version + 1, updated_at = now()'
put M
is 'what another process put in is there' "$STATUS $(lines) $(field .version)" '200 M2 N7 4'
ask DELETE "$C/items/N-$run" - -H "$AS"
behind "updated_at = now()" # as after a crash that took a version away, and another one came
put M
is 'even if versions are the same' "$STATUS $(lines) $(header ETag)" '200 M3 N7 "6"'
ask DELETE "$C/items/N-$run" - -H "$AS"
behind 'version = version + 1, updated_at = now()'
ask PUT "$C/items/M-$run" '{"quantity":1}' -H "$AS" -H 'If-Match: "8"'
is 'who insists on the true version may change it' "$STATUS $(lines) $(header ETag)" '200 M1 N7 "9"'
sql cart "UPDATE carts SET lines = '[]', version = version + 1, updated_at = now() WHERE user_id = '$ID'" >/dev/null
put N 999
is 'nor is anybody refused for what was there' "$STATUS $(lines)" '200 N999'
ask PUT "$C/items/N-$run" '{"quantity":1}' -H "$AS"
behind 'version = version + 1, updated_at = now()'
buy() { ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" -H "$AS" -H "Idempotency-Key: $1"; }
buy "rita-$run"
says 'a checkout takes what is in the cart' 201 '.total.amount == 2000'
buy "rita-$run"
says 'and is repeated' 201 '.orderId != null'
put M
is 'then the cart is empty' "$STATUS $(lines)" '200 M1'
buy "rita-$run"
says 'a key that was used is not used again for what is remembered' 201 '.total.amount == 2000'
is 'whose cart stays' "$(in_cart)" 'M1'
buy "rita-again-$run"
says 'but a new one' 201 '.total.amount == 1000'

# ---- merging ----

merge() { ask POST "$C/merge" "{\"cartToken\":\"${1#*: }\",\"policy\":\"${2:-sum}\"${3:-}}" -H "$AS"; }
shopper mia
put B 3
merge "$other" sum
is 'guest and user are added up' "$STATUS $(lines)" '200 B23 A1'
merge "$other"
says 'then the guest has no cart' 422 '.errors[0].pointer == "/cartToken"'
for policy in 'max B23 A1' 'keep_user B23 A1' 'keep_guest B5 A1'; do
    ask GET "$C"
    other="X-Cart-Token: $(field .cartToken)"
    put B 5 "$other"
    cart
    version=$(field .version)
    merge "$other" "${policy%% *}" ',"dryRun":true'
    is "${policy%% *} is shown" "$STATUS $(lines) $(field .version)" "200 ${policy#* } $version"
    is 'and changes nothing' "$(in_cart) $(field .version) $(in_cart "$other")" "B23 A1 $version B5"
    merge "$other" "${policy%% *}"
    is 'until it is meant' "$(in_cart)" "${policy#* }"
    ask PUT "$C/items/B-$run" '{"quantity":23}' -H "$AS"
done
ask POST "$C/merge" '{"cartToken":"x","policy":"guess"}' -H "$AS"
says 'token and policy are named' 422 '[.errors[].pointer] | sort == ["/cartToken", "/policy"]'
ask POST "$C/merge" '{}'
says 'only users merge' 401
ask GET "$C"
other="X-Cart-Token: $(field .cartToken)"
put EUR 1 "$other"
merge "$other"
says 'not two currencies' 409 '.code == "currency_mismatch"'
ask GET "$C"
other="X-Cart-Token: $(field .cartToken)"
put B 1 "$other"
as_mia=$AS
shopper moe
for _ in 1 2 3 4 5; do
    aim POST "$C/merge" "{\"cartToken\":\"${other#*: }\",\"policy\":\"sum\"}" "$AS"
    aim POST "$C/merge" "{\"cartToken\":\"${other#*: }\",\"policy\":\"sum\"}" "$as_mia"
done
is 'of many merges one has the cart' "$(volley)" '1 200, 9 422'
is 'and its lines go to one' "$(($(in_cart "$as_mia" | tr -dc 'B0-9 ' | sed 's/.*B\([0-9]*\).*/\1/') + $(in_cart | grep -c B)))" 24

# ---- checkout: refusals ----

address='{"name":"Ann","line1":"1 High Street","city":"Ulm","postalCode":"89073","country":"DE"}'
# checkout KEY [MEMBERS]
checkout() { ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"${2:-,\"shippingAddress\":$address}}" -H "$AS" -H "Idempotency-Key: $1-$run" "${@:3}"; }
receipt() { ask GET "$CART_SERVICE_URL/api/v1/checkouts/$(sql cart "SELECT id FROM checkouts WHERE idempotency_key = '$1-$run'")" - -H "$AS"; }
steps() { field '[.steps[] | .step + ":" + .outcome] | join(" ")'; }
state() { sql cart "SELECT state FROM checkouts WHERE idempotency_key = '$1-$run'"; }
became() { [ "$(state "$1")" = "$2" ]; }
order_of() { sql cart "SELECT order_id FROM checkouts WHERE idempotency_key = '$1-$run'"; }
orders() { sql order "SELECT count(*) FROM orders WHERE user_id = '$ID'"; }
payment() { sql payment "SELECT status FROM payments WHERE order_id = '$1'"; }
no_live() { [ "$(sql cart "SELECT count(*) FROM checkouts WHERE state IN ('running', 'compensating')")" = 0 ]; }
hurry() { sql cart "UPDATE checkouts SET lease_until = now() WHERE state IN ('running', 'compensating')"; }
hurried() { hurry && became "$1" "$2"; }

shopper ann
ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" -H "$AS"
says 'a checkout needs a key' 400 '.code == "idempotency_key_required"'
ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" -H "$guest" -H 'Idempotency-Key: x'
says 'and a user' 401
ask POST "$C/checkout" '{"shippingAddress":{"country":"Germany"},"expectedTotal":{"amount":9.99,"currency":"USD"}}' -H "$AS" -H 'Idempotency-Key: x'
says 'every bad field is named' 422 '[.errors[].pointer] | contains(["/paymentMethodId", "/shippingAddress/city", "/shippingAddress/country", "/expectedTotal/amount"])'
ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\",\"shippingAddress\":{\"name\":\"Ann\",\"line1\":\"1 High Street\\nSecond line\",\"city\":\"Ulm\\u0007\",\"postalCode\":\"89073\",\"country\":\"DE\"}}" -H "$AS" -H 'Idempotency-Key: x'
says 'a line of an address is one line' 422 '[.errors[].pointer] | sort == ["/shippingAddress/city", "/shippingAddress/line1"]'
checkout empty
says 'and something to buy' 422 '.code == "cart_empty"'
put A 2
put B 4
checkout two-addresses ",\"addressId\":\"$ID\",\"shippingAddress\":{\"name\":\"N\",\"line1\":\"Street 1\",\"city\":\"C\",\"postalCode\":\"1\",\"country\":\"DE\"}"
says 'one address or the other' 422 '.errors[0].pointer == "/addressId"'
checkout unknown-address ",\"addressId\":\"$ID\""
says 'an address is an own one' 422 '.code == "address_not_found"'
checkout total ',"expectedTotal":{"amount":2999,"currency":"USD"}'
says 'the total can be insisted on' 409 '.code == "total_changed"' '.total.amount == 3000'
ask POST "$C/checkout" "{\"paymentMethodId\":\"$ID\"}" -H "$AS" -H "Idempotency-Key: method-$run"
says 'a card is an own one' 422 '.code == "payment_method_not_found"'
good=$CARD
card tok_insufficient_funds
checkout declined
says 'a declined card ends it' 402 '.code == "payment_declined"' '.reason == "insufficient_funds"'
said=$(field 'del(.correlationId)')
is 'with nothing held' "$(stock A) $(orders)" '500/0 0'
receipt declined
is 'as the receipt says' "$(steps)" 'auth:ok payment:payment_declined void:ok'
says 'in full' 200 '.status == "failed"' '.outcome == "payment_declined"' '.orderId == null' '.finishedAt | length > 0'
checkout declined
is 'a repeat gives the same refusal' "$STATUS $(field 'del(.correlationId)') $(header Idempotent-Replayed)" "402 $said true"
checkout declined ',"addressId":null'
says 'another body does not' 422 '.code == "idempotency_key_reused"'
CARD=$good
put FEW 3
checkout few
says 'what is short is named' 409 '.code == "out_of_stock"' ".lines == [{sku: \"FEW-$run\", requested: 3, available: 2}]"
said=$(field 'del(.correlationId)')
is 'and nothing stays taken' "$(stock A) $(payment "$(order_of few)")" '500/0 voided'
receipt few
is 'as the receipt says' "$(steps)" 'auth:ok payment:ok stock:out_of_stock void:ok release:ok'
checkout few
is 'a repeat gives the same lines' "$STATUS $(field 'del(.correlationId)') $(header Idempotent-Replayed)" "409 $said true"
change FEW '{"status":"inactive"}'
checkout off
says 'so is what is off the shelves' 409 '.code == "product_unavailable"' ".lines == [{sku: \"FEW-$run\"}]"
ask DELETE "$C/items/FEW-$run" - -H "$AS"
reprice B 300
checkout rise
says 'a price that rose needs consent' 409 '.code == "price_changed"' \
    ".lines == [{sku: \"B-$run\", was: {amount: 250, currency: \"USD\"}, is: {amount: 300, currency: \"USD\"}}]"
is 'with nothing held' "$(stock B) $(payment "$(order_of rise)")" '500/0 voided'
cart
is 'and the cart shows it' "$(lines) $(field .total.amount)" 'A2 B4 3200'
product TURN 10 100
put TURN 1
change TURN '{"price":{"amount":100,"currency":"EUR"}}'
checkout turn
says 'what turned to another currency has to go' 409 '.code == "currency_mismatch"' '.lines | length == 1' '.lines[0].is.currency == "EUR"'
is 'and the cart stays in one' "$(in_cart) $(sql seller "SELECT sum(held) FROM stock WHERE sku LIKE '%-$run'")" 'A2 B4 TURN1 0'
ask DELETE "$C/items/TURN-$run" - -H "$AS"
reprice A 900

# ---- checkout: bought ----

checkout buy
says 'a price that fell is passed on' 201 '.status == "created"' '.total == {amount: 3000, currency: "USD"}' \
    '.items | map(.unitPrice.amount) == [900, 300]'
bought=$BODY
is 'the order has its address' "$(header Location)" "/api/v1/orders/$(field .orderId)"
ask GET "$ORDER_SERVICE_URL$(header Location)" - -H "$AS"
says 'exists' 200 '.total.amount == 3000' '.shippingAddress.city == "Ulm"' '.items | length == 2'
is 'the cart is empty' "$(in_cart)" ''
receipt buy
is 'the receipt says how' "$(steps)" 'auth:ok payment:ok stock:ok order:ok'
says 'in full' 200 '.status == "completed"' ".orderId == $(jq .orderId <<<"$bought")" '.total.amount == 3000' \
    '.steps | all(.durationUs > 0 and .attempt == 1)' '[.steps[].downstreamId] | .[1:] | all(length == 36)'
id=$(field .checkoutId)
checkout buy
is 'a repeat gives the same answer' "$STATUS $BODY $(header Idempotent-Replayed)" "201 $bought true"
is 'and its address' "$(header Location)" "/api/v1/orders/$(field .orderId)"
ask GET "$CART_SERVICE_URL/api/v1/checkouts/$id" - -H "$as_mia"
says 'a receipt is private' 404

ask POST "$AUTH_SERVICE_URL/api/v1/users/$ID/addresses" "${address/Ulm/Bonn}" -H "$AS"
saved=$(field '.addressId // .id')
put B 1
checkout saved ",\"addressId\":\"$saved\""
ask GET "$ORDER_SERVICE_URL$(header Location)" - -H "$AS"
says 'an address of the address book will do' 200 '.shippingAddress.city == "Bonn"'

put A 1
card tok_slow
curl -sS --max-time 15 -o /dev/null "$C/checkout" -H "$AS" -H "Idempotency-Key: slow-$run" -H 'Content-Type: application/json' \
    -d "{\"paymentMethodId\":\"$CARD\"}" &
slow=$!
check 'a checkout on its way' until_true 5 became slow running
ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" -H "$AS" -H "Idempotency-Key: slow-$run"
says 'is not begun twice' 409 '.code == "idempotency_key_in_use"'
is 'but asked for again' "$(header Retry-After)" 1
checkout another
says 'nor beside itself' 409 '.code == "checkout_in_progress"'
put A 2
put B 1
wait $slow
is 'what was put in meanwhile stays' "$(state slow) $(in_cart)" 'completed A2 B1'
CARD=$good

before=$(orders)
for i in {1..20}; do aim POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" "$AS" "Idempotency-Key: same-$run"; done
volley >"$SCRATCH/codes"
is "twenty clicks under one key make one order ($(cat "$SCRATCH/codes"))" "$(orders)" $((before + 1))
ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" -H "$AS" -H "Idempotency-Key: same-$run"
says 'and one answer' 201
put A 1
before=$(orders)
for i in {1..20}; do aim POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" "$AS" "Idempotency-Key: each$i-$run"; done
volley >"$SCRATCH/codes"
is "under twenty keys as well ($(cat "$SCRATCH/codes"))" "$(orders)" $((before + 1))
is 'none of which was an error of ours' "$(grep -cE ' 5[0-9][0-9]' "$SCRATCH/codes")" 0
for i in {1..10}; do
    aim POST "$C/items" "{\"sku\":\"A-$run\"}" "$AS"
    aim POST "$C/items" "{\"sku\":\"B-$run\"}" "$AS"
    aim POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" "$AS" "Idempotency-Key: mixed$i-$run"
    aim PUT "$C/items/B-$run" '{"quantity":1}' "$AS"
done
volley >"$SCRATCH/codes"
check 'clicks on everything at once do not block each other' test "$(grep -cE ' 5[0-9][0-9]' "$SCRATCH/codes")" = 0
check 'and leave no checkout behind' until_true 5 no_live

# ---- checkout: all of it is sold in another currency now ----

ask DELETE "$C" - -H "$AS"
product MOVES 10 1000
put MOVES 1
change MOVES '{"price":{"amount":900,"currency":"EUR"}}'
checkout moved
says 'alone it has another price' 409 '.code == "price_changed"'
cart
is 'which the cart shows' "$(field '.total | "\(.amount) \(.currency)"')" '900 EUR'
checkout moved-again
says 'and can be bought for' 201 '.total.amount == 900' '.total.currency == "EUR"'

# ---- checkout: somebody is away ----

ask DELETE "$C" - -H "$AS"
again() { checkout "$1" && [ "$STATUS" = 201 ]; }
# away SERVICE KEY CODE: it is refused while the service is away, and done under the same key later.
away() {
    put A 1
    service_stop "$1"
    checkout "$2"
    says "without $1 a checkout waits" 503 ".code == \"$3\""
    is 'for a moment' "$(header Retry-After)" 1
    checkout "$2"
    says 'and whoever comes again hears the same' 503 ".code == \"$3\""
    if [ "$1" = seller ]; then
        is 'nothing is authorized' "$(payment "$(order_of "$2")")" voided
        put B 1
        says 'nor can a price be had' 503 '.code == "service_unavailable"'
    fi
    if [ "$1" = order ]; then is 'nor is anything held' "$(payment "$(order_of "$2")") $(stock A | cut -d/ -f2)" 'voided 0'; fi
    is 'for what never arrived leaves nothing to undo' "$(state "$2")" failed
    service_start "$1"
    check 'the same key tries again' until_true 15 again "$2"
}
away seller no-seller stock_unavailable
away payment no-payment payment_unavailable
away order no-order order_unavailable
receipt no-order
is 'the receipt has all attempts' "$(field '[.steps[].attempt] | unique | tostring')" '[1,2,3]'
away auth no-auth login_unavailable

put A 1
running test-seller
kill -STOP "$PID"
began=${EPOCHREALTIME/[.,]/}
checkout frozen
says 'a seller that hangs is one that is away' 503 '.code == "stock_unavailable"'
took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
check "which the shopper hears soon ($took ms)" test $took -lt 6000
is 'though not all is undone yet' "$(state frozen) $(payment "$(order_of frozen)")" 'compensating voided'
checkout frozen
says 'who comes again meanwhile hears the same' 503 '.code == "stock_unavailable"'
is 'and when to come' "$(header Retry-After)" 1
checkout beside-frozen
says 'and so is the cart' 409 '.code == "checkout_in_progress"'
kill -CONT "$PID"
check 'then it is' until_true 15 hurried frozen failed
is 'wholly' "$(stock A | cut -d/ -f2)" 0
check 'and the same key tries again' until_true 15 again frozen
card tok_error
put A 1
checkout bank
says 'a bank that is away is no refusal' 503 '.code == "payment_unavailable"'
for i in {1..24}; do
    put A 1
    checkout "bank$i"
done
says 'however often it is asked' 503 '.code == "payment_unavailable"'
healthy=$AS
shopper healthy
put A 1
checkout healthy
says 'nor does it keep anybody else from buying' 201
AS=$healthy CARD=$good
check 'and all of it ends' until_true 15 no_live

# ---- checkout: the shopper leaves, the process dies ----

card tok_slow
curl -sS --max-time 0.4 -o /dev/null "$C/checkout" -H "$AS" -H "Idempotency-Key: left-$run" -H 'Content-Type: application/json' \
    -d "{\"paymentMethodId\":\"$CARD\"}" 2>/dev/null || true
check 'a checkout whose shopper leaves comes to an end' until_true 5 no_live
order=$(order_of left)
case $(state left) in
completed) ends='1 authorized' ;;
*) ends='0 voided' ;;
esac
agreed() { [ "$(sql order "SELECT count(*) FROM orders WHERE id = '$order'") $(payment "$order" | sed 's/captured/authorized/')" = "$ends" ]; }
check "with an order and its payment, or neither ($ends)" until_true 10 agreed
ask POST "$C/checkout" "{\"paymentMethodId\":\"$CARD\"}" -H "$AS" -H "Idempotency-Key: left-$run"
says 'and who comes back gets the order' 201
CARD=$good

# dies FAULT KEY STATE
dies() {
    put A 1
    service_stop cart
    service_start cart PRICE_CACHE_S=0 "SOUK_FAULT=$1"
    checkout "$2"
    service_stop cart
    service_start cart PRICE_CACHE_S=0
    check "a death at $1 is made up for" until_true 15 hurried "$2" "$3"
}
if "$(service_binary cart)" --describe | grep checkout_before_end >/dev/null; then
    ask DELETE "$C" - -H "$AS"
    dies checkout_before_stock dead1 failed
    is 'by undoing' "$(payment "$(order_of dead1)") $(stock A | cut -d/ -f2) $(in_cart)" 'voided 0 A1'
    receipt dead1
    is 'as the receipt says' "$(steps)" 'abandon:ok void:ok release:ok'
    check 'and the key is free again' until_true 5 again dead1
    reprice A 950
    put A 1
    reprice A 800
    dies checkout_before_end dead2 completed
    is 'by completing' "$(in_cart) $(sql order "SELECT count(*) FROM orders WHERE id = '$(order_of dead2)'")" ' 1'
    checkout dead2
    says 'with what the order says' 201 '.total.amount == 1600' '.items[0].unitPrice.amount == 800'
    receipt dead2
    is 'as the receipt does' "$(steps)" 'abandon:ok order:ok'
fi

# Each locks its cart until it is made up for; a batch of twenty a second would take a shop's outage long to forget.
psql -X -q -v ON_ERROR_STOP=1 -d "$CART_MIGRATE_DATABASE_URL" -c "INSERT INTO checkouts (id, user_id, cart_id, idempotency_key, fingerprint,
    order_id, lease_until, items, total, currency) SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'many-' || n, '-', gen_random_uuid(),
    now(), '[]', 100, 'USD' FROM generate_series(1, 200) n"
check 'two hundred checkouts that were left are all made up for' until_true 30 no_live
pauses=$(sql cart "SELECT count(*) FROM (SELECT finished_at - lag(finished_at) OVER (ORDER BY finished_at) AS pause FROM checkouts
    WHERE idempotency_key LIKE 'many-%') p WHERE pause > interval '800 ms'")
check "without a pause after every twenty ($pauses of 9)" test "$pauses" -lt 5

# ---- events ----

tell() { deliver cart-queue "$@"; }
new=$(uuid)
carts() { sql cart "SELECT count(*) FROM carts WHERE user_id = '$1' AND NOT closed"; }
has() { [ "$(carts "$1")" = "$2" ]; }
tell user.registered "$new" "{\"userId\":\"$new\",\"email\":\"n@people.example\"}"
tell user.created "$new" "{\"userId\":\"$new\",\"email\":\"n@people.example\"}"
check 'a new user gets a cart' until_true 10 has "$new" 1
tell order.completed "$(uuid)" "{\"orderId\":\"$(uuid)\",\"userId\":\"$new\",\"status\":\"completed\"}" "$(uuid)" 2026-02-02T00:00:00Z
tell order.completed "$(uuid)" "{\"orderId\":\"$(uuid)\",\"userId\":\"$new\",\"status\":\"completed\"}" "$(uuid)" 2026-01-01T00:00:00Z
last() { [ "$(sql cart "SELECT last_order_at::date FROM carts WHERE user_id = '$new'")" = 2026-02-02 ]; }
check 'its last order is remembered' until_true 10 last
tell user.deactivated "$new" "{\"userId\":\"$new\",\"email\":\"n@people.example\"}"
check 'and it goes with its user' until_true 10 has "$new" 0
tell user.deactivated "$new" "{\"userId\":\"$new\",\"email\":\"n@people.example\"}"
tell user.registered "$new" "{\"userId\":\"$new\",\"email\":\"n@people.example\"}" "$(uuid)"
heard() { [ "$(sql cart "SELECT count(*) FROM inbox WHERE type IN ('user.registered', 'user.created', 'user.deactivated') AND handled_at > now() - interval '1 min'")" -ge 5 ]; }
check 'what is told of it late is heard' until_true 10 heard
is 'and brings nothing back' "$(carts "$new")" 0
