#!/usr/bin/env bash
# RabbitMQ is away for half a minute while people buy. They notice nothing; what was to be told is told
# when it is back.
. tests/lib.sh

product 200 1000
shopper kim
checkout_until() {
    while [ $EPOCHSECONDS -lt "$1" ]; do
        put "$SKU"
        checkout
        if [ "$STATUS" = 201 ]; then bought=$((bought + 1)); else refused="$refused $STATUS"; fi
        sleep 0.5
    done
}
bought=0 refused='' began=$EPOCHSECONDS
(rabbitmq_down) &
stopping=$!
checkout_until $((began + 30))
wait $stopping
is "all checkouts went through while the broker was away ($bought)" "$refused" ''
that "and there were some" test $bought -ge 20
is "nothing was told meanwhile" "$(sql order "SELECT count(*) > 0 FROM outbox WHERE published_at IS NULL")" t
(rabbitmq_up) >/dev/null
put "$SKU"
checkout
that "they go on when it is back" answered 201
bought=$((bought + 1))
all_confirmed() { sql_is order "SELECT count(*) FROM orders WHERE user_id = '$USER_ID' AND status = 'confirmed'" "$bought"; }
soon 40 "all of them are confirmed" all_confirmed
soon 5 "all of it is sold" stock_is "$SKU" "$((200 - bought)) 0 $bought"

(stop rabbitmq KILL 10)
put "$SKU"
checkout
that "a broker that is killed is not noticed either" answered 201
bought=$((bought + 1))
(rabbitmq_up) >/dev/null
soon 40 "and nothing is lost" all_confirmed
audit
