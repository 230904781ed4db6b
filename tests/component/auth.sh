#!/usr/bin/env bash
# auth on real servers: every route, every outcome of its own, and what must not work.
# shellcheck disable=SC2016 # the programs of jq and awk are not for the shell
set -euo pipefail
. tests/component-lib.sh

service_start auth
A=$AUTH_SERVICE_URL/api/v1
I=$AUTH_SERVICE_URL/internal/v1
run=$EPOCHSECONDS$$
credentials() { jq -n --arg e "$1" --arg p "$2" '{email: $e, password: $p}'; }

# account NAME [ROLE]: registers; sets ACCESS, REFRESH, ID.
account() {
    ask POST "$A/auth/register" "$(jq -n --arg e "$1.$run@souk.example" --arg r "${2:-user}" \
        '{email: $e, password: "correct horse", name: "Anna", phone: "+4915112345678", role: $r}')"
    ACCESS=$(field .accessToken) REFRESH=$(field .refreshToken) ID=$(field .user.userId)
}
login() {
    ask POST "$A/auth/login" "$(credentials "$1.$run@souk.example" "${2:-correct horse}")" "${@:3}"
    ACCESS=$(field .accessToken) REFRESH=$(field .refreshToken)
}
refresh() { ask POST "$A/auth/refresh" "{\"refreshToken\":\"$1\"}" "${@:2}"; }
active() {
    ask POST "$I/tokens/introspect" "{\"token\":\"$1\"}" -H "$(bearer "$SERVICE")"
}
SERVICE=$(service_token cart auth)

# ---- register ----

account anna
says 'registration answers 201 with a user and tokens' 201 ".user.email == \"anna.$run@souk.example\"" \
    '.user.roles == ["user"]' '.user.status == "active"' '.tokenType == "Bearer"' '.expiresIn == 600' \
    '.refreshToken | length == 43' '.user | has("passwordHash") | not'
is 'it names the new resource' "$(header Location)" "/api/v1/users/$ID"
is 'and is not kept by caches' "$(header Cache-Control)" no-store
anna=$ID anna_access=$ACCESS anna_refresh=$REFRESH
ask POST "$A/auth/register" "{\"email\":\"ANNA.$run@Souk.example\",\"password\":\"correct horse\",\"name\":\"A\"}"
says 'an address in other capitals is taken' 409 '.code == "email_taken"' '.correlationId | length > 0'
ask POST "$A/auth/register" "{\"email\":\"x.$run@souk.example\",\"password\":\"password123\",\"name\":\"A\"}"
says 'a common password is refused by its pointer' 422 '.code == "validation_failed"' '.errors[0].pointer == "/password"'
ask POST "$A/auth/register" "{\"email\":\"x.$run@souk.example\",\"password\":\"short\",\"name\":\"A\"}"
says 'a short password is refused' 422 '.errors[0].pointer == "/password"'
ask POST "$A/auth/register" '{"email":"nobody","password":"correct horse","name":"A","role":"admin","extra":1}'
says 'every bad field is named' 422 '[.errors[].pointer] | contains(["/email", "/role", "/extra"])'
account bob seller
says 'a seller has both roles' 201 '.user.roles == ["user", "seller"]'
bob=$ID bob_access=$ACCESS
is 'the registration is in the outbox once' "$(sql auth "SELECT count(*) FROM outbox WHERE type = 'user.registered' AND aggregate_id = '$anna'")" 1
published() { [ "$(sql auth "SELECT count(*) FROM outbox WHERE aggregate_id = '$anna' AND type = 'user.registered' AND published_at IS NOT NULL")" = 1 ]; }
check 'and the broker has confirmed it' until_true 10 published

# ---- login ----

login anna
says 'the right password logs in' 200 ".user.userId == \"$anna\""
second=$ACCESS second_refresh=$REFRESH
ask POST "$A/auth/login" "$(credentials "ANNA.$run@SOUK.example" 'correct horse')"
says 'the address counts without case' 200
login anna 'wrong horse'
says 'a wrong password is refused' 401 '.code == "invalid_credentials"'
wrong=$(field 'del(.correlationId)')
is 'with a challenge' "$(header WWW-Authenticate)" Bearer
login nobody 'wrong horse'
is 'an unknown address looks the same' "$(field 'del(.correlationId)')" "$wrong"
spent() { curl -sS -o "$SCRATCH/out" -w '%{time_total}\n' "$A/auth/login" -H 'Content-Type: application/json' -d "$(credentials "$1.$run@souk.example" 'wrong horse')"; }
# In turns, the fastest of each: what a busy machine adds falls away.
for _ in 1 2 3 4 5 6 7; do
    spent anna >>"$SCRATCH/known"
    spent nobody >>"$SCRATCH/unknown"
