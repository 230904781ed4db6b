#!/usr/bin/env bash
# order on real servers: creation on an allotted id, who may see and do what, the facts of payment
# and stock in any order and more than once, and races between people.
set -euo pipefail
. tests/component-lib.sh

service_start auth
service_start order
O=$ORDER_SERVICE_URL/api/v1/orders
run=$EPOCHSECONDS$$

account ann
ann=$ID as_ann=$(bearer "$ACCESS")
account eve
eve=$ID as_eve=$(bearer "$ACCESS")
account sam seller
sam=$ID as_sam=$(bearer "$ACCESS")
account sue seller
sue=$ID as_sue=$(bearer "$ACCESS")
account ada
sql auth "UPDATE users SET roles = '{user,admin}' WHERE id = '$ID'"
ask POST "$AUTH_SERVICE_URL/api/v1/auth/login" "{\"email\":\"$(sql auth "SELECT email FROM users WHERE id = '$ID'")\",\"password\":\"correct horse\"}"
as_ada=$(bearer "$(field .accessToken)")
as_cart=$(bearer "$(service_token cart order)")

line() { printf '{"sku":"%s","name":"Thing %s","sellerId":"%s","quantity":%s,"unitPrice":{"amount":%s,"currency":"USD"}}' "$1" "$1" "$2" "$3" "$4"; }
# body ORDER USER TOTAL LINE...
body() {
    local order=$1 user=$2 total=$3 lines
    shift 3
    lines=$(IFS=, && printf '%s' "$*")
    printf '{"orderId":"%s","userId":"%s","userEmail":"a@people.example","userName":"Ann","items":[%s],"total":{"amount":%s,"currency":"USD"}}' \
        "$order" "$user" "$lines" "$total"
}
# make: an order of ann's with one line of sam's, in ORDER
make() {
    ORDER=$(uuid)
    ask POST "$O" "$(body "$ORDER" "$ann" 1500 "$(line T-1 "$sam" 3 500)")" -H "$as_cart"
    [ "$STATUS" = 201 ] || die "no order: $BODY"
}
told() { sql order "SELECT count(*) FROM outbox WHERE aggregate_id = '$1' AND type = '$2'"; }
status() { sql order "SELECT status FROM orders WHERE id = '$1'"; }
is_now() { [ "$(status "$1")" = "$2" ]; }
path() { sql order "SELECT string_agg(to_status, ' ' ORDER BY id) FROM order_history WHERE order_id = '$1'"; }

# ---- creation ----

one=$(uuid)
two_lines=("$(line T-2 "$sue" 1 250)" "$(line T-1 "$sam" 2 1000)")
ask POST "$O" "$(body "$one" "$ann" 2250 "${two_lines[@]}")"
says 'an order needs a caller' 401 '.code == "unauthenticated"'
ask POST "$O" "$(body "$one" "$ann" 2250 "${two_lines[@]}")" -H "$as_ann"
says 'who is not the shopper' 403 '.code == "forbidden"'
ask POST "$O" '{"userEmail":"x","items":[]}' -H "$as_cart"
says 'every bad field is named' 422 '.code == "validation_failed"' \
    '[.errors[].pointer] | sort == ["/items", "/total", "/userEmail", "/userId"]'
ask POST "$O" "$(body "$one" "$ann" 2251 "${two_lines[@]}")" -H "$as_cart"
says 'the total must be the sum' 422 '.errors[0].pointer == "/total/amount"'
ask POST "$O" "$(body "$one" "$ann" 2250 "${two_lines[@]}" | sed 's/USD/EUR/')" -H "$as_cart"
says 'in one currency' 422 '.errors[0].pointer == "/items"'
ask POST "$O" "$(body "$one" "$ann" -1 "$(line T-1 "$sam" 1 -1)")" -H "$as_cart"
says 'nothing costs less than nothing' 422 '[.errors[].pointer] | contains(["/items/0/unitPrice/amount"])'
ask POST "$O" "$(body "$one" "$ann" 2250 "${two_lines[@]}")" -H "$as_cart"
says 'an order is made on the id it was given' 201 ".orderId == \"$one\"" '.status == "created"' \
    '.total == {amount: 2250, currency: "USD"}' '[.items[].sku] == ["T-2", "T-1"]' 'has("userEmail") | not'
