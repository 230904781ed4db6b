# shellcheck shell=bash
# What component tests share:   . tests/component-lib.sh   (brings tests/env.sh along)
#   ask METHOD URL [BODY] [CURL ARGS...]    fills STATUS, BODY and HEAD; BODY '' or - sends none
#   says SENTENCE STATUS [JQ...]            the last answer has this status, and each filter is true
#   check SENTENCE COMMAND...               the command succeeds
#   service_start SVC [NAME=VALUE...]       runs it (another port by PORT=...), waits until ready
#   service_stop [SVC]                      ends it again; all of them at the end by themselves
#   account NAME ROLE                       a new user of auth: sets ACCESS (the token) and ID
#   ctl WORDS..., gives SENTENCE EXIT [JQ]  soukctl: EXIT, OUT and ERR tell; it ended so, and the filter is true
#   deliver QUEUE TYPE AGGREGATE PAYLOAD    an event into that queue alone; see there for the rest
#   aim METHOD URL [BODY] [HEADER...]       then  volley  sends all at once and tells "2 200, 1 409"
# Every check prints a line of TAP; the script's exit status is 1 when one of them was not ok.

. tests/env.sh

SCRATCH=$(mktemp -d)
STATUS='' BODY='' HEAD=''
_checks=0 _failures=0 _started=()

_end() {
    local status=$?
    trap - EXIT
    # shellcheck disable=SC2119 # all of them
    service_stop
    rm -rf "$SCRATCH"
    printf '1..%d\n' "$_checks"
    [ "$_failures" = 0 ] || status=1
    exit "$status"
}
trap _end EXIT

ok() { _checks=$((_checks + 1)) && printf 'ok %d - %s\n' "$_checks" "$1"; }

# Whatever failed, the last answer is often why.
not_ok() {
    _checks=$((_checks + 1)) _failures=$((_failures + 1))
    printf 'not ok %d - %s\n' "$_checks" "$1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/#   /'
    [ -z "$STATUS" ] || printf '#   last answer: %s %s\n' "$STATUS" "$(head -c 300 <<<"${BODY//$'\n'/ }")"
}

check() {
    local sentence=$1 output
    shift
    if output=$("$@" 2>&1); then ok "$sentence"; else not_ok "$sentence" "$* $output"; fi
}

# is SENTENCE VALUE WANTED
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "it is '$2', not '$3'"; fi; }

CTL=$SOUK_BUILD/src/soukctl

ctl() {
    EXIT=0
    OUT=$("$CTL" "$@" 2>"$SCRATCH/err") || EXIT=$?
    ERR=$(cat "$SCRATCH/err")
}

gives() {
    if [ "$EXIT" != "$2" ]; then
        not_ok "$1" "exit $EXIT, not $2: $OUT $ERR"
    elif [ -n "${3:-}" ] && ! jq -e "$3" >/dev/null <<<"$OUT"; then
        not_ok "$1" "not so: $3 in $OUT"
    else
        ok "$1"
    fi
}

ask() {
    local method=$1 url=$2 body=${3:-}
    local -a args=()
    shift 2
    [ $# = 0 ] || shift
    case $body in
    '' | -) case $method in POST | PUT | PATCH) args=(-H 'Content-Type:' --data-binary '') ;; esac ;;
    *) args=(-H 'Content-Type: application/json' --data-binary "$body") ;;
    esac
    STATUS=$(curl -sS --max-time 15 -X "$method" -o "$SCRATCH/body" -D "$SCRATCH/head" -w '%{http_code}' \
        "${args[@]}" "$@" "$url" 2>"$SCRATCH/curl") || STATUS="none ($(cat "$SCRATCH/curl"))"
    BODY=$(cat "$SCRATCH/body" 2>/dev/null || true)
    HEAD=$(tr -d '\r' <"$SCRATCH/head" 2>/dev/null || true)
    rm -f "$SCRATCH/body" "$SCRATCH/head"
}

# field FILTER: from the last answer.
field() { jq -r "$1" <<<"$BODY"; }
# header NAME: of the last answer.
header() { sed -n "s/^$1: //ip" <<<"$HEAD" | head -n 1; }

says() {
    local sentence=$1 want=$2 filter
    shift 2
    if [ "$STATUS" != "$want" ]; then
        not_ok "$sentence" "status $STATUS, not $want"
        return
    fi
    for filter in "$@"; do
        if ! jq -e "$filter" >/dev/null 2>&1 <<<"$BODY"; then
            not_ok "$sentence" "not so: $filter"
            return
        fi
    done
    ok "$sentence"
}

