#!/usr/bin/env bash
# Half of the shoppers put A before B, half B before A. Nobody waits in a circle, nobody gets half.
. tests/lib.sh

product 150 300 && a=$SKU
product 120 200 && b=$SKU
crowd 200
for pass in 0 1; do
    for i in {0..199}; do
        TOKEN=${CROWD_TOKENS[i]}
        if ((i % 2 == pass)); then SKU=$a; else SKU=$b; fi
        aim POST /api/v1/cart/items "{\"sku\":\"$SKU\",\"quantity\":1}"
    done
    fire 16
    is "the carts are filled" "$(codes)" "200 200"
done
for i in {0..199}; do
    TOKEN=${CROWD_TOKENS[i]} CARD=${CROWD_CARDS[i]}
    aim POST /api/v1/cart/checkout "$(checkout_body)" "idempotency-key: $(fresh_key)"
done
fire 64
is "as many buy as there are pairs" "$(codes)" "120 201 80 409"
is "the others hear what is missing" "$(problems)" "80 out_of_stock"
soon 10 "A is sold in whole pairs" stock_is "$a" "30 0 120"
soon 10 "B is sold out" stock_is "$b" "0 0 120"
is "the database saw no deadlock" "$(sql seller "SELECT deadlocks FROM pg_stat_database WHERE datname = 'souk_seller'")" 0
for i in {0..199}; do
    TOKEN=${CROWD_TOKENS[i]}
    aim DELETE /api/v1/cart
done
fire 16
audit
