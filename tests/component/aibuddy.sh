#!/usr/bin/env bash
# aibuddy on real servers: it learns the same from events in any order and number, gives reasons,
# and forgets.
set -euo pipefail
. tests/component-lib.sh

service_start auth
service_start aibuddy
A=$AIBUDDY_SERVICE_URL/api/v1
run=$EPOCHSECONDS$$

account ann
ann=$ID as_ann=$(bearer "$ACCESS")
account bob
bob=$ID as_bob=$(bearer "$ACCESS")
account cid
cid=$ID as_cid=$(bearer "$ACCESS")

tell() { deliver ai-events-queue "$@"; }
# bought ORDER USER SKU... [@EVENT-ID]
bought() {
    local order=$1 user=$2 items='' event sku
    event=$(uuid)
    shift 2
    for sku in "$@"; do
        case $sku in @*) event=${sku#@} && continue ;; esac
        items+="${items:+,}{\"sku\":\"$sku-$run\",\"name\":\"Thing $sku\",\"sellerId\":\"$ann\",\"quantity\":2,\"unitPrice\":{\"amount\":5,\"currency\":\"USD\"}}"
    done
    tell order.created "$order" "{\"orderId\":\"$order\",\"userId\":\"$user\",\"userEmail\":\"a@people.example\",\"items\":[$items],\"totalAmount\":10,\"currency\":\"USD\"}" "$event"
}
cancelled() { tell order.cancelled "$1" "{\"orderId\":\"$1\",\"userId\":\"$ann\",\"status\":\"cancelled\"}" "${2:-$(uuid)}"; }
product() { # product SKU NAME STATUS [TIMESTAMP]
    tell product.updated "$1-$run" "{\"sku\":\"$1-$run\",\"sellerId\":\"$ann\",\"name\":\"$2\",\"category\":\"things\",\"status\":\"$3\",\"price\":{\"amount\":5,\"currency\":\"USD\"}}" "$(uuid)" "${4:-}"
}
# settled: everything told so far has been learned.
settled() {
    local mark
    mark=$(uuid)
    tell user.registered "$mark" "{\"userId\":\"$mark\",\"email\":\"m@people.example\"}"
    known() { [ "$(sql aibuddy "SELECT count(*) FROM profiles WHERE user_id = '$mark'")" = 1 ]; }
    until_true 10 known || die 'aibuddy does not hear'
}
pair() { sql aibuddy "SELECT coalesce(sum(orders), 0) FROM pair_counts WHERE sku_a = '$1-$run' AND sku_b = '$2-$run'"; }
day() { sql aibuddy "SELECT coalesce(sum(orders), 0) || '/' || coalesce(sum(units), 0) FROM daily_counts WHERE sku = '$1-$run'"; }
of_user() { sql aibuddy "SELECT coalesce(sum(orders), 0) FROM user_items WHERE user_id = '$1' AND sku = '$2-$run'"; }

# ---- learning ----

one=$(uuid) event=$(uuid)
bought "$one" "$ann" A B C "@$event"
bought "$one" "$ann" A B C "@$event"
bought "$one" "$ann" A B C
settled
is 'an order counts once however often it is told' "$(pair A B) $(day A) $(of_user "$ann" A)" '1 1/2 1'
two=$(uuid)
bought "$two" "$bob" A B
settled
is 'another one adds to it' "$(pair A B) $(day A)" '2 2/4'
cancelled "$two"
cancelled "$two"
settled
is 'a cancelled one is taken back once' "$(pair A B) $(day A) $(of_user "$bob" A)" '1 1/2 0'
bought "$two" "$bob" A B
settled
is 'and does not come back' "$(pair A B) $(day A)" '1 1/2'
three=$(uuid)
cancelled "$three"
bought "$three" "$bob" A B
cancelled "$three"
settled
is 'a cancellation may come first' "$(pair A B) $(day A) $(of_user "$bob" A)" '1 1/2 0'
four=$(uuid)
bought "$four" "$bob" D D E
settled
is 'two lines of one item are one' "$(pair D E) $(day D)" '1 1/4'

service_start aibuddy "PORT=$((PORT_BASE + 18))"
crowd=()
for i in {1..30}; do crowd+=("$(uuid)"); done
for i in {0..29}; do if ((i % 2)); then bought "${crowd[i]}" "$bob" X Y Z; else bought "${crowd[i]}" "$bob" Z Y X; fi; done
for i in {0..29..3}; do cancelled "${crowd[i]}"; done
for i in {0..29..5}; do bought "${crowd[i]}" "$bob" X Y Z; done
settled
exact() { [ "$(pair X Y) $(day Z)" = '20 20/40' ]; }
check 'two processes count as one' until_true 10 exact
is 'every order is counted or cancelled' "$(sql aibuddy "SELECT count(*) FROM known_orders WHERE counted = cancelled")" 0
service_stop "aibuddy-$((PORT_BASE + 18))"

