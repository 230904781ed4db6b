#!/usr/bin/env bash
# Passwords, tokens, a card's number and keys go through everything there is: right, wrong, declined, lost, dead. Then
# all that the suite has written is searched for them: logs, databases, Redis, events, dead letters, and auth's memory
# after a crash.
. tests/lib.sh

declare -A SECRETS
began=$EPOCHSECONDS
link_token() { # TEXT: of the newest mail with it to the shopper
    curl -sS --max-time 30 "$MAIL_URL/email?to.address=$EMAIL" |
        jq -r --arg text "$1" '[.[] | select((.subject // "") | contains($text))] | last | .text // "" | capture("token=(?<t>[A-Za-z0-9_-]{43})").t // empty' >"$WORK/token"
    [ -s "$WORK/token" ]
}
log_in() {
    TOKEN=''
    call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"$1\"}"
}

# ---- secrets go through ----

SECRETS[password]="first-secret-$RUN_ID" SECRETS[wrong]="wrong-secret-$RUN_ID" SECRETS[reset]="third-secret-$RUN_ID"
SECRETS[changed]="second-secret-$RUN_ID" SECRETS[refused]="refused-secret-$RUN_ID-$(printf 'x%.0s' {1..130})"
SECRETS[card_number]="4000056655665556" SECRETS[card_token]="tok_marker_$RUN_ID" SECRETS[forged]="eyJhbGciOiJub25lIn0.forged$RUN_ID.x"
SECRETS[dead]="dead-secret-$RUN_ID" SECRETS[guessed_key]="guessed-key-of-cart-$RUN_ID"
EMAIL=marta.$RUN_ID@people.example
call POST /api/v1/auth/register "{\"email\":\"$EMAIL\",\"password\":\"${SECRETS[refused]}\",\"name\":\"Marta\"}"
must 422
call POST /api/v1/auth/register "{\"email\":\"$EMAIL\",\"password\":\"${SECRETS[password]}\",\"name\":\"Marta\"}" -H "idempotency-key: $(fresh_key)"
must 201
USER_ID=$(field .user.userId)
SECRETS[access]=$(field .accessToken) SECRETS[refresh]=$(field .refreshToken)
log_in "${SECRETS[wrong]}"
must 401
log_in "${SECRETS[password]}"
must 200
SECRETS[access_of_login]=$(field .accessToken) SECRETS[refresh_of_login]=$(field .refreshToken)
call POST /api/v1/auth/refresh "{\"refreshToken\":\"${SECRETS[refresh_of_login]}\"}"
must 200
SECRETS[successor]=$(field .refreshToken)
call POST /api/v1/auth/refresh "{\"refreshToken\":\"${SECRETS[refresh_of_login]}\"}" -A 'a thief'
must 401
TOKEN=${SECRETS[forged]}
call GET /api/v1/orders
must 401
TOKEN=${SECRETS[access]}
call POST /api/v1/auth/password "{\"currentPassword\":\"${SECRETS[wrong]}\",\"newPassword\":\"${SECRETS[changed]}\"}"
must 422
call POST /api/v1/auth/password "{\"currentPassword\":\"${SECRETS[password]}\",\"newPassword\":\"${SECRETS[changed]}\"}"
must 204

soon 20 "a link to verify the address is mailed" link_token 'Is this your e-mail address'
SECRETS[verification]=$(cat "$WORK/token")
call GET "/api/v1/auth/email-verifications/page?token=${SECRETS[verification]}"
must 200
call POST /api/v1/auth/email-verifications/confirm "{\"token\":\"${SECRETS[verification]}\"}"
must 204
TOKEN=''
call POST /api/v1/auth/password-resets "{\"email\":\"$EMAIL\"}"
must 202
soon 20 "and one to reset the password" link_token 'Choose a new password'
SECRETS[reset_token]=$(cat "$WORK/token")
call GET "/api/v1/auth/password-resets/page?token=${SECRETS[reset_token]}"
must 200
call POST /api/v1/auth/password-resets/confirm "{\"token\":\"${SECRETS[reset_token]}\",\"newPassword\":\"${SECRETS[reset]}\"}"
must 204
log_in "${SECRETS[reset]}"
must 200
SECRETS[access_in_the_end]=$(field .accessToken) SECRETS[refresh_in_the_end]=$(field .refreshToken)

product 10
TOKEN=${SECRETS[access_in_the_end]}
call POST /api/v1/payment-methods "{\"token\":\"${SECRETS[card_number]}\"}" -H "idempotency-key: $(fresh_key)"
must 422
card "${SECRETS[card_token]}"
put "$SKU"
checkout
that "a card that the bank doesn't know is declined" answered 402 payment_declined
card tok_visa
checkout
that "and another one is charged" answered 201

for svc in "${SERVICES[@]}"; do SECRETS[key_of_$svc]=$(cat "$STATE/service-keys/$svc.key"); done
SECRETS[service_token]=$(curl -sS --max-time 30 "$AUTH_SERVICE_URL/oauth2/token" -u "cart:${SECRETS[key_of_cart]}" -d grant_type=client_credentials -d audience=order | jq -r .access_token)
curl -sS --max-time 30 -o "$WORK/answer" "$AUTH_SERVICE_URL/oauth2/token" -u "cart:${SECRETS[guessed_key]}" -d grant_type=client_credentials -d audience=order
is "a service's key is checked" "$(field .error)" invalid_client

