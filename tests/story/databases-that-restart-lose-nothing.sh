#!/usr/bin/env bash
# PostgreSQL and then Redis are restarted while people buy, in an orderly way and by force.
. tests/lib.sh

product 50000 1000
crowd 8
# Lines of a cart are committed without waiting for the disk: a crash may take the last half second of them.
EMPTY=''
# buyers SECONDS: eight shoppers who buy again and again, trying a failed checkout again with its key;
# each line of $WORK/bought is an order that was promised.
buyer() {
    local until=$((EPOCHSECONDS + $2)) key
    TOKEN=${CROWD_TOKENS[$1]} CARD=${CROWD_CARDS[$1]}
    WORK=$WORK/buyer$1
    mkdir -p "$WORK"
    while [ $EPOCHSECONDS -lt $until ]; do
        call POST /api/v1/cart/items "{\"sku\":\"$SKU\",\"quantity\":1}"
        case $STATUS in
        200) ;;
        409 | 503) sleep 0.1 && continue ;;
        *) echo "item $STATUS $(field .code)" >>"$WORK/../surprises" && continue ;;
        esac
        key=$(fresh_key)
        while [ $EPOCHSECONDS -lt $((until + 20)) ]; do
            checkout "$key"
            case $STATUS in
            201) echo "$ORDER" >>"$WORK/../bought" && break ;;
            409 | 503) echo "$STATUS $(field .code)" >>"$WORK/../refused" && sleep 0.1 ;;
            422) [ "$(field .code)" = "$EMPTY" ] || echo "$STATUS $(field .code)" >>"$WORK/../surprises" && break ;;
            *) echo "$STATUS $(field .code)" >>"$WORK/../surprises" && break ;;
            esac
        done
    done
}
buyers() {
    local i
    truncate -s 0 "$WORK/bought" "$WORK/refused" "$WORK/surprises"
    trap - EXIT
    for i in {0..7}; do buyer "$i" "$1" 2>/dev/null & done
    trap leave EXIT
}
lived() {
    wait
    is "nobody got a strange answer $1" "$(sort "$WORK/surprises" | uniq -c)" ''
    that "people bought ($(wc -l <"$WORK/bought") orders, $(wc -l <"$WORK/refused") times asked to wait)" test -s "$WORK/bought"
    sort -u "$WORK/bought" >"$WORK/promised"
    sql order "SELECT id FROM orders" | sort >"$WORK/kept"
    is "every promised order is there" "$(comm -23 "$WORK/promised" "$WORK/kept")" ''
    soon 30 "no checkout is left" no_live_checkouts
}

buyers 7
sleep 1
(postgres_down && postgres_up)
ready() { local svc; for svc in "${SERVICES[@]}"; do service_ready "$svc" 2>/dev/null || return 1; done; }
soon 15 "the services are ready again" ready
lived "while PostgreSQL restarted"

EMPTY=cart_empty
buyers 6
sleep 1
(stop postgres KILL 20 && postgres_up)
soon 15 "the services are ready after PostgreSQL was killed" ready
lived "while PostgreSQL was killed"
EMPTY=''

buyers 5
(redis_down && redis_up)
sleep 1
(stop redis KILL 5 && redis_up)
lived "while Redis was away"
is "Redis is not needed to buy" "$(grep -c ' ' "$WORK/refused")" 0
audit