is 'and has its address' "$(header Location)" "/api/v1/orders/$one"
is 'and version' "$(header ETag)" '"1"'
ask POST "$O" "$(body "$one" "$ann" 2250 "${two_lines[@]}")" -H "$as_cart"
says 'a repeat gives the same order' 201 ".orderId == \"$one\""
is 'which is told once' "$(told "$one" order.created)" 1
ask POST "$O" "$(body "$one" "$eve" 2250 "${two_lines[@]}")" -H "$as_cart"
says "but not somebody else's" 409 '.code == "order_id_taken"'
ask POST "$ORDER_SERVICE_URL/orders" "$(body x "$eve" 500 "$(line T-1 "$sam" 1 500)" | jq 'del(.orderId)')" -H "$as_ada" -H "Idempotency-Key: o-$run"
says 'without an id it gets one, also by the short path' 201 '.orderId | length == 36'
made=$BODY
ask POST "$ORDER_SERVICE_URL/orders" "$(body x "$eve" 500 "$(line T-1 "$sam" 1 500)" | jq 'del(.orderId)')" -H "$as_ada" -H "Idempotency-Key: o-$run"
is 'and the same key the same answer' "$STATUS $BODY" "201 $made"

# ---- giving an id up ----

abandon() { ask POST "$ORDER_SERVICE_URL/internal/v1/orders/$1/abandon" - -H "${2:-$as_cart}"; }
abandon "$one" "$as_ada"
says 'ids are given up by services' 403
abandon "$one"
says 'not when the order exists' 200 '.exists'
gone=$(uuid)
abandon "$gone"
says 'else it never will' 200 '.exists | not'
abandon "$gone"
says 'which can be said twice' 200 '.exists | not'
ask POST "$O" "$(body "$gone" "$ann" 2250 "${two_lines[@]}")" -H "$as_cart"
says 'a late creation is refused' 409 '.code == "checkout_abandoned"'
ids=()
for i in {1..20}; do
    ids+=("$(uuid)")
    aim POST "$O" "$(body "${ids[-1]}" "$ann" 500 "$(line T-1 "$sam" 1 500)")" "$as_cart"
    aim POST "$ORDER_SERVICE_URL/internal/v1/orders/${ids[-1]}/abandon" '' "$as_cart"
done
volley >"$SCRATCH/race"
agree=0
for i in {1..20}; do
    exists=$(jq .exists "$SCRATCH/shot.$((2 * i))") made=$(jq -r '.code // "made"' "$SCRATCH/shot.$((2 * i - 1))")
    case "$exists $made $(sql order "SELECT count(*) FROM orders WHERE id = '${ids[i - 1]}'")" in
    'true made 1' | 'false checkout_abandoned 0') agree=$((agree + 1)) ;;
    esac
done
is "at once, both agree on who was first ($(cat "$SCRATCH/race"))" $agree 20

# ---- seeing ----

ask GET "$O/$one" - -H "$as_ann"
says 'the customer sees an order' 200 '.version == 1' '.refundedAmount == 0'
ask GET "$O/$one" - -H "$as_eve"
says 'nobody else does' 404 '.code == "not_found"'
ask GET "$O/$one" - -H "$as_sue"
says 'but who sells in it' 200
ask GET "$O/$one" - -H "$as_ada"
says 'and admins' 200
ask GET "$ORDER_SERVICE_URL/orders/$one" - -H "$as_cart"
says 'and services, also by the short path' 200
ask GET "$O/nonsense" - -H "$as_ann"
says 'an id is a UUID' 422 '.errors[0].pointer == "/orderId"'
ask GET "$O/$one/items" - -H "$as_ann"
says 'the lines come in their order' 200 '[.data[].sku] == ["T-2", "T-1"]'
ask GET "$O/$one/items" - -H "$as_eve"
says 'to those who see the order' 404
ask GET "$O/$one/history" - -H "$as_ann"
says 'its history begins with its creation' 200 '.data | length == 1' '.data[0].from == null' '.data[0].to == "created"' '.data[0].actor == "cart"'
ask GET "$O/$one/history" - -H "$as_eve"
says 'and is as private' 404

account pat
pat=$ID as_pat=$(bearer "$ACCESS")
for i in {1..5}; do
    ask POST "$O" "$(body "$(uuid)" "$pat" "$i" "$(line T-1 "$sam" 1 "$i")")" -H "$as_cart"