# A letter that its consumer can't read is kept for people, without what it held.
before=$(ctl dlq list --json | jq .total)
letter=$(sed 's/^\(.\{14\}\)./\17/' /proc/sys/kernel/random/uuid)
jq -nc --arg t "${SECRETS[dead]}" --arg id "$letter" --arg u "$USER_ID" '
    {eventId: $id, eventType: "user.password.reset.requested", type: "user.password.reset.requested", eventVersion: "1.0",
     source: "auth", aggregateId: $u, correlationId: "marker", timestamp: (now | todate),
     payload: {userId: 7, email: "x", token: $t, expiresAt: "never"}}' >"$WORK/letter"
jq -nc --arg id "$letter" --rawfile b "$WORK/letter" '{routing_key: "notification-queue", payload: ($b | rtrimstr("\n")), payload_encoding: "string",
    properties: {type: "user.password.reset.requested", message_id: $id, delivery_mode: 2}}' >"$WORK/message"
management POST /api/exchanges/%2f/amq.default/publish --data-binary @"$WORK/message" -o /dev/null
soon 20 "a broken letter dies" dead $((before + 1))

# ---- and are looked for ----

for name in "${!SECRETS[@]}"; do
    [ ${#SECRETS[$name]} -ge 16 ] || not_ok "there is a secret to look for: $name" "it is '${SECRETS[$name]}'"
    printf '%s\n' "${SECRETS[$name]}"
done | sort -u >"$WORK/secrets"

# found FILE...: the names of what is in them, and where
found() {
    local name
    grep -rlaFf "$WORK/secrets" "$@" >"$WORK/hits" 2>/dev/null || true
    while read -r file; do
        for name in "${!SECRETS[@]}"; do
            if grep -qaF -- "${SECRETS[$name]}" "$file"; then echo "$name in ${file##*/}"; fi
        done
    done <"$WORK/hits" | sort
}

mkdir "$WORK/dead"
management POST /api/queues/%2f/notification-queue.dlq/get -d '{"count":100,"ackmode":"ack_requeue_true","encoding":"auto"}' >"$WORK/dead/letters"
that "the dead letter is there, masked" grep -q '\*\*\*' "$WORK/dead/letters"
is "without its secret" "$(found "$WORK/dead")" ''
thrown_away() { ctl dlq drop --id "$letter" --reason 'a story is told' >"$WORK/dropped"; }
that "it can be thrown away" thrown_away
soon 30 "nothing is under way any more" quiet
is "no log has any of ${#SECRETS[@]} secrets" "$(found "$LOG" "$DATA/gateway")" ''
mkdir "$WORK/dumps"
for svc in "${SERVICES[@]}"; do
    url=$(upper "$svc")_MIGRATE_DATABASE_URL
    pg_dump -d "${!url}" >"$WORK/dumps/$svc.sql" || not_ok "the database of $svc can be dumped"
done
that "the dumps hold what happened" grep -q "$EMAIL" "$WORK/dumps/auth.sql"
# Payment has the provider's token of a card, which is what it charges: see docs/SECURITY.md.
is "no database has, but for the card's token with payment" "$(found "$WORK/dumps")" 'card_token in payment.sql'
mkdir "$WORK/redis"
redis-cli -u "$REDIS_URL" --rdb "$WORK/redis/dump.rdb" >/dev/null 2>&1
redis-cli -u "$REDIS_URL" --scan >"$WORK/redis/keys"
while read -r key; do
    redis-cli -u "$REDIS_URL" get "$key" || true
    redis-cli -u "$REDIS_URL" hgetall "$key" || true
done <"$WORK/redis/keys" >"$WORK/redis/values" 2>&1
that "Redis has something" test -s "$WORK/redis/dump.rdb"
is "but none of them" "$(found "$WORK/redis")" ''
mkdir "$WORK/events"
told "$WORK/told"
count=$(awk -v began=$began '$2 > began' "$WORK/told" | wc -l)
timeout 90 "$SOUK_BUILD/src/soukctl" events tail --since "$(date -u -d "@$began" +%FT%TZ)" --json --count "$count" >"$WORK/events/tail" 2>"$WORK/events.err" || true
that "the audit stream tells of all that ($(wc -l <"$WORK/events/tail") events)" grep -q "$USER_ID" "$WORK/events/tail"
is "and of no secret" "$(found "$WORK/events")" ''
# ---- a crash ----

# shellcheck disable=SC2317 # called through soon
auth_ready() { service_ready auth 2>/dev/null; }
# shellcheck disable=SC2317 # called through soon
crashed() { ! running auth || [ "$PID" != "$victim" ]; }
running auth
victim=$PID
is "no core may be written" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$victim/limits")" '0 0'
folder=$(readlink "/proc/$victim/cwd")
touch "$WORK/mark"
kill -ABRT "$victim"
soon 10 "auth is gone" crashed
soon 20 "and comes back" auth_ready
is "without having left a core" "$(find "$folder" /tmp /var/lib/systemd/coredump -maxdepth 1 -name 'core*' -newer "$WORK/mark" 2>/dev/null || true)" ''
audit
