#!/usr/bin/env bash
# What a large shop costs against a small one: the same requests to two suites that ./souk grow has filled, by turns, round after
# round. One line of JSON, appended to bench/results/growth.jsonl, with the medians of the rounds and the large one's share of the small.
#   bench/growth.sh [--rounds N] [--orders N] [--products N]
#     --rounds              of both suites (4)
#     --orders, --products  of the large one (1000000 each); the small one has 5000 and 3000
# The suites are its own (folders .souk-bench-small and .souk-bench-large, or $SOUK_BENCH_SMALL and $SOUK_BENCH_LARGE; ports from 17080
# and 17100) and stay filled for the next time; KEEP=1 leaves them running.
#
# checkout: open loop, known shoppers buying random products of the whole catalogue; CPU of all services and of PostgreSQL until every
# event has been heard. Everything else: one request after the other on one connection; CPU of that service and of its processes in
# PostgreSQL. KINDS="search-common trending" asks for these only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=4 orders=1000000 products=1000000 requests=${REQUESTS:-300} rate=${RATE:-25} seconds=${SECONDS_OF_LOAD:-8}
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2 ;;
    --orders) orders=$2 ;;
    --products) products=$2 ;;
    *) sed -n '4,6s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift 2
done
export LOG_LEVEL=${LOG_LEVEL:-warn}
work=$(mktemp -d)
# shellcheck source=bench/cpu.sh
. bench/cpu.sh

# suite small|large: what comes after it is about that one (in a subshell, and tests/env.sh read in the same function: it declares).
suite() {
    case $1 in
    small) SOUK_STATE=${SOUK_BENCH_SMALL:-$PWD/.souk-bench-small} SOUK_PORT_BASE=${SOUK_BENCH_PORTS:-17080} ;;
    large) SOUK_STATE=${SOUK_BENCH_LARGE:-$PWD/.souk-bench-large} SOUK_PORT_BASE=$((${SOUK_BENCH_PORTS:-17080} + 20)) ;;
    esac
    export SOUK_STATE SOUK_PORT_BASE
}
# shellcheck disable=SC2317 # called by the trap
leave() {
    rm -rf "$work"
    [ -z "${KEEP:-}" ] || return 0
    (suite small && ./souk down >/dev/null) || true
    (suite large && ./souk down >/dev/null) || true
}
trap leave EXIT

grown() (
    # shellcheck source=tests/env.sh
    . tests/env.sh
    [ "$(admin_psql -At -d souk_seller -c "SELECT EXISTS (SELECT FROM products WHERE sku LIKE 'GROWN-%')")" = t ]
)

prepare() {
    suite "$1"
    # Before the suite's addresses are in the environment, where they would be those of servers of somebody else.
    ./souk up >/dev/null
    grown || ./souk grow --orders "$2" --products "$3" --yes
    # shellcheck source=tests/env.sh
    . tests/env.sh
    admin_psql -At -d souk_seller -c "SELECT sku FROM products WHERE sku LIKE 'GROWN-%' ORDER BY hashtext(sku) LIMIT 20000" >"$work/$1.skus"
    # The brands of products that both have.
    admin_psql -At -d souk_seller -c "SELECT DISTINCT split_part(name, ' ', 1) FROM products
        WHERE sku BETWEEN 'GROWN-00000000' AND 'GROWN-00002800' ORDER BY 1 LIMIT 40" >"$work/brands"
    for i in {2..31}; do echo "grown$i@souk.example souk-demo-2026"; done >"$work/accounts"
}

login() {
    curl -fsS --max-time 20 "$AUTH_SERVICE_URL/api/v1/auth/login" -H 'content-type: application/json' \
        -d "{\"email\":\"$1\",\"password\":\"souk-demo-2026\"}" | jq -r .accessToken
}

# cursor SERVICE QUERY: the cursor behind its one row, a time and an id. Made here, for walking to the middle of a list takes an hour.
cursor() {
    local place
    place=$(admin_psql -At -d "souk_$1" -c "SELECT (extract(epoch FROM created_at) * 1000000)::bigint || '|' || $2")
    printf '%s|%s' "$place" "$(printf %s "$place" | sha256sum | cut -c1-8)" | basenc --base64url -w 0 | tr -d =
}