done
ask GET "$O?limit=2" - -H "$as_pat"
says 'a list is newest first' 200 '[.data[].total.amount] == [5, 4]' .hasMore
is 'and names its next page' "$(header Link | grep -c 'rel="next"')" 1
cursor=$(field .nextCursor)
ask POST "$O" "$(body "$(uuid)" "$pat" 6 "$(line T-1 "$sam" 1 6)")" -H "$as_cart"
ask GET "$ORDER_SERVICE_URL/orders?limit=2&cursor=$cursor" - -H "$as_pat"
says 'new orders do not move its pages' 200 '[.data[].total.amount] == [3, 2]' .hasMore
ask GET "$O?limit=2&cursor=$(field .nextCursor)" - -H "$as_pat"
says 'which end' 200 '[.data[].total.amount] == [1]' '.hasMore | not' '.nextCursor == null'
ask GET "$O?status=shipped" - -H "$as_pat"
says 'a list can be of one status' 200 '.data == []'
ask GET "$O?status=lost" - -H "$as_pat"
says 'that exists' 422 '.errors[0].pointer == "/status"'
ask GET "$O?cursor=forged&limit=1000" - -H "$as_pat"
says 'within limits' 422 '.errors[0].pointer == "/limit"'
ask GET "$O?cursor=forged" - -H "$as_pat"
says 'by an own cursor' 422 '.errors[0].pointer == "/cursor"'
ask GET "$ORDER_SERVICE_URL/api/v1/customers/$pat/orders?limit=1" - -H "$as_pat"
says 'customers see theirs by customer too' 200 '.data[0].total.amount == 6'
ask GET "$ORDER_SERVICE_URL/api/v1/customers/$pat/orders" - -H "$as_ada"
says 'and admins anybody' 200 '.data | length == 6'
ask GET "$ORDER_SERVICE_URL/api/v1/customers/$pat/orders" - -H "$as_eve"
says 'and others nobody' 404

# ---- the address ----

address='{"shippingAddress":{"name":"Ann","line1":"2 New Street","city":"Ulm","postalCode":"89073","country":"DE"}}'
ask PUT "$O/$one" '{"shippingAddress":{"name":"Ann"}}' -H "$as_ann"
says 'an address is complete' 422 '[.errors[].pointer] | contains(["/shippingAddress/city", "/shippingAddress/line1"])'
ask PUT "$O/$one" "$address" -H "$as_sue"
says 'and not for sellers to change' 403
ask PUT "$O/$one" "$address" -H "$as_eve"
says 'nor for strangers' 404
ask PUT "$O/$one" "$address" -H "$as_ann" -H 'If-Match: "7"'
says 'nor upon an old version' 412 '.code == "precondition_failed"'
ask PUT "$O/$one" "$address" -H "$as_ann" -H 'If-Match: "1"'
says 'the customer changes it' 200 '.shippingAddress.city == "Ulm"' '.version == 2'
is 'into the next version' "$(header ETag)" '"2"'
shown=$(field .updatedAt)
ask GET "$O/$one" - -H "$as_ann"
says 'and that is what is kept' 200 '.shippingAddress.line1 == "2 New Street"' '.version == 2' ".updatedAt == \"$shown\""

# ---- facts ----

fact() { # fact TYPE ORDER PAYLOAD-MEMBERS [EVENT-ID]
    deliver order-queue "$1" "$2" "{\"paymentId\":\"$ann\",\"orderId\":\"$2\",\"userId\":\"$ann\",\"currency\":\"USD\",\"items\":[],$3}" "${4:-$(uuid)}"
}
paid() { fact payment.completed "$1" '"amount":1500' "${2:-$(uuid)}"; }
stock() { fact inventory.updated "$1" "\"reason\":\"$2\"" "${3:-$(uuid)}"; }
refunded() { fact payment.refunded "$1" "\"amount\":$2,\"refundedTotal\":$2,\"reason\":\"broken\""; }

make
first=$ORDER event=$(uuid)
paid "$first" "$event"
check 'a payment makes it paid' until_true 10 is_now "$first" paid
paid "$first" "$event"
stock "$first" held
stock "$first" committed
check 'committed stock confirms it' until_true 10 is_now "$first" confirmed
make
second=$ORDER
stock "$second" committed
stock "$second" committed
paid "$second"
paid "$second"
check 'in the other order and twice as well' until_true 10 is_now "$second" confirmed
is 'over the same path' "$(path "$second")" "$(path "$first")"
is 'told step by step' "$(told "$second" order.updated)" 2
make
third=$ORDER
refunded "$third" 1500
paid "$third"
stock "$third" committed
check 'a refund that comes first waits' until_true 10 is_now "$third" refunded
is 'for its time' "$(path "$third")" 'created paid confirmed refunded'
make
fourth=$ORDER
paid "$fourth"
stock "$fourth" released
check 'stock that could not be had cancels' until_true 10 is_now "$fourth" cancelled
stock "$fourth" committed
refunded "$fourth" 1500
given_back() { [ "$(sql order "SELECT refunded FROM orders WHERE id = '$1'")" = "$2" ]; }
check 'the money comes back' until_true 10 given_back "$fourth" 1500
is 'and it stays cancelled' "$(status "$fourth")" cancelled
make
fifth=$ORDER
fact payment.failed "$fifth" '"amount":1500,"reason":"card_expired"'
check 'a failed payment ends it' until_true 10 is_now "$fifth" payment_failed
is 'which is told as its end' "$(told "$fifth" order.cancelled)" 1
paid "$(uuid)"
refunded "$second" 200
refunded "$second" 100
check 'a part comes back' until_true 10 is_now "$second" partially_refunded
refunded "$second" 1500
check 'then the rest' until_true 10 is_now "$second" refunded
is 'older sums change nothing' "$(path "$second")" 'created paid confirmed partially_refunded refunded'

