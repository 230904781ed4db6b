#!/usr/bin/env bash
# Fifty refreshes at once are one; a refresh token used again after its time ends the login at every
# service within seconds, and its owner is told.
. tests/lib.sh

register mara seller
call POST /api/v1/sellers "{\"name\":\"Mara $RUN_ID\"}"
must 201
TOKEN='' call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"quite long $RUN_ID\"}"
must 200
first=$(field .refreshToken)
tokens_of() { sql auth "SELECT count(*) FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE s.user_id = '$USER_ID' AND $1"; }

TOKEN=''
for _ in $(seq 50); do aim POST /api/v1/auth/refresh "{\"refreshToken\":\"$first\"}"; done
fire 50
is "fifty refreshes of one token at once all succeed" "$(codes)" "50 200"
is "with the same successor" "$(jq -r .refreshToken "$WORK"/shot.* | sort -u | wc -l)" 1
second=$(jq -r .refreshToken "$WORK/shot.1") TOKEN=$(jq -r .accessToken "$WORK/shot.1")
is "one token was spent" "$(tokens_of 'spent_at IS NOT NULL')" 1

# Fifty more, half of which use the successor at the same time: whoever is late in the line is told
# so by the rules, and nobody gets a second successor.
TOKEN=''
for _ in $(seq 25); do
    aim POST /api/v1/auth/refresh "{\"refreshToken\":\"$second\"}"
    aim POST /api/v1/auth/refresh "{\"refreshToken\":\"$second\"}" 'user-agent: another'
done
fire 50
that "the same from two clients at once ends with 200 or a clean 401" \
    test -z "$(cut -d' ' -f2 "$WORK/codes" | grep -vx -e 200 -e 401)"
that "each 401 says why" test -z "$(cat "$WORK"/shot.* | jq -r 'select(.status == 401) | .code' | grep -vx -e refresh_token_reused -e invalid_refresh_token)"
that "there was one successor at most" test "$(cat "$WORK"/shot.* | jq -r '.refreshToken // empty' | sort -u | wc -l)" -le 1
is "and the login is over" "$(tokens_of "s.ended_at IS NULL AND s.user_agent NOT LIKE 'x'" | awk '{ print ($1 <= 1) }')" 1

# A login of its own for the theft.
call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"quite long $RUN_ID\"}"
must 200
spent=$(field .refreshToken) TOKEN=$(field .accessToken)
routes=(/api/v1/orders /api/v1/payment-methods /api/v1/inventory /api/v1/notifications /api/v1/recommendations
    "/api/v1/checkouts/$USER_ID" /api/v1/auth/sessions)
codes_everywhere() {
    local route
    for route in "${routes[@]}"; do
        call GET "$route"
        echo "$STATUS"
    done | sort | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = " " }'
}
is "before: every service takes the token" "$(codes_everywhere)" "6 200 1 404"
holder=$TOKEN
TOKEN='' call POST /api/v1/auth/refresh "{\"refreshToken\":\"$spent\"}"
must 200
newest=$(field .refreshToken)
psql -X -q -d "$AUTH_MIGRATE_DATABASE_URL" -c "UPDATE refresh_tokens t SET spent_at = spent_at - interval '11 s'
    FROM sessions s WHERE s.id = t.session_id AND s.user_id = '$USER_ID' AND t.spent_at IS NOT NULL"
TOKEN='' call POST /api/v1/auth/refresh "{\"refreshToken\":\"$spent\"}"
that "after its time of grace the spent token is a theft" answered 401 refresh_token_reused
TOKEN='' call POST /api/v1/auth/refresh "{\"refreshToken\":\"$newest\"}"
that "which ends the family" answered 401 invalid_refresh_token
TOKEN=$holder
refused_everywhere() { [ "$(codes_everywhere)" = "7 401" ]; }
soon 30 "its access token is refused by every service" refused_everywhere
that "the event is published" test "$(sql auth "SELECT count(*) >= 1 FROM outbox WHERE type = 'user.session.reuse_detected' AND aggregate_id = '$USER_ID'")" = t
audit