# ---- names ----

product B 'Blue Kettle' active
product C 'Copper Pan' inactive 2026-01-02T00:00:00Z
product C 'Copper Pan' active 2026-01-01T00:00:00Z
settled
ask GET "$A/products/A-$run/related"
says 'what goes with an item is for everybody' 200 ".data[0].sku == \"B-$run\"" '.data[0].name == "Blue Kettle"' \
    '.data[0].count == 1' '.data[0].basedOn == "Thing A"' '.data[0].reason == "bought together with Thing A in 1 order"' \
    '.personal | not'
says 'without what is off the shelves' 200 ".data | map(.sku) == [\"B-$run\"]"
is 'for a short while from caches' "$(header Cache-Control)" 'public, max-age=5'
ask GET "$A/products/NONE-$run/related"
says 'of what nobody bought there is nothing' 200 '.data == []'
ask GET "$A/products/a%20b/related?limit=0"
says 'nonsense is named' 422 '[.errors[].pointer] | contains(["/sku"])'
ask GET "$A/trending?limit=101"
says 'limits are told' 422 '.errors[0].pointer == "/limit"'
ask GET "$A/trending?limit=100"
says 'what is wanted now is for everybody' 200 ".data | map(select(.sku == \"X-$run\")) | .[0].count == 20 and .[0].reason == \"in 20 orders of the last 7 days\""

# ---- recommending ----

ask GET "$A/recommendations"
says 'recommendations are for somebody' 401 '.code == "unauthenticated"'
ask GET "$A/recommendations" - -H "$as_cid"
says 'a stranger sees what everybody sees' 200 '.personal | not' '.data | length > 0'
bought "$(uuid)" "$cid" A
settled
ask GET "$A/recommendations" - -H "$as_cid"
says 'a customer what goes with the own things' 200 .personal ".data | map(.sku) == [\"B-$run\"]" '.data[0].reason | contains("Thing A")'
bought "$(uuid)" "$ann" D
settled
ask GET "$A/recommendations" - -H "$as_ann"
says 'and not what is at home already' 200 .personal ".data | map(.sku) == [\"E-$run\"]"
ask GET "$A/recommendations/preferences" - -H "$as_cid"
says 'nobody opted out unasked' 200 '.optOut == false'
ask PUT "$A/recommendations/preferences" '{"optOut":"yes"}' -H "$as_cid"
says 'the wish is true or false' 422 '.errors[0].pointer == "/optOut"'
ask PUT "$A/recommendations/preferences" '{}' -H "$as_cid"
says 'and said' 422 '.errors[0].pointer == "/optOut"'
ask PUT "$A/recommendations/preferences" '{"optOut":true}'
says 'by somebody' 401
ask PUT "$A/recommendations/preferences" '{"optOut":true}' -H "$as_cid"
says 'a customer opts out' 200 .optOut
ask GET "$A/recommendations" - -H "$as_cid"
says 'and sees what everybody sees' 200 '.personal | not'
tell user.registered "$cid" "{\"userId\":\"$cid\",\"email\":\"c@people.example\"}"
settled
ask GET "$A/recommendations/preferences" - -H "$as_cid"
says 'a late registration does not undo that' 200 .optOut
ask PUT "$A/recommendations/preferences" '{"optOut":false}' -H "$as_cid"
ask GET "$A/recommendations" - -H "$as_cid"
says 'and in again' 200 .personal

# ---- forgetting ----

late=$(uuid)
tell user.deactivated "$cid" "{\"userId\":\"$cid\",\"email\":\"c@people.example\"}"
tell user.created "$cid" "{\"userId\":\"$cid\",\"email\":\"c@people.example\"}"
bought "$late" "$cid" A B
settled
is 'who leaves is forgotten' "$(sql aibuddy "SELECT (SELECT count(*) FROM user_items WHERE user_id = '$cid') + (SELECT count(*) FROM known_orders WHERE user_id = '$cid')")" 0
is 'though what was bought still counts' "$(pair A B)" 2
cancelled "$late"
settled
is 'until it is cancelled' "$(pair A B)" 1
ask GET "$A/recommendations" - -H "$as_cid"
says 'nothing personal is left' 200 '.personal | not'
