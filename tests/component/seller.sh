#!/usr/bin/env bash
# seller on real servers: catalogue, stock, holds, the order's events, and that the books balance
# after many at once.
set -euo pipefail
. tests/component-lib.sh

service_start auth
service_start seller HOLD_TTL_S=600 HOLD_SWEEP_MS=200
S=$SELLER_SERVICE_URL/api/v1
I=$SELLER_SERVICE_URL/internal/v1
run=$EPOCHSECONDS$$
bearer() { printf 'Authorization: Bearer %s' "$1"; }
uuid() { sed 's/^\(.\{14\}\)./\17/' /proc/sys/kernel/random/uuid; }

# account NAME ROLE: sets ACCESS and ID.
account() {
    ask POST "$AUTH_SERVICE_URL/api/v1/auth/register" "{\"email\":\"$1.$run@shops.example\",
        \"password\":\"correct horse\",\"name\":\"$1\",\"role\":\"$2\"}"
    ACCESS=$(field .accessToken) ID=$(field .user.userId)
}
account ann seller
ann=$ID as_ann=$(bearer "$ACCESS")
account bob seller
bob=$ID as_bob=$(bearer "$ACCESS")
account eve user
as_eve=$(bearer "$ACCESS")
as_cart=$(bearer "$(service_token cart seller)")

# ---- sellers ----

product() { jq -n --arg s "$1" --argjson n "$2" '{sku: $s, name: "Blue Kettle", category: "kitchen",
    description: "Whistles.", price: {amount: 1900, currency: "USD"}, initialStock: $n}'; }
K=K-$run-1
ask POST "$S/products" "$(product "$K" 3)" -H "$as_ann"
says 'a product needs a seller profile first' 409 '.code == "seller_profile_required"'
ask POST "$S/sellers" '{"name":"Kettles"}' -H "$as_eve"
says 'a shopper makes no profile' 403
ask POST "$S/sellers" '{"name":"Kettles","description":"and pots"}' -H "$as_ann"
says 'a seller makes a profile' 201 ".sellerId == \"$ann\"" '.name == "Kettles"'
is 'it has its own address' "$(header Location)" "/api/v1/sellers/$ann"
ask POST "$S/sellers" '{"name":"Again"}' -H "$as_ann"
says 'but one only' 409 '.code == "seller_exists"'
ask POST "$S/sellers" '{"name":"Others"}' -H "$as_bob"
ask GET "$S/sellers/$ann"
says 'everybody sees a profile' 200 '.description == "and pots"'
ask PATCH "$S/sellers/$ann" '{"name":"Kettles & Co"}' -H "$as_ann"
says 'a change needs If-Match' 428
ask PATCH "$S/sellers/$ann" '{"name":"Kettles & Co"}' -H "$as_ann" -H 'If-Match: "7"'
says 'of the current version' 412
ask PATCH "$S/sellers/$ann" '{"name":"Mine"}' -H "$as_bob" -H 'If-Match: "1"'
says 'and of the own profile' 404
ask PATCH "$S/sellers/$ann" '{"name":"Kettles & Co"}' -H "$as_ann" -H 'If-Match: "1"'
says 'then it is made' 200 '.name == "Kettles & Co"' '.description == "and pots"' '.version == 2'

# ---- products ----

