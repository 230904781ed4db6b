#!/usr/bin/env bash
# auth dies before and after it spends a refresh token: whoever asks again is still logged in, by
# one token and no other.
. tests/lib.sh

refresh() {
    TOKEN='' call POST /api/v1/auth/refresh "{\"refreshToken\":\"$1\"}"
}
usable() {
    sql_is auth "SELECT count(*) FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
        WHERE s.user_id = '$USER_ID' AND s.ended_at IS NULL AND t.spent_at IS NULL" 1
}

for point in refresh_before_commit refresh_after_commit; do
    register "${point//_/.}" user
    first=$(field .refreshToken)
    arm auth $point
    refresh "$first"
    that "$point: the client gets no answer" answered 503
    that "one token is usable" usable
    soon 8 "auth comes back" struck auth
    refresh "$first"
    that "the same token, asked again, is taken" answered 200
    second=$(field .refreshToken)
    refresh "$first"
    that "and asked once more gives the same successor" test "$(field .refreshToken)" = "$second"
    that "still one token is usable" usable
    refresh "$second"
    that "the successor is good" answered 200
    TOKEN=$(field .accessToken)
    call GET "/api/v1/users/$USER_ID"
    that "and so is the access token" answered 200
done
audit