service_start order "PORT=$((PORT_BASE + 18))"
many=()
for i in {1..30}; do make && many+=("$ORDER"); done
for order in "${many[@]}"; do paid "$order"; done
for order in "${many[@]}"; do stock "$order" committed; done
all=$(printf "'%s'," "${many[@]}")
confirmed() { [ "$(sql order "SELECT count(*) FROM orders WHERE id IN (${all%,}) AND status = 'confirmed'")" = 30 ]; }
check 'two processes confirm them all' until_true 10 confirmed
service_stop "order-$((PORT_BASE + 18))"

# ---- people ----

move() { ask PATCH "$O/$1/status" "{\"status\":\"$2\"}" -H "$3" "${@:4}"; }
move "$first" shipped "$as_ann"
says 'a customer does not ship' 403
move "$first" nowhere "$as_sam"
says 'a status is one of the list' 422 '.errors[0].pointer == "/status"'
move "$one" cancelled "$as_sue"
says 'who sells a part does not decide' 403
ask POST "$O/$one/cancellation" '{"reason":"mine"}' -H "$as_sue"
says 'in any way' 403
move "$one" shipped "$as_ada"
says 'nor does staff skip steps' 409 '.code == "invalid_transition"' '.currentStatus == "created"' '.allowed == ["cancelled"]'
move "$first" paid "$as_sam"
says 'or state facts' 409 '.code == "invalid_transition"'
move "$first" shipped "$as_sam" -H 'If-Match: "1"'
says 'or act upon an old version' 412
move "$first" shipped "$as_sam"
says 'who sells all of it ships it' 200 '.status == "shipped"'
version=$(field .version)
is 'into its version' "$(sql order "SELECT version FROM orders WHERE id = '$first'") $(header ETag)" "$version \"$version\""
is 'and it is told' "$(told "$first" order.shipped)" 1
ask DELETE "$O/$first" - -H "$as_ann"
says 'then it is too late to cancel' 409 '.code == "invalid_transition"' '.allowed == ["completed"]'
ask PUT "$O/$first" "$address" -H "$as_ann"
says 'or to move' 409 '.code == "conflict"'
move "$first" completed "$as_cart"
says 'a service completes it' 200 '.status == "completed"'
is 'and it is told' "$(told "$first" order.completed)" 1
ask POST "$O/$one/cancellation" '{}' -H "$as_ann"
says 'a cancellation has a reason' 422 '.errors[0].pointer == "/reason"'
ask POST "$O/$one/cancellation" '{"reason":"changed my mind"}' -H "$as_eve"
says 'of the own order' 404
ask POST "$O/$one/cancellation" '{"reason":"changed my mind"}' -H "$as_ann" -H "Idempotency-Key: c-$run"
says 'the customer cancels' 200 '.status == "cancelled"' '.reason == "changed my mind"'
cancelled=$BODY
ask POST "$O/$one/cancellation" '{"reason":"changed my mind"}' -H "$as_ann" -H "Idempotency-Key: c-$run"
is 'the same key gives the same answer' "$STATUS $BODY $(header Idempotent-Replayed)" "200 $cancelled true"
is 'and it is told once' "$(told "$one" order.cancelled)" 1
ask GET "$O/$one/history" - -H "$as_ann"
says 'history knows who and why' 200 ".data[-1].actor == \"$ann\"" '.data[-1].reason == "changed my mind"' '.data[-1].from == "created"'
make
ask DELETE "$O/$ORDER" - -H "$as_ann"
says 'or by one word' 200 '.reason == "Cancelled by the customer"'

ends=''
for i in {1..8}; do
    make
    paid "$ORDER"
    stock "$ORDER" committed
    until_true 10 is_now "$ORDER" confirmed || true
    aim PATCH "$O/$ORDER/status" '{"status":"shipped"}' "$as_sam"
    aim DELETE "$O/$ORDER" '' "$as_ann"
    codes=$(volley)
    [ "$codes" = '1 200, 1 409' ] && [ "$(sql order "SELECT count(*) FROM order_history WHERE order_id = '$ORDER'")" = 4 ] || ends="$ends $codes"
done
is 'of a shipment and a cancellation at once one wins' "$ends" ''
make
for i in {1..10}; do aim DELETE "$O/$ORDER" '' "$as_ann"; done
is 'ten cancellations are one' "$(volley)" '1 200, 9 409'
is 'told once' "$(told "$ORDER" order.cancelled)" 1
published() { [ "$(sql order "SELECT count(*) FROM outbox WHERE published_at IS NULL")" = 0 ]; }
check 'all events are published' until_true 10 published