ask POST "$S/products" "$(product "$K" 3)" -H "$as_ann" -H "Idempotency-Key: k-$run"
says 'a product is added with its stock' 201 ".sku == \"$K\"" '.available == 3' '.status == "active"'
ask POST "$S/products" "$(product "$K" 3)" -H "$as_ann" -H "Idempotency-Key: k-$run"
says 'the same key gives the same answer' 201 '.available == 3'
is 'and says so' "$(header Idempotent-Replayed)" true
ask POST "$S/products" "$(product "$K" 3)" -H "$as_bob"
says 'a SKU is taken once' 409 '.code == "sku_taken"'
ask POST "$S/products" '{"sku":"a b","name":"X","category":"","price":{"amount":0,"currency":"USD"}}' -H "$as_ann"
says 'every bad field is named' 422 '[.errors[].pointer] | contains(["/sku", "/category"])'
ask GET "$S/products/$K"
says 'everybody sees a product' 200 '.price.amount == 1900'
is 'with its version' "$(header ETag)" '"1"'
is 'for a short while from caches' "$(header Cache-Control)" 'public, max-age=5'
ask PATCH "$S/products/$K" '{"price":{"amount":2100,"currency":"USD"}}' -H "$as_ann"
says 'a change needs If-Match' 428 '.code == "precondition_required"'
ask PATCH "$S/products/$K" '{"price":{"amount":2100,"currency":"USD"}}' -H "$as_ann" -H 'If-Match: "9"'
says 'of the current version' 412 '.code == "precondition_failed"'
ask PATCH "$S/products/$K" '{"price":{"amount":1,"currency":"USD"}}' -H "$as_bob" -H 'If-Match: "1"'
says 'and of an own product' 404
ask PATCH "$S/products/$K" '{"price":{"amount":2100,"currency":"USD"}}' -H "$as_ann" -H 'If-Match: "1"'
says 'then the price changes alone' 200 '.price.amount == 2100' '.name == "Blue Kettle"' '.version == 2'
ask PUT "$S/products/$K" '{"name":"Red Kettle"}' -H "$as_ann" -H 'If-Match: "2"'
says 'a replacement is complete' 422
ask PUT "$S/products/$K" '{"name":"Red Kettle","category":"kitchen","price":{"amount":2000,"currency":"USD"},"status":"active"}' \
    -H "$as_ann" -H 'If-Match: "2"'
says 'and replaces all' 200 '.name == "Red Kettle"' '.description == ""' '.version == 3'
events() { sql seller "SELECT count(*) FROM outbox WHERE type = '$1' AND aggregate_id = '$2'"; }
is 'each change was told once' "$(events product.updated "$K")" 3

ask POST "$S/products" "$(product "K-$run-2" 1 | jq '.name = "Copper Samovar"')" -H "$as_ann"
ask POST "$S/products" "$(product "K-$run-3" 1 | jq '.name = "Copper Samovar, large"')" -H "$as_ann"
ask GET "$S/products?q=samovars&sellerId=$ann&limit=1"
says 'search knows word forms' 200 '.data | length == 1' '.hasMore' '.nextCursor | length > 0'
first=$(field '.data[0].sku') cursor=$(field .nextCursor)
ask GET "$S/products?q=samovars&sellerId=$ann&limit=1&cursor=$cursor"
says 'and goes on behind its cursor' 200 '.data | length == 1' '.hasMore | not' ".data[0].sku != \"$first\""
ask GET "$S/products?category=kitchen&sellerId=$ann&limit=2"
says 'a list is newest first' 200 ".data[0].sku == \"K-$run-3\"" ".data[1].sku == \"K-$run-2\"" .hasMore
ask GET "$S/products?category=kitchen&sellerId=$ann&limit=2&cursor=$(field .nextCursor)"
says 'and ends' 200 ".data[0].sku == \"$K\"" '.nextCursor == null'
ask GET "$S/products?cursor=forged"
says 'a forged cursor is refused' 422 '.errors[0].pointer == "/cursor"'
ask DELETE "$S/products/K-$run-3" - -H "$as_bob"
says "others' products can't be taken away" 404
ask DELETE "$S/products/K-$run-3" - -H "$as_ann"
says 'a product is taken off the shelves' 204
ask GET "$S/products/K-$run-3"
says 'then it is hidden' 404
ask GET "$S/products/K-$run-3" - -H "$as_ann"
says 'but not from its seller' 200 '.status == "inactive"'
ask GET "$S/products?q=samovars&sellerId=$ann"
says 'nor found' 200 '.data | length == 1'

# ---- stock ----