# Every kind of request: its service, its token's owner, a list of paths.
kinds=(checkout orders-first orders-deep orders-filtered all-orders-first all-orders-deep products-first products-deep category search-brand search-common
    search-two search-none recommendations related-bestseller related-tail trending)
declare -A service=([orders-first]=order [orders-deep]=order [orders-filtered]=order [all-orders-first]=order [all-orders-deep]=order
    [products-first]=seller [products-deep]=seller [category]=seller [search-brand]=seller [search-common]=seller [search-two]=seller [search-none]=seller
    [recommendations]=aibuddy [related-bestseller]=aibuddy [related-tail]=aibuddy [trending]=aibuddy)

# paths KIND PRODUCTS: as many lines "token path" as requests
paths() {
    local token=- path='' i
    local -a tokens common=(lamp kettle tools classic oak)
    case $1 in
    orders-*) token=$(login grown1@souk.example) ;;
    all-orders-*) token=$(login admin@souk.example) ;;
    recommendations)
        for i in {2..31}; do tokens+=("$(login "grown$i@souk.example")"); done
        for ((i = 0; i < requests; i++)); do echo "${tokens[i % 30]} /api/v1/recommendations"; done
        return
        ;;
    esac
    case $1 in
    orders-first | all-orders-first) path=/api/v1/orders ;;
    orders-deep) path="/api/v1/orders?cursor=$(cursor order "id FROM orders WHERE user_id = '01900000-0000-7000-9000-000000000001'
        ORDER BY created_at DESC, id DESC OFFSET 900 LIMIT 1")" ;;
    orders-filtered) path='/api/v1/orders?status=cancelled' ;;
    all-orders-deep) path="/api/v1/orders?cursor=$(cursor order "id FROM orders ORDER BY created_at DESC, id DESC
        OFFSET (SELECT count(*) / 2 FROM orders) LIMIT 1")" ;;
    products-first) path=/api/v1/products ;;
    products-deep) path="/api/v1/products?cursor=$(cursor seller "sku FROM products WHERE sku = 'GROWN-00000700'")" ;;
    category) path='/api/v1/products?category=tools' ;;
    trending) path=/api/v1/trending ;;
    related-bestseller) path=/api/v1/products/GROWN-00000000/related ;;
    esac
    for ((i = 0; i < requests; i++)); do
        case $1 in
        search-brand) path="/api/v1/products?q=$(sed -n "$((i % 40 + 1))p" "$work/brands")" ;;
        search-two) path="/api/v1/products?q=$(sed -n "$((i % 40 + 1))p" "$work/brands")+classic" ;;
        search-common) path="/api/v1/products?q=${common[i % 5]}" ;;
        search-none) path="/api/v1/products?q=nothing$((i % 40))+oak" ;;
        related-tail) path=/api/v1/products/GROWN-$(printf %08d $(($2 / 3 + i % 50)))/related ;; # the better the lower their number
        esac
        echo "$token $path"
    done
}

# asked SUITE KIND: one line of JSON
asked() {
    suite "$1"
    # shellcheck source=tests/env.sh
    . tests/env.sh
    local svc=${service[$2]} url config=$work/$1.$2.curl size=3000 before_svc before_pg n
    [ "$1" = small ] || size=$products
    url=$(upper "$svc")_SERVICE_URL
    if [ ! -e "$config" ]; then
        paths "$2" "$size" | while read -r token path; do
            printf 'next\nsilent\nmax-time = 20\noutput = /dev/null\nwrite-out = "%%{http_code} %%{time_total}\\n"\nurl = "%s%s"\n' "${!url}" "$path"
            [ "$token" = - ] || printf 'header = "authorization: Bearer %s"\n' "$token"
        done >"$config"
    fi
    before_svc=$(cpu_us "$svc") before_pg=$(backends_us "$svc")
    curl -K "$config" >"$work/answers"
    n=$(grep -c '^200 ' "$work/answers") || true
    [ "$n" = "$(wc -l <"$work/answers")" ] || { sort "$work/answers" | cut -d' ' -f1 | uniq -c >&2 && die "$1 $2: not all were answered with 200"; }
    jq -cn --arg suite "$1" --arg kind "$2" --argjson svc $(($(cpu_us "$svc") - before_svc)) --argjson pg $(($(backends_us "$svc") - before_pg)) \
        --argjson n "$n" --slurpfile ms <(cut -d' ' -f2 "$work/answers" | sort -n) '
        {suite: $suite, kind: $kind, serviceUs: ($svc / $n), postgresUs: ($pg / $n), p50Ms: ($ms[$n / 2 | floor] * 1000),
         p99Ms: ($ms[$n * 99 / 100 | floor] * 1000)}'
}