# until_true SECONDS COMMAND...: tries again every 50 ms. The seconds are a machine's that has nothing else to do; a busy
# one has longer, for what never comes is told all the same.
until_true() {
    local tries=$(((2 * $1 + 20) * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.05
    done
}

_service() {
    local svc=$1
    shift
    service_environment "$svc"
    # shellcheck disable=SC2163 # they are NAME=VALUE
    [ $# = 0 ] || export "$@"
    exec "$(service_binary "$svc")"
}

# A service with settings of its own runs beside the one on the usual port, as SVC-<port>.
service_start() {
    local svc=$1 name port word
    shift
    port=${PORTS[$svc]} name=test-$svc
    for word in "$@"; do case $word in PORT=*) port=${word#PORT=} name=test-$svc-$port ;; esac done
    spawn "$name" _service "$svc" "$@"
    _started+=("$name")
    await "$name" 60 http_ok "http://127.0.0.1:$port/readyz"
}

# service_stop [SVC-or-SVC-PORT]
# shellcheck disable=SC2120 # scripts give it one
service_stop() {
    local name
    for name in "${_started[@]}"; do
        case $name in "test-${1:-${name#test-}}") stop "$name" TERM 30 ;; esac
    done
}

# sql SVC QUERY: as the owner of its database.
sql() {
    local url
    url=$(upper "$1")_MIGRATE_DATABASE_URL
    psql -X -q -At -v ON_ERROR_STOP=1 -d "${!url}" -c "$2"
}

# service_token CALLER CALLEE: a service token, from auth.
service_token() {
    curl -sS --max-time 30 "$AUTH_SERVICE_URL/oauth2/token" -u "$1:$(secret "api-$1")" \
        -d "grant_type=client_credentials&audience=$2" | jq -r .access_token
}

uuid() { sed 's/^\(.\{14\}\)./\17/' /proc/sys/kernel/random/uuid; }
bearer() { printf 'Authorization: Bearer %s' "$1"; }

# account NAME ROLE
account() {
    ask POST "$AUTH_SERVICE_URL/api/v1/auth/register" "{\"email\":\"$1.$EPOCHSECONDS$$@people.example\",
        \"password\":\"correct horse\",\"name\":\"$1\",\"role\":\"${2:-user}\"}"
    [ "$STATUS" = 201 ] || die "no account for $1: $BODY"
    # shellcheck disable=SC2034 # for the caller
    ACCESS=$(field .accessToken) ID=$(field .user.userId)
}

# deliver QUEUE TYPE AGGREGATE PAYLOAD [EVENT-ID] [TIMESTAMP]: past the exchange, so that nobody else
# hears of it.
deliver() {
    local body
    body=$(jq -nc --arg t "$2" --arg a "$3" --argjson p "$4" --arg id "${5:-$(uuid)}" --arg at "${6:-}" '
        {eventId: $id, eventType: $t, type: $t, eventVersion: "1.0", source: "test", aggregateId: $a,
         timestamp: (if $at == "" then now | todate else $at end), correlationId: "test", payload: $p}')
    jq -nc --arg q "$1" --arg t "$2" --arg b "$body" '{routing_key: $q, payload: $b,
        payload_encoding: "string", properties: {type: $t, delivery_mode: 2}}' >"$SCRATCH/message"
    management POST /api/exchanges/%2f/amq.default/publish --data-binary @"$SCRATCH/message" |
        jq -e .routed >/dev/null || die "the broker did not take $2"
}

# depth QUEUE: how many ready messages are in it now (the management API tells of seconds ago).
depth() { "$SOUK_BUILD/tests/amqp-act" "$OPS_AMQP_URL" <<<"count $1"; }

# aim METHOD URL [BODY] [HEADER...]: the answers will be in $SCRATCH/shot.1 and so on.
aim() {
    local method=$1 url=$2 body=${3:-} header shot
    shift $(($# < 3 ? $# : 3))
    [ ! -s "$SCRATCH/volley" ] || echo next >>"$SCRATCH/volley"
    shot=$(($(grep -cs '^url' "$SCRATCH/volley" || true) + 1))
    {
        printf 'url = "%s"\nrequest = "%s"\noutput = "%s/shot.%d"\n' "$url" "$method" "$SCRATCH" $shot
        printf 'write-out = "%%{http_code}\\n"\nmax-time = 20\nsilent\n'
        for header in "$@"; do printf 'header = "%s"\n' "$header"; done
        [ -z "$body" ] && [ "$method" != POST ] || printf 'data-binary = "%s"\n' "${body//\"/\\\"}"
        [ -z "$body" ] && echo 'header = "Content-Type:"' || echo 'header = "Content-Type: application/json"'
    } >>"$SCRATCH/volley"
}
volley() {
    mv "$SCRATCH/volley" "$SCRATCH/fired"
    curl -Z --parallel-immediate --parallel-max 40 -K "$SCRATCH/fired" 2>/dev/null | sort | uniq -c |
        awk '{ printf "%s%s %s", n++ ? ", " : "", $1, $2 } END { print "" }'
}