ask GET "$S/inventory/$K" - -H "$as_ann"
says 'a level has three buckets' 200 '.onHand == 3' '.available == 3' '.held == 0' '.committed == 0' .low
ask GET "$S/inventory/$K" - -H "$as_bob"
says 'which only its seller sees' 404
ask POST "$S/inventory/$K/adjustments" '{"delta":17,"reason":"delivery","note":"two boxes"}' -H "$as_ann"
says 'a delivery adds units' 201 '.onHand == 20' '.available == 20' '.low | not'
ask POST "$S/inventory/$K/adjustments" '{"delta":-21,"reason":"lost"}' -H "$as_ann"
says 'no more can be lost than is there' 409 '.code == "stock_too_low"' '.available == 20'
ask POST "$S/inventory/$K/adjustments" '{"delta":0,"reason":"x"}' -H "$as_ann"
says 'an adjustment changes something' 422 '.errors[0].pointer == "/delta"'
ask GET "$S/inventory/$K/movements?limit=1" - -H "$as_ann"
says 'the newest movement is the delivery' 200 '.data[0].kind == "adjusted"' '.data[0].onHand == 17' \
    '.data[0].reason == "delivery"' ".data[0].actor == \"$ann\"" .hasMore
ask GET "$S/inventory/$K/movements?limit=1&cursor=$(field .nextCursor)" - -H "$as_ann"
says 'the oldest is what it began with' 200 '.data[0].kind == "initial"' '.hasMore | not'
ask POST "$S/products" '{"sku":"..","name":"Dots","category":"things","price":{"amount":100,"currency":"USD"},"initialStock":1}' -H "$as_ann"
says 'nothing is sold that no path could name' 422 '.errors[0].pointer == "/sku"'
made() { printf '%s|%s' "$1" "$(printf %s "$1" | sha256sum | cut -c1-8)" | basenc --base64url -w 0 | tr -d =; }
ask GET "$S/inventory/$K/movements?cursor=$(made 9223372036854775807)" - -H "$as_ann"
says 'a place beyond all of them is one before them' 200 '.data | length == 2'
for cursor in "$(made "-9223372036854775808|$K")" "$(made $'1|\xff')"; do
    ask GET "$S/products?cursor=$cursor"
    says 'a cursor that nobody gave is refused' 422 '.errors[0].pointer == "/cursor"'
done
ask PUT "$S/inventory/$K/threshold" '{"threshold":3}' -H "$as_ann"
told=$(field .updatedAt)
ask GET "$S/inventory/$K" - -H "$as_ann"
is 'a change tells its own time' "$(field .updatedAt)" "$told"
is 'a movement stays as it is' "$(sql seller "UPDATE stock_movements SET available = 9" 2>&1 | grep -c append-only)" 1
ask PUT "$S/inventory/$K/threshold" '{"threshold":18}' -H "$as_ann"
says 'a threshold is set' 200 '.threshold == 18'
ask GET "$S/inventory?low=true" - -H "$as_ann"
says 'what is low is listed' 200 "[.data[].sku] == [\"K-$run-2\", \"K-$run-3\"]"
ask PUT "$S/inventory/$K/threshold" '{"threshold":20}' -H "$as_ann"
ask PUT "$S/inventory/$K/threshold" '{"threshold":20}' -H "$as_ann"
is 'reaching the threshold is told once' "$(events inventory.low_stock "$K")" 1
ask POST "$S/inventory/$K/adjustments" '{"delta":5,"reason":"delivery"}' -H "$as_ann"
is 'rising a little above is not told' "$(events inventory.back_in_stock "$K")" 0
ask POST "$S/inventory/$K/adjustments" '{"delta":1,"reason":"delivery"}' -H "$as_ann"
is 'rising clearly above is' "$(events inventory.back_in_stock "$K")" 1
ask POST "$S/inventory/$K/adjustments" '{"delta":-6,"reason":"counted"}' -H "$as_ann"
ask PUT "$S/inventory/$K/threshold" '{"threshold":0}' -H "$as_ann"

# ---- holds ----

