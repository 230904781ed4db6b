#!/usr/bin/env bash
# Who tries too often waits, and is told how long; nobody can lock an owner out; without Redis, or with one that
# hangs, the limits hold in each process.
set -euo pipefail
. tests/component-lib.sh

port=$((PORT_BASE + 17))
A=http://127.0.0.1:$port/api/v1
run=$EPOCHSECONDS$$
from() { printf 'X-Forwarded-For: %s' "$1"; }
credentials() { jq -n --arg e "$1.$run@souk.example" --arg p "${2:-correct horse}" '{email: $e, password: $p}'; }
# login NAME PASSWORD ADDRESS USER-AGENT
login() { ask POST "$A/auth/login" "$(credentials "$1" "$2")" -H "$(from "$3")" -A "$4"; }
# limited POLICY QUOTA WINDOW LEFT: the answer's fields tell of that bucket, in their syntax.
limited() {
    grep -qE "(^|, )\"$1\";q=$2;w=$3(,|$)" <<<"$(header RateLimit-Policy)" &&
        grep -qE "(^|, )\"$1\";r=$4;t=[0-9]+(,|$)" <<<"$(header RateLimit)"
}
fields() { printf '%s / %s' "$(header RateLimit-Policy)" "$(header RateLimit)"; }

# auth_with NAME=VALUE...
auth_with() { service_start auth PORT=$port LOGIN_PAIR_BURST=3 LOGIN_PAIR_PER_MINUTE=1 LOGIN_ACCOUNT_BURST=6 LOGIN_ACCOUNT_PER_MINUTE=1 "$@"; }

auth_with
until_true 5 grep -q 'redis is here' "$LOG/test-auth-$port.log"

# ---- what the answers say ----

ask POST "$A/auth/register" "$(credentials owner | jq -c '.name = "Owner"')" -H "$(from 192.0.2.1)" -A 'home browser'
says 'an owner registers' 201
refresh=$(field .refreshToken) access=$(field .accessToken)
check "and is told the limit: $(fields)" limited address 1000 100 999
login owner 'correct horse' 198.51.100.9 'another browser'
says 'a login from a new client succeeds' 200
check "and tells of three buckets: $(fields)" limited client 3 180 2
check 'one of them the account' limited account 6 360 5
login owner 'wrong horse' 198.51.100.10 robot
says 'a refusal' 401
check 'tells of them, too' limited account 6 360 4
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$refresh\"}" -H "$(from 192.0.2.1)" -A 'home browser'
check "so does a refresh: $STATUS, $(fields)" limited refresh 3000 60 2999
ask POST "$A/auth/password" '{"currentPassword":"not that","newPassword":"battery staple"}' -H "$(bearer "$access")" -H "$(from 192.0.2.1)"
check "a change of the password: $STATUS, $(fields)" limited password 10 120 9
ask POST "$A/auth/email-verifications" - -H "$(bearer "$access")" -H "$(from 192.0.2.1)"
check "a mail that is asked for: $STATUS, $(fields)" limited account 5 300 4
ask POST "$A/auth/email-verifications/confirm" '{"token":"none"}' -H "$(from 192.0.2.2)"
check "a link: $STATUS, $(fields)" limited address 1000 100 999
ask POST "$A/auth/password-resets" "$(credentials owner | jq -c '{email}')" -H "$(from 192.0.2.2)"
check "a reset, which tells nothing of the account: $STATUS, $(fields)" limited address 100 100 99
is 'not even that it has a limit' "$(header RateLimit-Policy)" '"address";q=100;w=100'

# ---- no lockout ----

for ((i = 1; i <= 8; i++)); do login owner 'wrong horse' "203.0.113.$i" robot; done
says 'a guess from ever new addresses comes to its end' 429 '.code == "too_many_requests"'
check 'and is told how long that lasts' test "$(header Retry-After)" -gt 0
check "with nothing left: $(fields)" limited account 6 360 0
login owner 'correct horse' 203.0.113.99 robot
says 'for new clients even the right password does not count then' 429
login owner 'correct horse' 192.0.2.1 'home browser'
says 'but the owner logs in where they were before' 200
check "from a bucket of their own: $(fields)" limited client 30 60 29
login owner 'correct horse' 198.51.100.9 'another browser'
says 'also with the second client' 200

# ---- IPv6 ----

for ((i = 1; i <= 3; i++)); do login six 'wrong horse' "2001:db8:0:1::$i" robot; done
says 'addresses of one network' 401
login six 'wrong horse' 2001:db8:0:1:ffff::4 robot
says 'are one client' 429
login six 'wrong horse' 2001:db8:0:2::1 robot
says 'those of the next network are another' 401

# ---- without Redis ----

service_stop auth-$port
# until_waits NAME: tries until one is refused for being too many; sets TRIES, and SLOWEST in ms.
until_waits() {
    TRIES=0 SLOWEST=0
    local began took
    while [ $TRIES -lt 12 ]; do
        began=${EPOCHREALTIME/[.,]/}
        login "$1" 'wrong horse' 192.0.2.50 robot
        took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
        [ $took -le $SLOWEST ] || SLOWEST=$took
        [ "$STATUS" = 401 ] || return 0
        TRIES=$((TRIES + 1))
    done
}
auth_with REDIS_URL=
until_waits nobody
is 'without Redis the process counts for itself' "$STATUS after $TRIES" '429 after 3'
check "and tells the same: $(fields)" limited client 3 180 0
service_stop auth-$port

auth_with
until_true 5 grep -q 'redis is here' "$LOG/test-auth-$port.log"
running redis
redis_pid=$PID
trap 'kill -CONT "$redis_pid" 2>/dev/null; _end' EXIT
kill -STOP "$redis_pid"
until_waits frozen
kill -CONT "$redis_pid"
is 'a Redis that hangs does not open the door' "$STATUS after $TRIES" '429 after 3'
check "nor holds a login up for long (the slowest took $SLOWEST ms)" test "$SLOWEST" -lt 5000