done
check 'and costs about as much time' awk -v a="$(sort -n "$SCRATCH/known" | head -1)" -v b="$(sort -n "$SCRATCH/unknown" | head -1)" \
    'BEGIN { exit !(b > a / 2 && a > b / 2) }'
ask POST "$A/auth/login" '{"email":"a@b.example"}'
says 'a missing password is a bad field' 422 '.errors[0].pointer == "/password"'
ask POST "$A/auth/login" '{"email":'
says 'half a document is malformed' 400 '.code == "malformed_request"'

# ---- tokens ----

ask GET "$AUTH_SERVICE_URL/.well-known/jwks.json"
says 'the key set is public' 200 '.keys | length > 0' 'all(.keys[]; .kty == "RSA" and .alg == "RS256" and has("d") == false)'
is 'and may be cached' "$(header Cache-Control)" 'public, max-age=300'
part() { cut -d. -f"$2" <<<"$1" | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' | base64 -d; }
check 'the header names algorithm and a published key' jq -e --argjson set "$BODY" '.alg == "RS256" and (.kid as $k | any($set.keys[]; .kid == $k))' <<<"$(part "$second" 1)"
check 'the claims are those of the contract' jq -e --arg id "$anna" --arg iss "$PUBLIC_URL" '.iss == $iss and .aud == "souk" and .sub == $id and .roles == ["user"] and (.sid | length == 36) and .exp - .iat == 600' <<<"$(part "$second" 2)"

# ---- refresh ----

refresh "$second_refresh"
says 'a refresh token gives the next pair' 200 ".refreshToken != \"$second_refresh\"" ".user.userId == \"$anna\""
next=$(field .refreshToken)
refresh "$second_refresh"
says 'asked again at once it gives the same one' 200 ".refreshToken == \"$next\""
seq 8 | xargs -P 8 -I{} curl -sS -o "$SCRATCH/parallel.{}" "$A/auth/refresh" -H 'Content-Type: application/json' \
    -d "{\"refreshToken\":\"$next\"}"
is 'eight at once get one successor' "$(jq -r .refreshToken "$SCRATCH"/parallel.* | sort -u | wc -l)" 1
newest=$(jq -r .refreshToken "$SCRATCH/parallel.1")
refresh "$next" -H 'User-Agent: somebody else'
says 'the same from another client is a theft' 401 '.code == "refresh_token_reused"'
refresh "$newest"
says 'and ends the whole family' 401 '.code == "invalid_refresh_token"'
active "$second"
says 'its access tokens are no longer active' 200 '.active == false'

login anna
first=$REFRESH
refresh "$first"
sql auth "UPDATE refresh_tokens SET spent_at = spent_at - interval '11 s' WHERE spent_at > now() - interval '5 s'"
refresh "$first"
says 'a spent token after its grace ends the family' 401 '.code == "refresh_token_reused"'
refresh "$first"
says 'and is unknown from then on' 401 '.code == "invalid_refresh_token"'
refresh "$(printf 'x%.0s' {1..43})"
says 'an invented token is refused' 401 '.code == "invalid_refresh_token"'
is 'only digests are stored' "$(sql auth "SELECT count(*) FROM refresh_tokens WHERE digest !~ '^[0-9a-f]{64}$' OR successor !~ '^[0-9a-f]{64}$'")" 0

# ---- sessions ----

login anna
current=$ACCESS
ask GET "$A/auth/sessions" - -H "$(bearer "$current")"
says 'the sessions are listed, the present one marked' 200 '[.data[] | select(.current)] | length == 1' '.data[0].current'
ask GET "$A/auth/sessions?limit=1" - -H "$(bearer "$current")"
says 'in pages' 200 '.data | length == 1' '.hasMore'
ask GET "$A/auth/sessions?limit=1&cursor=$(field .nextCursor)" - -H "$(bearer "$current")"
says 'one after the other' 200 '.data | length == 1' '.data[0].current == false'
other=$(field '.data[0].sessionId')
ask GET "$A/auth/sessions?cursor=forged" - -H "$(bearer "$current")"
says 'a forged cursor is refused' 422 '.errors[0].pointer == "/cursor"'
ask DELETE "$A/auth/sessions/$other" - -H "$(bearer "$bob_access")"
says "somebody else's session is not there" 404
ask DELETE "$A/auth/sessions/$other" - -H "$(bearer "$current")"
says 'an own session can be ended' 204
ask DELETE "$A/auth/sessions/$other" - -H "$(bearer "$current")"
says 'only once' 404 '.code == "not_found"'
login anna
ask POST "$A/auth/logout" - -H "$(bearer "$ACCESS")"
says 'logout answers 204' 204
active "$ACCESS"
says 'the token is inactive at once' 200 '.active == false' '.userId == null'
refresh "$REFRESH"
says 'its refresh token is dead' 401
ask GET "$A/users/$anna" - -H "$(bearer "$ACCESS")"
says 'and auth itself refuses the token' 401 '.code == "unauthenticated"'
ask POST "$A/auth/logout" -
says 'without a token there is nothing to leave' 401

# ---- introspection ----

active "$current"
says 'a live token is active' 200 '.active' ".userId == \"$anna\"" '.roles == ["user"]' '.sessionId | length == 36' '.expiresAt | length > 0'
active "${current%??????}AAAAAA"
says 'a forged one is not' 200 '.active == false'
active "$SERVICE"
says 'nor is a service token' 200 '.active == false'
ask POST "$I/tokens/introspect" "{\"token\":\"$current\"}" -H "$(bearer "$current")"
says 'users may not ask' 403
ask POST "$I/tokens/introspect" "{\"token\":\"$current\"}"
says 'nor may strangers' 401
sql auth "UPDATE sessions SET expires_at = now() - interval '1 s' WHERE id = '$(part "$current" 2 | jq -r .sid)'"
active "$current"
says 'an expired session is inactive' 200 '.active == false'

# ---- service tokens ----

check 'a service token has the callee as audience and five minutes' jq -e '.aud == "auth" and .sub == "cart" and .roles == ["service"] and .exp - .iat <= 300' <<<"$(part "$SERVICE" 2)"
ask GET "$I/users/$anna" - -H "$(bearer "$(service_token cart payment)")"
says 'a token for another callee is no good here' 401
ask GET "$I/users/$anna" - -H "$(bearer "$SERVICE")"
says 'a service reads a user' 200 ".email == \"anna.$run@souk.example\"" '.phone == "+4915112345678"' '.status == "active"' 'has("createdAt") | not'
ask GET "$I/users/01900000-0000-7000-8000-00000000ffff" - -H "$(bearer "$SERVICE")"
says 'nobody is not found' 404

# ---- profile and addresses ----

login anna
anna_access=$ACCESS
ask GET "$A/users/$anna" - -H "$(bearer "$anna_access")"
says 'one reads the own profile' 200 '.name == "Anna"'
ask GET "$A/users/$anna" - -H "$(bearer "$bob_access")"
says "not somebody else's" 404
ask PATCH "$A/users/$anna" '{"name":"Anna Berg"}' -H "$(bearer "$anna_access")"
says 'a change of one field leaves the others' 200 '.name == "Anna Berg"' '.phone == "+4915112345678"'
is 'and is told' "$(sql auth "SELECT count(*) FROM outbox WHERE type = 'user.updated' AND aggregate_id = '$anna'")" 1
ask PATCH "$A/users/$anna" '{"email":"new@souk.example","roles":["admin"]}' -H "$(bearer "$anna_access")"
says 'address and roles are no fields of it' 422 '.errors | length == 2'

home='{"name":"Anna Berg","line1":"1 Market Street","city":"Hamburg","postalCode":"20095","country":"DE"}'
ask POST "$A/users/$anna/addresses" "$home" -H "$(bearer "$anna_access")" -H "Idempotency-Key: home-$run"
says 'an address is added' 201 '.addressId | length == 36' '.country == "DE"'
address=$(field .addressId)
is 'with its own path' "$(header Location)" "/api/v1/users/$anna/addresses/$address"
ask POST "$A/users/$anna/addresses" "$home" -H "$(bearer "$anna_access")" -H "Idempotency-Key: home-$run"
says 'the same key again gives the same answer' 201 ".addressId == \"$address\""
is 'and says so' "$(header Idempotent-Replayed)" true
ask GET "$A/users/$anna/addresses" - -H "$(bearer "$anna_access")"
says 'addresses are listed' 200 '.data | length == 1' '.hasMore == false'
ask GET "$A/users/$anna/addresses/$address" - -H "$(bearer "$bob_access")"
says "somebody else's address is not there" 404
ask GET "$A/users/$bob/addresses/$address" - -H "$(bearer "$bob_access")"
says 'not even under the own path' 404
ask PUT "$A/users/$anna/addresses/$address" "${home/Hamburg/Bremen}" -H "$(bearer "$anna_access")"
says 'an address is replaced' 200 '.city == "Bremen"'
ask GET "$I/users/$anna/addresses/$address" - -H "$(bearer "$SERVICE")"
says 'a service reads it in the shape of an order' 200 '.city == "Bremen"' 'has("addressId") | not'
ask POST "$A/users/$anna/addresses" "${home/DE/XX}" -H "$(bearer "$anna_access")"
says 'an unknown country is refused' 422 '.errors[0].pointer == "/country"'
ask POST "$A/users/$anna/addresses" "$(jq -c '.line1 = "Main Street\r\n2"' <<<"$home")" -H "$(bearer "$anna_access")"
says 'so is a line that is two' 422 '.errors[0].pointer == "/line1"'
sql auth "INSERT INTO addresses (id, user_id, name, line1, city, country) SELECT gen_random_uuid(), '$anna', 'A', 'B', 'C', 'DE' FROM generate_series(1, 49)"
ask POST "$A/users/$anna/addresses" "$home" -H "$(bearer "$anna_access")"
says 'fifty are enough' 409 '.code == "too_many_addresses"'
ask DELETE "$A/users/$anna/addresses/$address" - -H "$(bearer "$anna_access")"
says 'an address is removed' 204
ask GET "$A/users/$anna/addresses/$address" - -H "$(bearer "$anna_access")"
says 'and is gone' 404

# ---- roles ----

account admin
admin=$ID
sql auth "UPDATE users SET roles = '{user,admin}' WHERE id = '$admin'"
login admin
admin_access=$ACCESS
ask GET "$A/auth/users/$anna/roles" - -H "$(bearer "$anna_access")"
says 'one reads the own roles' 200 '.roles == ["user"]'
ask GET "$A/auth/users/$anna/roles" - -H "$(bearer "$bob_access")"
says "not somebody else's" 404
ask GET "$A/auth/users/$anna/roles" - -H "$(bearer "$SERVICE")"
says 'services read them' 200 '.roles == ["user"]'
ask PUT "$A/auth/users/$anna/roles" '{"roles":["user","admin"]}' -H "$(bearer "$anna_access")"
says 'nobody promotes themself' 403
ask PUT "$A/auth/users/$anna/roles" '{"roles":["user","service"]}' -H "$(bearer "$admin_access")"
says 'nobody becomes a service' 422
ask PUT "$A/auth/users/$anna/roles" '{"roles":["user","seller"]}' -H "$(bearer "$admin_access")"
says 'an admin sets roles' 200 '.roles == ["user", "seller"]'
active "$anna_access"
says 'which ends the sessions of before' 200 '.active == false'
login anna
says 'the next login has them' 200 '.user.roles == ["user", "seller"]'
ask PUT "$A/auth/users/$admin/roles" '{"roles":["user"]}' -H "$(bearer "$admin_access")"
says 'an admin does not step down alone' 409
ask GET "$A/users/$anna" - -H "$(bearer "$admin_access")"
says 'an admin reads any profile' 200
sql auth "UPDATE users SET roles = '{user}' WHERE id = '$admin'"
ask GET "$A/users/$anna" - -H "$(bearer "$admin_access")"
says 'a role taken away is gone before the token is' 404

# ---- passwords ----

login anna
anna_access=$ACCESS
login anna
ask POST "$A/auth/password" '{"currentPassword":"wrong horse","newPassword":"battery staple"}' -H "$(bearer "$ACCESS")"
says 'the old password is asked for' 422 '.errors[0].pointer == "/currentPassword"'
ask POST "$A/auth/password" '{"currentPassword":"correct horse","newPassword":"12345678"}' -H "$(bearer "$ACCESS")"
says 'the new one has to be good' 422 '.errors[0].pointer == "/newPassword"'
ask POST "$A/auth/password" '{"currentPassword":"correct horse","newPassword":"battery staple"}' -H "$(bearer "$ACCESS")"
says 'then it is changed' 204
active "$ACCESS"
says 'this session goes on' 200 '.active'
active "$anna_access"
says 'the others have ended' 200 '.active == false'
login anna
says 'the old password is dead' 401
login anna 'battery staple'
says 'the new one works' 200
anna_access=$ACCESS anna_refresh=$REFRESH

# ---- closing an account ----

ask DELETE "$A/users/$anna" - -H "$(bearer "$bob_access")"
says "nobody closes somebody else's account" 404
ask DELETE "$A/users/$anna" - -H "$(bearer "$anna_access")"
says 'one closes the own account' 204
active "$anna_access"
says 'its tokens are inactive' 200 '.active == false'
login anna 'battery staple'
says 'it cannot log in' 401 '.code == "invalid_credentials"'
refresh "$anna_refresh"
says 'nor refresh' 401
is 'and the others are told once' "$(sql auth "SELECT count(*) FROM outbox WHERE type = 'user.deactivated' AND aggregate_id = '$anna'")" 1
ask GET "$I/users/$anna" - -H "$(bearer "$SERVICE")"
says 'services see the state' 200 '.status == "deactivated"'

# ---- too many ----

port=$((PORT_BASE + 17))
B=http://127.0.0.1:$port/api/v1
for redis in "$REDIS_URL" ''; do
    service_start auth PORT=$port REDIS_URL="$redis" LOGIN_PAIR_BURST=3 LOGIN_PAIR_PER_MINUTE=1
    [ -z "$redis" ] || until_true 5 grep -q 'redis is here' "$LOG/test-auth-$port.log"
    target=$(credentials "victim${redis:+.redis}.$run@souk.example" 'wrong horse')
    for _ in 1 2 3; do ask POST "$B/auth/login" "$target"; done
    says "three tries are answered ${redis:+with Redis}" 401
    ask POST "$B/auth/login" "$target"
    says 'the fourth has to wait' 429 '.code == "too_many_requests"'
    check 'and is told how long' test "$(header Retry-After)" -gt 0
    ask POST "$B/auth/login" "$(credentials "bob.$run@souk.example" 'correct horse')"
    says 'other accounts are not concerned' 200
    service_stop auth-$port
done

# Three hundred at once and room for all of them, but not the time: whoever can't be served soon is told so at once,
# before the others have their answers, instead of waiting until it is too late for everybody.
service_start auth PORT=$port PASSWORD_THREADS=1 PASSWORD_QUEUE=1000 LOGIN_PAIR_BURST=10000 LOGIN_ACCOUNT_BURST=10000
credentials "flood.$run@souk.example" 'wrong horse' >"$SCRATCH/guess"
for _ in {1..300}; do
    printf 'url = "%s"\noutput = /dev/null\nheader = "Content-Type: application/json"\ndata = "@%s"\nmax-time = 20\n' "$B/auth/login" "$SCRATCH/guess"
    printf 'write-out = "%%{http_code} %%{time_total} %%header{retry-after}\\n"\nnext\n'
done | sed '$d' >"$SCRATCH/guesses"
curl -sS -Z --parallel-immediate --parallel-max 300 -K "$SCRATCH/guesses" >"$SCRATCH/flood" 2>/dev/null || true
# times STATUS: of the answers with it, how many, and the median in ms
times() { awk -v s="$1" '$1 == s { print $2 }' "$SCRATCH/flood" | sort -n | awk '{ t[NR] = $1 } END { printf "%d %d\n", NR, t[int((NR + 1) / 2)] * 1000 }'; }
read -r right right_ms <<<"$(times 401)"
read -r busy busy_ms <<<"$(times 503)"
is "each of a flood of logins is answered ($right checked, after $right_ms ms; $busy sent away, after $busy_ms ms)" $((right + busy)) 300
check 'some are served' test "$right" -gt 0
check 'those that are not are told before' test "$busy" -gt 0 -a "$busy_ms" -lt "$right_ms"
check 'and when to come back' awk '$1 == 503 && !($3 > 0) { exit 1 }' "$SCRATCH/flood"
service_stop auth-$port

# ---- dying in the middle (only where crash points are compiled in) ----

if grep -qa register_before_commit "$(service_binary auth)"; then
    service_start auth PORT=$port SOUK_FAULT=register_before_commit
    ask POST "$B/auth/register" "$(jq -n --arg e "eve.$run@souk.example" '{email: $e, password: "correct horse", name: "Eve"}')"
    is 'dying before the commit leaves no answer' "${STATUS%% *}" none
    is 'and no account' "$(sql auth "SELECT count(*) FROM users WHERE email = 'eve.$run@souk.example'")" 0
    service_stop auth-$port
    service_start auth PORT=$port SOUK_FAULT=register_after_commit
    ask POST "$B/auth/register" "$(jq -n --arg e "eve.$run@souk.example" '{email: $e, password: "correct horse", name: "Eve"}')"
    is 'dying after the commit leaves no answer either' "${STATUS%% *}" none
    login eve
    says 'but the account' 200
    eve=$(field .user.userId)
    published_eve() { [ "$(sql auth "SELECT count(*) FROM outbox WHERE type = 'user.registered' AND aggregate_id = '$eve' AND published_at IS NOT NULL")" = 1 ]; }
    check 'whose event another process publishes' until_true 10 published_eve
fi