hold() { # hold ORDER SKU QUANTITY [SKU QUANTITY...]
    local order=$1 items=''
    shift
    while [ $# -gt 0 ]; do items+="${items:+,}{\"sku\":\"$1\",\"quantity\":$2}" && shift 2; done
    ask POST "$I/holds" "{\"orderId\":\"$order\",\"userId\":\"$ann\",\"items\":[$items]}" -H "$as_cart"
}
levels() { sql seller "SELECT string_agg(available || '/' || held || '/' || committed, ' ' ORDER BY sku) FROM stock WHERE sku IN ('$K', 'K-$run-2')"; }
state() { sql seller "SELECT state FROM holds WHERE order_id = '$1'"; }

ask POST "$I/holds" '{}' -H "$as_ann"
says 'holds are for services' 403
one=$(uuid)
hold "$one" "K-$run-2" 1 "$K" 4
says 'a hold takes all lines, at their prices' 201 ".orderId == \"$one\"" '.expiresAt | length > 0' \
    ".items[0] == {sku: \"$K\", name: \"Red Kettle\", sellerId: \"$ann\", quantity: 4, unitPrice: {amount: 2000, currency: \"USD\"}}" \
    '.items | length == 2'
is 'from what is available' "$(levels)" '16/4/0 0/1/0'
said=$(field '.expiresAt, (.items | tostring)')
hold "$one" "K-$run-2" 1 "$K" 4
says 'a repeat gives the same answer' 201
is 'word for word' "$(field '.expiresAt, (.items | tostring)')" "$said"
is 'and takes nothing more' "$(levels)" '16/4/0 0/1/0'
two=$(uuid)
hold "$two" "$K" 1 "K-$run-2" 1
says 'all lines or none' 409 '.code == "out_of_stock"' ".lines == [{sku: \"K-$run-2\", requested: 1, available: 0}]"
is 'leaves all as it was' "$(levels)" '16/4/0 0/1/0'
hold "$two" "$K" 9 "$K" 9
says 'lines of one product are added up' 409 ".lines == [{sku: \"$K\", requested: 18, available: 16}]"
hold "$two" "$K" 1 "K-$run-3" 1 "NO-SUCH-$run" 1
says 'what is not on the shelves is named' 409 '.code == "product_unavailable"' "[.lines[].sku] == [\"K-$run-3\", \"NO-SUCH-$run\"]"
ask DELETE "$I/holds/$one" - -H "$as_cart"
says 'a hold is released' 204
is 'and its stock is back' "$(levels)" '20/0/0 1/0/0'
ask DELETE "$I/holds/$one" - -H "$as_cart"
says 'again changes nothing' 204
is 'nothing' "$(levels)" '20/0/0 1/0/0'
hold "$one" "$K" 1
says 'a released hold is not taken again' 409 '.code == "hold_released"'
ask DELETE "$I/holds/$two" - -H "$as_cart"
says 'a hold that never was can be released' 204
hold "$two" "$K" 1
says 'and then never is' 409 '.code == "hold_released"'
ask GET "$I/prices?sku=$K,NO-SUCH,K-$run-3" - -H "$as_cart"
says 'prices leave out what is unknown' 200 "[.data[].sku] == [\"$K\", \"K-$run-3\"]" '.data[0].price.amount == 2000' \
    '.data[0].available == 20' '.data[1].status == "inactive"'

three=$(uuid)
hold "$three" "$K" 2
sql seller "UPDATE holds SET expires_at = now() WHERE order_id = '$three'"
released() { [ "$(state "$three")" = released ]; }
check 'a hold runs out by itself' until_true 5 released
is 'and its stock is back' "$(levels)" '20/0/0 1/0/0'

bad=$(uuid) good=$(uuid)
hold "$bad" "$K" 2
hold "$good" "K-$run-2" 1
sql seller "UPDATE stock SET held = 0 WHERE sku = '$K'"
sql seller "UPDATE holds SET expires_at = now() - interval '1 min' WHERE order_id = '$bad'"
sql seller "UPDATE holds SET expires_at = now() WHERE order_id = '$good'"
is_now() { [ "$(state "$1")" = "$2" ]; }
check 'one that the books refuse to release keeps up no other' until_true 5 is_now "$good" released
is 'and stays' "$(state "$bad")" held
sql seller "UPDATE stock SET held = 2 WHERE sku = '$K'"
check 'until the books are right' until_true 5 is_now "$bad" released
is 'everything is back' "$(levels)" '20/0/0 1/0/0'

# ---- events ----

# tell TYPE ORDER PAYLOAD [EVENT ID]
tell() {
    local body
    body=$(jq -nc --arg t "$1" --arg o "$2" --argjson p "$3" --arg id "${4:-$(uuid)}" '{eventId: $id,
        eventType: $t, type: $t, eventVersion: "1.0", timestamp: (now | todate), source: "order-service",
        aggregateId: $o, correlationId: "test", payload: $p}')
    management POST /api/exchanges/%2f/order-events/publish -d "$(jq -nc --arg t "$1" --arg b "$body" \
        '{routing_key: $t, payload: $b, payload_encoding: "string", properties: {type: $t, delivery_mode: 2}}')" >/dev/null
}
created() { # created ORDER SKU QUANTITY [EVENT ID]
    tell order.created "$1" "{\"orderId\":\"$1\",\"userId\":\"$ann\",\"userEmail\":\"a@b.example\",
        \"items\":[{\"sku\":\"$2\",\"name\":\"X\",\"sellerId\":\"$ann\",\"quantity\":$3,\"unitPrice\":{\"amount\":2000,\"currency\":\"USD\"}}],
        \"totalAmount\":2000,\"currency\":\"USD\"}" "${4:-$(uuid)}"
}
became() { tell "order.$2" "$1" "{\"orderId\":\"$1\",\"userId\":\"$ann\",\"status\":\"$2\"}"; }
told() { sql seller "SELECT string_agg(body::json->'payload'->>'reason', ' ' ORDER BY seq) FROM outbox WHERE type = 'inventory.updated' AND aggregate_id = '$1'"; }

four=$(uuid) event=$(uuid)
hold "$four" "$K" 3
created "$four" "$K" 3 "$event"
created "$four" "$K" 3 "$event"
created "$four" "$K" 3
check 'order.created commits the hold' until_true 10 is_now "$four" committed
is 'out of what was held' "$(levels)" '17/0/3 1/0/0'
became "$four" cancelled
check 'order.cancelled restocks it' until_true 10 is_now "$four" restocked
is 'to what is available' "$(levels)" '20/0/0 1/0/0'
is 'each was told once' "$(told "$four")" 'committed restocked'

five=$(uuid)
became "$five" cancelled
check 'a cancellation may come first' until_true 10 is_now "$five" released
created "$five" "$K" 1
six=$(uuid)
hold "$six" "$K" 1
became "$six" cancelled
check 'order.cancelled releases what was only held' until_true 10 is_now "$six" released
is 'and the late creation takes nothing' "$(levels)" '20/0/0 1/0/0'

created "$three" "$K" 2
check 'an order whose hold ran out takes its stock anew' until_true 10 is_now "$three" committed
seven=$(uuid)
created "$seven" "K-$run-2" 1
check 'so does one without a hold' until_true 10 is_now "$seven" committed
eight=$(uuid)
created "$eight" "K-$run-2" 1
refused() { [ "$(told "$eight")" = released ]; }
check 'where nothing is left the order is told so' until_true 10 refused
is 'and nothing is taken' "$(levels)" '18/0/2 0/0/1'
became "$seven" completed
check 'order.completed ships the goods' until_true 10 is_now "$seven" shipped
is 'out of the house' "$(levels)" '18/0/2 0/0/0'
nine=$(uuid)
became "$nine" completed
created "$nine" "$K" 1
check 'a completion that comes first waits for its order' until_true 15 is_now "$nine" shipped
is 'and then takes the goods' "$(levels)" '17/0/2 0/0/0'
is 'a sold out product was told once' "$(events inventory.low_stock "K-$run-2")" 1

# ---- many at once ----

# volley FILE: all requests of a curl configuration in parallel; how many of which status.
volley() { curl -sZ --parallel-immediate --parallel-max 40 -K "$1" 2>/dev/null | sort | uniq -c | awk '{ printf "%s%s %s", n++ ? ", " : "", $1, $2 }'; }
request() { # request BODY
    printf 'next\nurl = "%s/holds"\nheader = "%s"\nheader = "Content-Type: application/json"\ndata-binary = "%s"\noutput = "/dev/null"\nwrite-out = "%%{http_code}\\n"\nmax-time = 20\n' \
        "$I" "$as_cart" "${1//\"/\\\"}"
}
L=L-$run
ask POST "$S/products" "$(product "$L" 1)" -H "$as_ann"
for _ in {1..200}; do request "{\"orderId\":\"$(uuid)\",\"items\":[{\"sku\":\"$L\",\"quantity\":1}]}"; done | sed 1d >"$SCRATCH/last"
is 'two hundred come for the last unit and one gets it' "$(volley "$SCRATCH/last")" '1 201, 199 409'
for letter in A B C; do ask POST "$S/products" "$(product "M-$run-$letter" 50)" -H "$as_ann"; done
orders=("A B" "B A" "C A" "A C" "B C" "C B")
for i in {1..120}; do
    read -r x y <<<"${orders[i % 6]}"
    request "{\"orderId\":\"$(uuid)\",\"items\":[{\"sku\":\"M-$run-$x\",\"quantity\":1},{\"sku\":\"M-$run-$y\",\"quantity\":1}]}"
done | sed 1d >"$SCRATCH/crossed"
sold=$(volley "$SCRATCH/crossed")
check "carts in any order do not block each other ($sold)" grep -qxE '[0-9]+ 201, [0-9]+ 409' <<<"$sold"
is 'and none is refused that could be served' "$(sql seller "SELECT count(*) <= 1 FROM stock WHERE sku LIKE 'M-$run-%' AND available > 0")" t
same=$(uuid)
for _ in {1..40}; do request "{\"orderId\":\"$same\",\"items\":[{\"sku\":\"$K\",\"quantity\":1}]}"; done | sed 1d >"$SCRATCH/same"
is 'forty of one order get one hold' "$(volley "$SCRATCH/same") $(levels)" '40 201 16/1/2 0/0/0'

# ---- a process that dies ----

# dies FAULT: a second process takes a hold and dies at that point.
dies() {
    local port=$((PORT_BASE + 18))
    service_start seller "PORT=$port" "SOUK_FAULT=$1"
    dead=$(uuid)
    I=http://127.0.0.1:$port/internal/v1 hold "$dead" "$K" 2
    is "a process dies at $1" "${STATUS%% *}" none
    service_stop "seller-$port"
}
if grep -q hold_after_commit "$(service_binary seller)"; then
    before=$(levels)
    dies hold_before_commit
    is 'before the commit nothing has happened' "$(state "$dead") $(levels)" " $before"
    dies hold_after_commit
    hold "$dead" "$K" 2
    says 'after it the retry finds the hold' 201 '.items[0].quantity == 2'
    is 'which was taken once' "$(levels)" "$(awk -F'[/ ]' '{ printf "%d/%d/%s %s", $1 - 2, $2 + 2, $3, substr($0, index($0, " ") + 1) }' <<<"$before")"
fi

# ---- deactivation ----

ask POST "$S/products" "$(product "B-$run" 1)" -H "$as_bob"
tell user.deactivated "$bob" "{\"userId\":\"$bob\",\"email\":\"bob@shops.example\"}"
hidden() { ask GET "$S/products/B-$run" && [ "$STATUS" = 404 ]; }
check "a deactivated user's products leave the shelves" until_true 10 hidden
is 'which is told' "$(events product.updated "B-$run")" 2

# ---- the books ----

is 'no level is below 0' "$(sql seller "SELECT count(*) FROM stock WHERE least(available, held, committed) < 0")" 0
is 'levels are the sums of their movements' "$(sql seller "SELECT count(*) FROM stock s LEFT JOIN
    (SELECT sku, sum(available) a, sum(held) h, sum(committed) c FROM stock_movements GROUP BY sku) m USING (sku)
    WHERE (s.available, s.held, s.committed) IS DISTINCT FROM (coalesce(m.a, 0), coalesce(m.h, 0), coalesce(m.c, 0))")" 0
is 'what is held and committed is what holds say' "$(sql seller "SELECT count(*) FROM stock s LEFT JOIN
    (SELECT l.sku, sum(l.quantity) FILTER (WHERE h.state = 'held') h, sum(l.quantity) FILTER (WHERE h.state = 'committed') c
        FROM hold_lines l JOIN holds h USING (order_id) GROUP BY l.sku) x USING (sku)
    WHERE (s.held, s.committed) IS DISTINCT FROM (coalesce(x.h, 0), coalesce(x.c, 0))")" 0
published() { [ "$(sql seller "SELECT count(*) FROM outbox WHERE published_at IS NULL")" = 0 ]; }
check 'all events are published' until_true 10 published
