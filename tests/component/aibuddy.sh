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
# weekly: how many items' weeks are not the sum of their days.
weekly() {
    sql aibuddy "SELECT count(*) FROM (SELECT sku, sum(orders) AS orders FROM daily_counts WHERE day > (SELECT today - 7 FROM week)
        GROUP BY sku) d FULL JOIN week_counts w USING (sku) WHERE d.orders IS DISTINCT FROM w.orders"
}
week() { sql aibuddy "SELECT coalesce(sum(orders), 0) FROM week_counts WHERE sku = '$1-$run'"; }
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

# ---- the week ----

is 'a week is the sum of its days' "$(week X) $(week Y) $(weekly)" '20 20 0'
# sold_on DAYS-AGO ORDER SKU: an order of that day
sold_on() {
    tell order.created "$2" "{\"orderId\":\"$2\",\"userId\":\"$bob\",\"userEmail\":\"a@people.example\",\"items\":[{\"sku\":\"$3-$run\",\"name\":\"Thing $3\",
        \"sellerId\":\"$ann\",\"quantity\":1,\"unitPrice\":{\"amount\":5,\"currency\":\"USD\"}}],\"totalAmount\":5,\"currency\":\"USD\"}" "$(uuid)" "$(date -u -d "-$1 days" +%FT12:00:00Z)"
}
early=$(uuid) last_week=$(uuid)
sold_on 6 "$early" OLD
sold_on 7 "$last_week" GONE
settled
is 'seven days are in it, today included' "$(day OLD) $(week OLD), $(day GONE) $(week GONE)" '1/1 1, 1/1 0'
cancelled "$early"
settled
is 'a day that is taken back is not' "$(week OLD) $(weekly)" '0 0'
# As it was yesterday, when that day was still in it.
yesterday() {
    sql aibuddy "BEGIN; SELECT pg_advisory_xact_lock(hashtext('aibuddy learns')); UPDATE week SET today = (now() AT TIME ZONE 'UTC')::date - 1;
        DELETE FROM week_counts; INSERT INTO week_counts SELECT sku, sum(orders) FROM daily_counts WHERE day > (SELECT today - 7 FROM week)
        GROUP BY sku; SELECT orders FROM week_counts WHERE sku = 'GONE-$run'; COMMIT"
}
is 'yesterday it still was' "$(yesterday | tail -n 1)" 1
bought "$(uuid)" "$bob" NEXT
settled
is 'who learns on a new day turns the week' "$(week GONE) $(week NEXT) $(weekly)" '0 1 0'
yesterday >/dev/null
turned() { ask GET "$A/trending?limit=100" && [ "$(week GONE)" = 0 ]; }
check 'so does who asks what sells' until_true 60 turned
is 'and nothing else is lost by it' "$(week X) $(weekly)" '20 0'
ask GET "$A/trending?limit=100"
says 'what is over is not shown' 200 ".data | map(.sku) | index(\"GONE-$run\") == null"

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

# ---- the strongest ----

# Two things with fifty neighbours each, to either side of them in the alphabet; every seventh neighbour is off the shelves.
account dee
dee=$ID as_dee=$(bearer "$ACCESS")
sql aibuddy "INSERT INTO pair_counts SELECT least(m, n), greatest(m, n), 1 + (i * 7 + length(m) * 11) % 13
        FROM (VALUES ('M-$run'), ('MM-$run')) t (m), (SELECT i, chr(65 + i % 26) || 'N' || i || '-$run' FROM generate_series(1, 50) i) u (i, n);
    INSERT INTO items (sku, name, active, told_at) SELECT chr(65 + i % 26) || 'N' || i || '-$run', 'Neighbour ' || i, i % 7 <> 0, now() FROM generate_series(1, 45) i;
    INSERT INTO user_items SELECT '$dee', sku, 1 FROM unnest(ARRAY['M-$run', 'MM-$run', 'ON40-$run', 'CN2-$run']) sku"
# strongest CONDITION LIMIT: what should be shown, as "SKU orders with; ...", after looking at all there is
strongest() {
    sql aibuddy "SELECT string_agg(format('%s %s %s', other, orders, mine), '; ' ORDER BY orders DESC, other) FROM (
        SELECT * FROM (SELECT DISTINCT ON (other) other, orders, mine FROM (SELECT sku_a AS mine, sku_b AS other, orders FROM pair_counts
            UNION ALL SELECT sku_b, sku_a, orders FROM pair_counts) p WHERE ($1)
            AND NOT EXISTS (SELECT FROM items WHERE sku = other AND NOT active) ORDER BY other, orders DESC, mine) d
        ORDER BY orders DESC, other LIMIT $2) s"
}
shown() { field '[.data[] | "\(.sku) \(.count) \(.basedOn)"] | join("; ")'; }
for limit in 1 7 100; do
    ask GET "$A/products/M-$run/related?limit=$limit"
    is "the strongest $limit of both sides go with an item" "$(shown)" "$(strongest "mine = 'M-$run'" $limit)"
    ask GET "$A/recommendations?limit=$limit" - -H "$as_dee"
    is "and of all that somebody bought, less that" "$(shown)" "$(strongest "mine IN (SELECT sku FROM user_items WHERE user_id = '$dee')
        AND other NOT IN (SELECT sku FROM user_items WHERE user_id = '$dee')" $limit)"
done

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
