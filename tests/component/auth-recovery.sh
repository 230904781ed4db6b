#!/usr/bin/env bash
# auth and notification on real servers: links by mail, followed as people and as programs do; what
# is mailed about an account; where the tokens must not be.
# shellcheck disable=SC2016 # the programs of jq and awk are not for the shell
set -euo pipefail
. tests/component-lib.sh

service_start auth MAIL_ACCOUNT_BURST=4 MAIL_ACCOUNT_PER_MINUTE=1 MAIL_ADDRESS_BURST=10000 MAIL_ADDRESS_PER_MINUTE=1000000
service_start notification
A=$AUTH_SERVICE_URL/api/v1
run=$EPOCHSECONDS$$

register() {
    EMAIL=$1.$run@people.example
    ask POST "$A/auth/register" "{\"email\":\"$EMAIL\",\"password\":\"correct horse\",\"name\":\"Anna\"}" "${@:2}"
    ACCESS=$(field .accessToken) REFRESH=$(field .refreshToken) ID=$(field .user.userId)
}
login() { ask POST "$A/auth/login" "{\"email\":\"$EMAIL\",\"password\":\"$1\"}" "${@:2}"; }
mails() { curl -fsS --max-time 30 "$MAIL_URL/email" | jq -c --arg a "$EMAIL" --arg s "$1" '[.[] | select(.to[0].address == $a and (.subject | contains($s)))]'; }
has_mails() { [ "$(mails "$1" | jq length)" = "$2" ]; }
# mailed SUBJECT COUNT: waits for that many mails; LINK is the last one's, as it stands in the text.
mailed() {
    check "mail ${3:-}: $1 ($2)" until_true 8 has_mails "$1" "$2"
    LINK=$(mails "$1" | jq -r 'sort_by(.time) | last.text' | grep -o 'http[^ ]*token=[^ ]*' | head -n 1 || true)
    TOKEN=${LINK##*token=}
}
confirm() { ask POST "$A/auth/email-verifications/confirm" "{\"token\":\"$1\"}"; }
reset() { ask POST "$A/auth/password-resets" "{\"email\":\"$1\"}" "${@:2}"; }
reset_confirm() { ask POST "$A/auth/password-resets/confirm" "$(jq -n --arg t "$1" --arg p "$2" '{token: $t, newPassword: $p}')"; }
active() { ask GET "$A/auth/sessions" - -H "$(bearer "$1")" && [ "$STATUS" = 200 ]; }
verified() { ask GET "$A/users/$ID" - -H "$(bearer "$ACCESS")"; }
# here LINK: the link of a mail leads to the gateway; the same path at auth itself.
here() { printf '%s%s' "$AUTH_SERVICE_URL" "/${1#*//*/}"; }
seen=()

# ---- verification ----

register anna
says 'a new account is not verified' 201 '.user.emailVerified == false'
mailed 'Is this your e-mail address' 1 'comes by itself'
first=$TOKEN
seen+=("$TOKEN")
is 'its token has 256 bits' "${#TOKEN}" 43
is 'its link leads to the gateway' "${LINK%%/api/*}" "$PUBLIC_URL"
is 'the database has its digest' "$(sql auth "SELECT count(*) FROM mail_tokens WHERE digest = '$(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)'")" 1

ask POST "$A/auth/email-verifications" - -H "$(bearer "$ACCESS")"
says 'another link can be had' 202
mailed 'Is this your e-mail address' 2
seen+=("$TOKEN")
confirm "$first"
says 'which ends the older one' 400 '.code == "invalid_link"'
ask GET "$(here "$LINK")"
is 'opening the link shows a page' "$STATUS $(header Content-Type)" '200 text/html; charset=utf-8'
is 'that nobody keeps' "$(header Cache-Control) $(header Referrer-Policy)" 'no-store no-referrer'
check 'without scripts or parts from elsewhere' grep -q "^content-security-policy: default-src 'none'" <<<"${HEAD,,}"
verified
says 'and changes nothing' 200 '.emailVerified == false'
curl -sS -o "$SCRATCH/page" -w '%{http_code}' -d "token=$TOKEN" "$AUTH_SERVICE_URL/api/v1/auth/email-verifications/page" >"$SCRATCH/code"
is 'pressing its button does' "$(cat "$SCRATCH/code") $(grep -c '<h1>.*is verified' "$SCRATCH/page")" '200 1'
verified
says 'the address is verified' 200 '.emailVerified == true'
confirm "$TOKEN"
says 'a link is good once' 400 '.code == "invalid_link"'
ask POST "$A/auth/email-verifications" - -H "$(bearer "$ACCESS")"
says 'there is nothing left to verify' 409 '.code == "email_verified"'
ask GET "$AUTH_SERVICE_URL/api/v1/auth/email-verifications/page?token=%3Cscript%3E"
is 'what is no token is not shown' "$STATUS $(grep -c script <<<"$BODY")" '400 0'
ask POST "$AUTH_SERVICE_URL/api/v1/auth/email-verifications/page" '{"token":"x"}'
says 'the page takes a form' 415
confirm ''
says 'a token is needed' 422 '.errors[0].pointer == "/token"'

register ben
ben=$ID
mailed 'Is this your e-mail address' 1
seen+=("$TOKEN")
sql auth "UPDATE mail_tokens SET expires_at = now() - interval '1 s' WHERE user_id = '$ben'"
confirm "$TOKEN"
says 'a link that ran out is of no use' 400 '.code == "invalid_link"'
for _ in 1 2 3 4; do ask POST "$A/auth/email-verifications" - -H "$(bearer "$ACCESS")"; done
says 'four more are mailed' 202
ask POST "$A/auth/email-verifications" - -H "$(bearer "$ACCESS")"
says 'the next has to wait' 429 '.code == "too_many_requests"'
mailed 'Is this your e-mail address' 5
register ivy
mailed 'Is this your e-mail address' 1
seen+=("$TOKEN")
seq 6 | xargs -P 6 -I{} curl -sS -o /dev/null -w '%{http_code}\n' "$A/auth/email-verifications/confirm" \
    -H 'Content-Type: application/json' -d "{\"token\":\"$TOKEN\"}" >"$SCRATCH/race"
is 'of six at once one wins' "$(sort "$SCRATCH/race" | uniq -c | awk '{ printf "%s %s;", $1, $2 }')" '1 204;5 400;'

# ---- a forgotten password ----

register cleo
cleo_access=$ACCESS cleo_refresh=$REFRESH
reset "${EMAIL^^}"
says 'a reset is accepted' 202
is 'without a word' "$BODY" ''
mailed 'Choose a new password' 1
older=$TOKEN
reset "$EMAIL"
mailed 'Choose a new password' 2
seen+=("$older" "$TOKEN")
reset_confirm "$TOKEN" 'password123'
says 'a poor password is refused' 422 '.errors[0].pointer == "/newPassword"'
reset_confirm "$TOKEN" "$EMAIL"
says 'as is the address' 422 '.errors[0].pointer == "/newPassword"'
ask GET "$(here "$LINK")"
check 'the link opens a form' grep -q 'name="newPassword"' <<<"$BODY"
curl -sS -o "$SCRATCH/page" -w '%{http_code}' -d "token=$TOKEN" -d 'newPassword=short' "$A/auth/password-resets/page" >"$SCRATCH/code"
is 'which says what is wrong' "$(cat "$SCRATCH/code") $(grep -c '<b>.*8 to 128' "$SCRATCH/page")" '422 1'
curl -sS -o "$SCRATCH/page" -w '%{http_code}' -d "token=$TOKEN" --data-urlencode 'newPassword=Zürich & Genève' "$A/auth/password-resets/page" >"$SCRATCH/code"
is 'and sets the password' "$(cat "$SCRATCH/code")" 200
login 'correct horse'
says 'the old one is dead' 401
# é as a letter and an accent: the same password to whoever types it.
login $'Zu\u0308rich & Gene\u0300ve'
says 'the new one works, however its letters were typed' 200
active "$cleo_access" || true
is 'the sessions of before have ended' "$STATUS" 401
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$cleo_refresh\"}"
says 'with their refresh tokens' 401
reset_confirm "$TOKEN" 'another good one'
says 'the link is good once' 400 '.code == "invalid_link"'
reset_confirm "$older" 'another good one'
says 'and the other links have ended' 400 '.code == "invalid_link"'
mailed 'Your password was changed' 1
confirm "$(sql auth "SELECT 'x'")"
says 'an invented token is refused' 400

register dora
reset "$EMAIL"
mailed 'Choose a new password' 1
seen+=("$TOKEN")
reset_confirm "$(mails 'Is this your' | jq -r '.[0].text' | grep -o 'token=[^ ]*' | cut -d= -f2)" 'another good one'
says 'a link of the other kind is refused' 400 '.code == "invalid_link"'
sql auth "UPDATE mail_tokens SET expires_at = now() - interval '1 s' WHERE user_id = '$ID'"
reset_confirm "$TOKEN" 'another good one'
says 'one that ran out too' 400
ask DELETE "$A/users/$ID" - -H "$(bearer "$ACCESS")"
mailed 'Your account is closed' 1
reset "$EMAIL"
says 'a closed account is answered the same' 202
reset "nobody.$run@people.example"
says 'as is nobody' 202
resets_done() { [ "$(sql auth 'SELECT count(*) FROM reset_requests')" = 0 ]; }
check 'no request stays behind' until_true 8 resets_done
is 'neither gets a link' "$(mails 'Choose a new password' | jq length)" 1

register eve
for _ in 1 2 3 4 5 6; do reset "$EMAIL"; done
says 'who asks too often is answered the same' 202
is 'with the same head' "$(header Retry-After)" ''
check 'the requests are worked off' until_true 8 resets_done
mailed 'Choose a new password' 4

# The answer does not look for the account, so it takes as long for one that is there. In turns; the
# medians of what is left when each half's slow third is cut off.
register fay
spent() { curl -sS -o /dev/null -w '%{time_total}\n' "$A/auth/password-resets" -H 'Content-Type: application/json' -d "{\"email\":\"$1\"}"; }
service_stop auth
service_start auth MAIL_ACCOUNT_BURST=100000 MAIL_ACCOUNT_PER_MINUTE=100000 MAIL_ADDRESS_BURST=10000 MAIL_ADDRESS_PER_MINUTE=1000000
median() { sort -n "$1" | head -n 40 | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] * 1e6 }'; }
alike() { awk -v a="$known" -v b="$unknown" 'BEGIN { exit !(a < b * 1.25 && b < a * 1.25) }'; }
# A difference that the code makes is there each time, one that a busy machine makes is not.
for round in 1 2 3; do
    rm -f "$SCRATCH/known" "$SCRATCH/unknown"
    for i in $(seq 60); do
        spent "$EMAIL" >>"$SCRATCH/known"
        spent "no$i.$round.$run@people.example" >>"$SCRATCH/unknown"
    done
    known=$(median "$SCRATCH/known") unknown=$(median "$SCRATCH/unknown")
    ! alike || break