bought() {
    suite "$1"
    # shellcheck source=tests/env.sh
    . tests/env.sh
    local before_svc before_pg run
    before_svc=$(cpu_of "${SERVICES[@]}") before_pg=$(cpu_us postgres)
    run=$(./souk load buy --direct --no-audit --rate "$rate" --duration "${seconds}s" --warmup 1s --accounts "$work/accounts" --shoppers 16 --skus "$work/$1.skus" --quiet --json -) ||
        { echo "$run" | jq -c . >&2; die "$1: the load was not answered as it should be"; }
    all_heard
    jq -c --arg suite "$1" --argjson svc $(($(cpu_of "${SERVICES[@]}") - before_svc)) --argjson pg $(($(cpu_us postgres) - before_pg)) '
        .series.checkout as $c | {suite: $suite, kind: "checkout", n: $c.good, serviceUs: ($svc / $c.good), postgresUs: ($pg / $c.good), p50Ms: $c.p50Ms, p99Ms: $c.p99Ms}' <<<"$run"
}

mkdir -p bench/results
(prepare small 5000 3000)
(prepare large "$orders" "$products")
[ -z "${KINDS:-}" ] || read -ra kinds <<<"$KINDS"
for ((round = 1; round <= rounds; round++)); do
    for kind in "${kinds[@]}"; do
        order=(small large)
        [ $((round % 2)) = 1 ] || order=(large small)
        for which in "${order[@]}"; do
            if [ "$kind" = checkout ]; then (bought "$which"); else (asked "$which" "$kind"); fi | tee -a "$work/lines" >&2
        done
    done
done
jq -cs --arg at "$(date -u +%FT%TZ)" --arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --argjson cores "$(nproc)" \
    --argjson load "$(cut -d' ' -f1 /proc/loadavg)" --argjson rounds "$rounds" --argjson orders "$orders" --argjson products "$products" '
    def median: sort | .[(length - 1) / 2 | floor] * 0.5 + .[length / 2 | floor] * 0.5;
    def round2: . * 100 | round / 100;
    def middle(w): map(select(.suite == w)) as $r | {serviceUs: ($r | map(.serviceUs) | median | round), postgresUs: ($r | map(.postgresUs) | median | round),
        p50Ms: ($r | map(.p50Ms) | median | round2), p99Ms: ($r | map(.p99Ms) | median | round2)};
    {at: $at, commit: $commit, cores: $cores, load: $load, rounds: $rounds, large: {orders: $orders, products: $products}, small: {orders: 5000, products: 3000},
     kinds: (group_by(.kind) | map({key: .[0].kind, value: (middle("small") as $s | middle("large") as $l | {small: $s, large: $l,
         cpuRatio: (($l.serviceUs + $l.postgresUs) / ($s.serviceUs + $s.postgresUs) | round2), p50Ratio: ($l.p50Ms / $s.p50Ms | round2)})}) | from_entries)}' \
    "$work/lines" | tee -a bench/results/growth.jsonl | jq -r '.kinds | to_entries[] | "\(.key): CPU \(.value.small.serviceUs + .value.small.postgresUs) -> \(.value.large.serviceUs + .value.large.postgresUs) us (\(.value.cpuRatio)), p50 \(.value.small.p50Ms) -> \(.value.large.p50Ms) ms (\(.value.p50Ratio))"'

(suite small && ./souk audit >&2)
(suite large && ./souk audit --wait 300 >&2)
