# shellcheck shell=bash
# shellcheck disable=SC2154 # what tools/bench sets
# Accounts and items that are the same for everybody who measures: bench1@load.example and so on, BENCH-1 and so on.

SHOP_PASSWORD='correct horse bench'

# volley FILE STATUS: sends what FILE aims at (curl's configuration), four at once; all must be answered with STATUS. A shop
# that has too much to do is asked again.
volley() {
    local answers
    answers=$(curl -Z --parallel-max 4 -K "$1" 2>"$work/volley.err" | sort | uniq -c | tr -s ' \n' ' ')
    case $answers in *[0-9]' '*[0-9]' '*[0-9]*) ;; *" $2 ") return ;; esac
    die "what should be answered with $2 was answered (how often, what):$answers $(grep -hs -m 1 '"status":[45]' "$work"/shot.* | tail -n 1 | head -c 300)"
}

# aim N METHOD URL BODY [HEADER...]: a request of a volley, whose answer will be in $work/shot.N
aim() {
    local n=$1 method=$2 url=$3 body=$4 header
    shift 4
    [ "$n" = 1 ] || echo next
    printf 'url = "%s"\nrequest = "%s"\noutput = "%s/shot.%d"\nwrite-out = "%%{http_code}\\n"\nmax-time = 30\nretry = 30\nretry-delay = 1\nsilent\n' "$url" "$method" "$work" "$n"
    printf 'header = "Content-Type: application/json"\ndata-binary = "%s"\n' "${body//\"/\\\"}"
    for header in "$@"; do printf 'header = "%s"\n' "$header"; done
}

shop_make() {
    local n seller
    local -A url
    for n in auth seller payment; do url[$n]=$(service_url $n); done
    aim 1 POST "${url[auth]}/api/v1/auth/register" "{\"email\":\"seller@load.example\",\"password\":\"$SHOP_PASSWORD\",\"name\":\"Seller\",\"role\":\"seller\"}" >"$work/volley"
    volley "$work/volley" 201
    seller=$(jq -r .accessToken "$work/shot.1")
    aim 1 POST "${url[seller]}/api/v1/sellers" '{"name":"Bench"}' "Authorization: Bearer $seller" >"$work/volley"
    volley "$work/volley" 201
    for ((n = 1; n <= SHOP_ITEMS; n++)); do
        aim $n POST "${url[seller]}/api/v1/products" "{\"sku\":\"BENCH-$n\",\"name\":\"Item $n\",\"category\":\"bench\",\"price\":{\"amount\":$((100 + n * 37 % 9900)),\"currency\":\"USD\"},\"initialStock\":1000000}" \
            "Authorization: Bearer $seller"
    done >"$work/volley"
    volley "$work/volley" 201
    for ((n = 1; n <= SHOP_USERS; n++)); do
        aim $n POST "${url[auth]}/api/v1/auth/register" "{\"email\":\"bench$n@load.example\",\"password\":\"$SHOP_PASSWORD\",\"name\":\"Bench $n\",\"role\":\"user\"}"
    done >"$work/volley"
    volley "$work/volley" 201
    SHOP_TOKENS=('')
    for ((n = 1; n <= SHOP_USERS; n++)); do SHOP_TOKENS+=("$(jq -r .accessToken "$work/shot.$n")"); done
    for ((n = 1; n <= SHOP_USERS; n++)); do
        aim $n POST "${url[payment]}/api/v1/payment-methods" '{"token":"tok_visa"}' "Authorization: Bearer ${SHOP_TOKENS[n]}"
    done >"$work/volley"
    volley "$work/volley" 201
    SHOP_CARDS=('')
    for ((n = 1; n <= SHOP_USERS; n++)); do SHOP_CARDS+=("$(jq -r .paymentMethodId "$work/shot.$n")"); done
}

# shop_visit FIRST LAST: an item into the cart and a checkout, by each of these users.
shop_visit() {
    local n i cart
    cart=$(service_url cart)
    for ((n = $1, i = 1; n <= $2; n++, i++)); do
        aim $i POST "$cart/api/v1/cart/items" "{\"sku\":\"BENCH-$n\",\"quantity\":1}" "Authorization: Bearer ${SHOP_TOKENS[n]}"
    done >"$work/volley"
    volley "$work/volley" 200
    for ((n = $1, i = 1; n <= $2; n++, i++)); do
        aim $i POST "$cart/api/v1/cart/checkout" "{\"paymentMethodId\":\"${SHOP_CARDS[n]}\"}" "Authorization: Bearer ${SHOP_TOKENS[n]}" \
            "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"
    done >"$work/volley"
    volley "$work/volley" 201
}
