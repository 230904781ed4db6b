#!/usr/bin/env bash
# auth's signing keys on a folder of their own: several processes, rotation and retirement by
# command, keys that leaked, files that are open to others, and death at each fault point.
# shellcheck disable=SC2016 # the programs of jq are not for the shell
set -euo pipefail
. tests/component-lib.sh

KEYS=$SCRATCH/keys
ports=(17 18 19)
url() { printf 'http://127.0.0.1:%d' $((PORT_BASE + $1)); }

# _keys ARGS...: souk-auth as a command; NAME=VALUE words before `--` go into its environment.
_keys() {
    (
        service_environment auth
        export SIGNING_KEY_DIR=$KEYS JWKS_MAX_AGE_S=5 LOG_LEVEL=error
        while [ "$1" != -- ]; do
            export "${1?}"
            shift
        done
        shift
        exec "$(service_binary auth)" "$@"
    )
}
keys() { _keys -- "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"; }
kid() { awk -v state="$1" '$2 == state { print $1; exit }' <(_keys -- --keys); }
listed() { _keys -- --keys | awk '{ n[$2]++ } END { printf "%d current %d next %d retired", n["current"], n["next"], n["retired"] }'; }
published() { curl -sS --max-time 30 "$(url "$1")/.well-known/jwks.json" | jq -r '[.keys[].kid] | sort | join(" ")'; }
on_disk() { find "$KEYS" -name '*.pem' -printf '%f\n' | sed 's/\.pem$//' | sort | paste -sd ' '; }
publish_what_is_listed() {
    local i want
    want=$(_keys -- --keys | awk '{ print $1 }' | sort | paste -sd ' ')
    for i in "${ports[@]}"; do [ "$(published "$i")" = "$want" ] || return 1; done
}
# signs_with PORT KID: the key id of a token that it gives out; leaves that in ACCESS.
signs_with() {
    ask POST "$(url "$1")/api/v1/auth/register" "{\"email\":\"s$RANDOM$RANDOM.$EPOCHSECONDS$$@people.example\",
        \"password\":\"correct horse $$\",\"name\":\"S\"}"
    ACCESS=$(field .accessToken)
    [ "$(cut -d. -f1 <<<"$ACCESS" | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' |
        base64 -d | jq -r .kid)" = "$2" ]
}

# ---- several processes, one set ----

mkdir -m 700 "$KEYS"
for i in "${ports[@]}"; do
    spawn "test-auth-$i" _service auth "PORT=$((PORT_BASE + i))" "SIGNING_KEY_DIR=$KEYS" JWKS_MAX_AGE_S=5 ACCESS_TOKEN_TTL_S=30 SERVICE_TOKEN_TTL_S=90
    _started+=("test-auth-$i")
done
for i in "${ports[@]}"; do await "test-auth-$i" 60 http_ok "$(url "$i")/readyz"; done
is 'three that start at once make two keys' "$(listed)" '1 current 1 next 0 retired'
check 'and publish the same' publish_what_is_listed
is 'whose files nobody else can read' "$(stat -c %a "$KEYS" "$KEYS"/* | sort -u | paste -sd ' ')" '400 700'
ask GET "$(url 17)/.well-known/jwks.json"
is 'the set may be cached as long as a key is published before it signs' "$(header Cache-Control)" 'public, max-age=5'

# ---- rotation ----

current=$(kid current) next=$(kid next)
until_true 10 keys --rotate-keys || true
is 'a rotation makes the next key the signer' "$(kid current)" "$next"
is 'keeps the old one' "$(kid retired)" "$current"
check 'all processes publish the new set' until_true 5 publish_what_is_listed
for i in "${ports[@]}"; do check "and process $i signs with it" until_true 5 signs_with "$i" "$next"; done
status=0
_keys JWKS_MAX_AGE_S=900 -- --rotate-keys >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
is 'the next rotation has to wait' $status 1
check 'and says how long' grep -qE 'caches may not have it for (900|[1-8]?[0-9]{2}) s more' "$SCRATCH/err"
check 'unless it must be now' keys --rotate-keys=now
check 'another word is refused' test "$(keys --rotate-keys=soon; echo $?)" = 2
check 'all processes follow' until_true 5 publish_what_is_listed