done
check "known and unknown take as long ($known and $unknown us)" alike

# ---- what is mailed about a session ----

register gil -H 'User-Agent: laptop'
login 'correct horse' -H 'User-Agent: laptop'
login 'correct horse' -H 'User-Agent: telephone <b>'
mailed 'A new sign-in' 1
is 'which names the device' "$(mails 'A new sign-in' | jq -r '.[0].text' | grep -c 'telephone <b>')" 1
is 'and is HTML that is safe' "$(mails 'A new sign-in' | jq -r '.[0].html' | grep -c 'telephone &lt;b&gt;')" 1
login 'correct horse' -H 'User-Agent: telephone <b>'
spent=$(field .refreshToken) session=$(field .user.userId)
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$spent\"}" -H 'User-Agent: telephone <b>'
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$spent\"}" -H 'User-Agent: thief'
says 'reuse is refused' 401 '.code == "refresh_token_reused"'
mailed 'We ended a session' 1
is 'one mail for each' "$(mails 'A new sign-in' | jq length)" 1
is 'and one event' "$(sql auth "SELECT count(*) FROM outbox WHERE type = 'user.session.reuse_detected' AND aggregate_id = '$session'")" 1
ask POST "$A/auth/password" '{"currentPassword":"correct horse","newPassword":"battery staple"}' \
    -H "$(bearer "$(login 'correct horse' -H 'User-Agent: laptop' && field .accessToken)")"
