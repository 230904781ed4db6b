#!/usr/bin/env bash
# auth, when two change one account at the same time: a psql that holds the account's row lets the
# request read what was, wait, and find out what is. No order of the two may leave the worse of both.
set -euo pipefail
. tests/component-lib.sh

service_start auth REQUEST_TIMEOUT_MS=20000
A=$AUTH_SERVICE_URL/api/v1

newcomer() {
    account "$1"
    EMAIL=$(field .user.email) REFRESH=$(field .refreshToken)
}
login() { jq -nc --arg e "$EMAIL" --arg p "${1:-correct horse}" '{email: $e, password: $p}'; }
user() { sql auth "SELECT $2 FROM users WHERE id = '$1'"; }

# hold SQL: in a transaction that stays open; more of it with held. let_go commits.
coproc PSQL { exec psql -X -q -At -v ON_ERROR_STOP=1 -d "$AUTH_MIGRATE_DATABASE_URL" 2>&1; }
_say() { printf '%s;\n\\echo said\n' "$1" >&"${PSQL[1]}"; }
_heard() {
    local line
    while read -r -t 10 line <&"${PSQL[0]}"; do [ "$line" != said ] || return 0; done
    return 1
}
held() { _say "$1" && _heard; }
hold() { held "BEGIN" && held "$1"; }
let_go() { held COMMIT; }
waits() { [ "$(sql auth "SELECT count(*) FROM pg_locks WHERE NOT granted")" -ge 1 ]; }
# later ASK...: in the background, until it waits for the lock.
later() {
    (ask "$@" && printf '%s\n%s\n' "$STATUS" "$BODY" >"$SCRATCH/later") &
    LATER=$!
    until_true 10 waits || not_ok "$1 $2 did not come to wait"
}
finish() {
    wait $LATER || true
    STATUS=$(sed -n 1p "$SCRATCH/later") BODY=$(sed -n 2p "$SCRATCH/later")
}

# ---- what was checked or signed must still hold when it is written ----

newcomer role
hold "UPDATE users SET roles = '{user,seller}' WHERE id = '$ID'"
later POST "$A/auth/login" "$(login)"
let_go
finish
says 'no login begins with roles of before' 401 '.code == "invalid_credentials"'
ask POST "$A/auth/login" "$(login)"
says 'the next one has those of now' 200 '.user.roles == ["user", "seller"]'

newcomer thief
hold "UPDATE users SET password_hash = 'what the owner has just set' WHERE id = '$ID'"
later POST "$A/auth/password" '{"currentPassword":"correct horse","newPassword":"battery staple"}' -H "$(bearer "$ACCESS")"
let_go
finish
says 'a change of the password does not undo a reset that was faster' 422 '.errors[0].pointer == "/currentPassword"'
is 'which stays' "$(user "$ID" password_hash)" 'what the owner has just set'

newcomer first
admin=$ID
sql auth "UPDATE users SET roles = '{user,admin}' WHERE id = '$admin'"
ask POST "$A/auth/login" "$(login)"
admin_access=$(field .accessToken)
newcomer second
sql auth "UPDATE users SET roles = '{user,admin}' WHERE id = '$ID'"
hold "UPDATE users SET roles = '{user}' WHERE id = '$admin'"
later PUT "$A/auth/users/$ID/roles" '{"roles":["user"]}' -H "$(bearer "$admin_access")"
let_go
finish
says 'who is no admin any more sets no roles' 401
is 'so of two who take them from each other one is left' "$(user "$ID" roles)" '{user,admin}'

# ---- everybody locks the account first: nobody waits for each other ----

# link PURPOSE: one of the account's; sets TOKEN.
link() {
    TOKEN=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
    sql auth "INSERT INTO mail_tokens (digest, purpose, user_id, email, expires_at) VALUES ('$(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)', '$1', '$ID', '$EMAIL', now() + interval '1 hour')"
}
newcomer links
link verify_email
hold "SELECT FROM users WHERE id = '$ID' FOR UPDATE"
later POST "$A/auth/email-verifications/confirm" "{\"token\":\"$TOKEN\"}"
check 'a link that is being used stays free for who ends it' held "UPDATE mail_tokens SET ended_at = now() WHERE user_id = '$ID'"
let_go
finish
says 'and has ended then' 400 '.code == "invalid_link"'
link reset_password
hold "SELECT FROM users WHERE id = '$ID' FOR UPDATE"
later POST "$A/auth/password-resets/confirm" "{\"token\":\"$TOKEN\",\"newPassword\":\"battery staple\"}"
check 'likewise one for a new password' held "UPDATE mail_tokens SET ended_at = now() WHERE user_id = '$ID'"
let_go
finish
says 'which is not set' 400 '.code == "invalid_link"'
link reset_password
hold "UPDATE users SET status = 'deactivated' WHERE id = '$ID'"
later POST "$A/auth/password-resets/confirm" "{\"token\":\"$TOKEN\",\"newPassword\":\"battery staple\"}"
let_go
finish
says 'nor on an account that was closed meanwhile' 400 '.code == "invalid_link"'

newcomer reuse
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$REFRESH\"}" -A one
hold "SELECT FROM users WHERE id = '$ID' FOR UPDATE"
later POST "$A/auth/refresh" "{\"refreshToken\":\"$REFRESH\"}" -A another
check 'while a reuse is noticed sessions stay free for who ends them' held "UPDATE sessions SET ended_at = now() WHERE user_id = '$ID'"
let_go
finish
says 'and the reuse is refused' 401
is 'without being told twice' "$(sql auth "SELECT count(*) FROM audit_log WHERE user_id = '$ID' AND type = 'token_reused'")" 0

# ---- a session ends some day, however much it is used ----

newcomer long
sql auth "UPDATE sessions SET created_at = now() - interval '90 days' + interval '1 hour' WHERE user_id = '$ID'"
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$REFRESH\"}"
says 'an old session can be refreshed' 200
is 'but not beyond its ninety days' "$(sql auth "SELECT expires_at - now() BETWEEN interval '50 minutes' AND interval '1 hour' FROM sessions WHERE user_id = '$ID'")" t
REFRESH=$(field .refreshToken)
sql auth "UPDATE sessions SET created_at = now() - interval '91 days', expires_at = now() - interval '1 day' WHERE user_id = '$ID'"
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$REFRESH\"}"
says 'then one logs in again' 401 '.code == "invalid_refresh_token"'