# A retired key is kept until its last token has expired, and not longer: its time is put back.
sed -i 's/ retired [0-9]*$/ retired 1000000000/' "$KEYS/keys" 2>/dev/null || true
chmod 400 "$KEYS/keys"
retired_are_gone() { [ "$(listed)" = '1 current 1 next 0 retired' ] && [ "$(on_disk | wc -w)" = 2 ]; }
check 'retired keys go, and their private halves with them' until_true 10 retired_are_gone
check 'from every process' until_true 5 publish_what_is_listed

# ---- a key that leaked ----

until_true 5 signs_with 17 "$(kid current)"
leaked=$(kid current) token=$ACCESS
ask GET "$(url 17)/api/v1/auth/sessions" - -H "$(bearer "$token")"
says 'before: its tokens are good' 200
check 'a leaked key is dropped' keys --drop-key="$leaked"
refused() { ask GET "$(url "$1")/api/v1/auth/sessions" - -H "$(bearer "$token")" && [ "$STATUS" = 401 ]; }
for i in "${ports[@]}"; do check "after: process $i refuses them" until_true 5 refused "$i"; done
is 'another key took its place' "$(listed)" '1 current 1 next 0 retired'
check 'one that is not there cannot be dropped' test "$(keys --drop-key="$leaked"; echo $?)" = 1

# ---- dying in the middle ----

if grep -qa rotate_before_commit "$(service_binary auth)"; then
    before=$(_keys -- --keys)
    status=0
    _keys SOUK_FAULT=rotate_before_commit -- --rotate-keys=now >/dev/null 2>&1 || status=$?
    is 'a rotation that dies before its commit' "$status" 137
    is 'leaves everything as it was' "$(_keys -- --keys)" "$before"
    is 'but a file that nobody names' "$(on_disk | wc -w)" 3
    check 'which nobody publishes' publish_what_is_listed
    check 'the next attempt works' keys --rotate-keys=now
    is 'and sweeps it' "$(on_disk | wc -w)" 3
    next=$(kid next) status=0
    _keys SOUK_FAULT=rotate_after_commit -- --rotate-keys=now >/dev/null 2>&1 || status=$?
    is 'a rotation that dies after its commit' "$status" 137
    is 'has happened' "$(kid current)" "$next"
    is 'as a whole' "$(listed)" '1 current 1 next 2 retired'
    check 'everywhere' until_true 5 publish_what_is_listed
    for i in "${ports[@]}"; do check "and process $i signs with it" until_true 5 signs_with "$i" "$next"; done
    for i in "${ports[@]}"; do service_stop "auth-$i"; done
    sed -i 's/ retired [0-9]*$/ retired 1000000000/' "$KEYS/keys"
    chmod 400 "$KEYS/keys"
    spawn test-auth-17 _service auth "PORT=$((PORT_BASE + 17))" "SIGNING_KEY_DIR=$KEYS" SOUK_FAULT=retire_after_commit
    _started+=(test-auth-17)
    gone() { ! running test-auth-17; }
    check 'auth dies between the list and the private keys of a retirement' until_true 10 gone
    is 'those are in the list no more' "$(listed)" '1 current 1 next 0 retired'
    is 'though still in the folder' "$(on_disk | wc -w)" 4
    check 'until the next rotation' keys --rotate-keys=now
    is 'sweeps them' "$(on_disk | wc -w)" 3
fi

# ---- files that are open to others ----

for i in "${ports[@]}"; do service_stop "auth-$i"; done
chmod 440 "$KEYS/$(kid current).pem"
status=0
_keys PORT=$((PORT_BASE + 17)) -- >"$SCRATCH/out" 2>&1 || status=$?
is 'auth does not start on a key that a group can read' "$status" 1
check 'and says which' grep -q 'SIGNING_KEY_DIR: [0-9a-f-]*\.pem is open to others than its owner (mode 0440)' "$SCRATCH/out"
chmod 400 "$KEYS"/*.pem
chmod 711 "$KEYS"
status=0
_keys -- --keys >"$SCRATCH/out" 2>&1 || status=$?
is 'nor on a folder that is open' "$status" 1
check 'and says so' grep -q 'the folder is open to others' "$SCRATCH/out"
chmod 700 "$KEYS"