says 'a changed password' 204
mailed 'Your password was changed' 1

# ---- where tokens are not ----

for database in auth notification; do
    url=$(upper $database)_MIGRATE_DATABASE_URL
    "$PG_BIN/pg_dump" -d "${!url}" >"$SCRATCH/dump.$database"
done
printf '%s\n' "${seen[@]}" >"$SCRATCH/tokens"
check 'there are tokens to look for' test "$(grep -c . "$SCRATCH/tokens")" -ge 6
is 'no dump of a database has one' "$(cat "$SCRATCH"/dump.* | grep -cFf "$SCRATCH/tokens" || true)" 0
is 'no log has one' "$(cat "$LOG"/*.log | grep -cFf "$SCRATCH/tokens" || true)" 0
is 'no event has one' "$(sql auth "SELECT body FROM outbox" | grep -cFf "$SCRATCH/tokens" || true)" 0
is 'though the events have what the mails need' "$(sql auth "SELECT count(*) > 5 FROM outbox WHERE type ~ 'requested' AND body ~ '\"(verification|reset)Token\":\"[A-Za-z0-9_-]{100,}\"'")" t
deliver notification-queue user.password.reset.requested "$ID" "{\"userId\":\"$ID\",\"email\":\"x\",\"resetToken\":\"marker-$run\",\"expiresAt\":\"soon\"}"
dead() { management GET /api/queues/%2f/notification-queue.dlq | jq -e '.messages > 0'; }
dead_letters() {
    management POST /api/queues/%2f/notification-queue.dlq/get -d '{"count":50,"ackmode":"ack_requeue_true","encoding":"auto"}'
}
dead_came() { dead_letters | grep user.password.reset.requested >/dev/null; }
check 'an event that nobody can read is a dead letter' until_true 10 dead_came
is 'without its token' "$(dead_letters | grep -c "marker-$run" || true)" 0

# ---- dying in the middle ----

if grep -qa reset_before_commit "$(service_binary auth)"; then
    register hal
    port=$((PORT_BASE + 17))
    service_stop auth
    service_start auth PORT=$port SOUK_FAULT=reset_before_commit
    A=http://127.0.0.1:$port/api/v1
    reset "$EMAIL"
    says 'a request is answered' 202
    service_stop auth-$port
    is 'and still there when its worker has died' "$(sql auth "SELECT count(*) FROM reset_requests WHERE email = '$EMAIL'")" 1
    service_start auth
    A=$AUTH_SERVICE_URL/api/v1
    mailed 'Choose a new password' 1 'from the next one'
fi
