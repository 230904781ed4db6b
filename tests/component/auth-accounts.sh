#!/usr/bin/env bash
# auth on a real server: the audit log, the default address, versions of a profile.
# shellcheck disable=SC2016 # the programs of jq are not for the shell
set -euo pipefail
. tests/component-lib.sh

service_start auth
A=$AUTH_SERVICE_URL/api/v1
run=$EPOCHSECONDS$$
register() {
    EMAIL=$1.$run@people.example
    ask POST "$A/auth/register" "{\"email\":\"$EMAIL\",\"password\":\"correct horse\",\"name\":\"Anna\"}" "${@:2}"
    ACCESS=$(field .accessToken) REFRESH=$(field .refreshToken) ID=$(field .user.userId)
}
login() {
    ask POST "$A/auth/login" "{\"email\":\"$EMAIL\",\"password\":\"$1\"}" "${@:2}"
    ACCESS=$(field .accessToken) REFRESH=$(field .refreshToken)
}
as() { ask "$1" "$A$2" "${3:--}" -H "$(bearer "$ACCESS")" "${@:4}"; }

# ---- what the log has ----

register anna -H 'User-Agent: laptop' -H "X-Correlation-ID: first-$run"
anna=$ID anna_mail=$EMAIL
login 'wrong horse' -H 'User-Agent: thief'
login 'correct horse'
spent=$REFRESH session=$(as GET /auth/sessions && field '.data[] | select(.current) | .sessionId')
as POST /auth/email-verifications
as POST /auth/password '{"currentPassword":"correct horse","newPassword":"battery staple"}'
as DELETE "/auth/sessions/$(uuid)"
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$spent\"}"
ask POST "$A/auth/refresh" "{\"refreshToken\":\"$spent\"}" -H 'User-Agent: thief'
login 'battery staple'
as POST /auth/logout
login 'battery staple'
ask POST "$A/auth/password-resets" "{\"email\":\"$anna_mail\"}"
in_log() { as GET "/auth/audit?limit=100&type=$1" && [ "$(field '.data | length')" = "$2" ]; }
check 'a reset is in the log once it is worked off' until_true 5 in_log reset_requested 1
as GET '/auth/audit?limit=100'
says 'the owner sees it all, newest first' 200 '[.data[].type] == ["reset_requested", "login", "logout", "login", "token_reused",
    "password_changed", "verification_requested", "login", "login_failed", "verification_requested", "registered"] or
    ([.data[].type] | sort) == ["login", "login", "login", "login_failed", "logout", "password_changed", "registered",
    "reset_requested", "token_reused", "verification_requested", "verification_requested"]' \
    '[.data[].at] | . == (sort | reverse)' '.hasMore == false'
says 'with what it was done' 200 '.data[] | select(.type == "registered") | .userAgent == "laptop" and (.address | length > 0)'
says 'under its correlation' 200 ".data[] | select(.type == \"registered\") | .correlationId == \"first-$run\""
says 'a failure has no actor' 200 '.data[] | select(.type == "login_failed") | .actorId == null and .userAgent == "thief"'
says 'a session has its id' 200 ".data[] | select(.type == \"token_reused\") | .sessionId == \"$session\""
is 'and nothing secret' "$(grep -ciE 'correct horse|battery|wrong horse|'"$spent" <<<"$BODY" || true)" 0
as GET '/auth/audit?limit=3'
says 'it comes in pages' 200 '.data | length == 3' '.hasMore'
last=$(field '.data[2].entryId')
as GET "/auth/audit?limit=3&cursor=$(field .nextCursor)"
says 'one after the other' 200 '.data | length == 3' "all(.data[]; .entryId != \"$last\")"
as GET '/auth/audit?type=nonsense'
says 'an unknown type is refused' 422 '.errors[0].pointer == "/type"'
as GET "/auth/audit?since=$(date -u -d '+1 hour' +%FT%TZ)"
says 'nothing is later than now' 200 '.data == []'
ask GET "$A/auth/audit"
says 'strangers see nothing' 401

anna_access=$ACCESS
register ben
as GET "/auth/audit?userId=$anna"
says "somebody else's log is not there" 404
as GET '/auth/audit?limit=100'
says 'the own is' 200 "all(.data[]; .userId == \"$ID\")"
ben_mail=$EMAIL
sql auth "UPDATE users SET roles = '{user,admin}' WHERE id = '$ID'"
login 'correct horse' -H 'User-Agent: desk of the admin'
admin=$ID admin_access=$ACCESS
as GET "/auth/audit?userId=$anna&type=login_failed"
says 'an admin sees any' 200 '.data | length == 1'
ask POST "$A/auth/login" '{"email":"nobody@people.example","password":"wrong horse"}' -H "User-Agent: stranger-$run"
as GET '/auth/audit?type=login_failed&limit=1'
says 'also of nobody, without a name' 200 ".data[0].userAgent == \"stranger-$run\"" '.data[0].userId == null'
is 'the address tried is kept nowhere' "$(sql auth "SELECT count(*) FROM audit_log a WHERE a::text LIKE '%nobody@people%'")" 0
as PUT "/auth/users/$anna/roles" '{"roles":["user","seller"]}' -H 'User-Agent: desk of the admin'
says 'a role is given' 200
EMAIL=$anna_mail
login 'battery staple'
as GET '/auth/audit?type=roles_changed'
says 'its owner sees what and by whom, not from where' 200 '.data[0].detail == "{user} to {user,seller}"' \
    ".data[0].actorId == \"$admin\"" '.data[0].address == null' '.data[0].userAgent == null'
ACCESS=$admin_access
as GET "/auth/audit?userId=$anna&type=roles_changed"
says 'admins see that too' 200 '.data[0].userAgent == "desk of the admin"'
as DELETE "/users/$anna"
says 'an admin closes an account' 204
as GET "/auth/audit?userId=$anna&type=deactivated"
says 'which is in the log' 200 ".data[0].actorId == \"$admin\""

# ---- append-only ----

refused() { ! psql -X -q -v ON_ERROR_STOP=1 -d "$1" -c "$2" >"$SCRATCH/answer" 2>&1 && grep -qE "$3" "$SCRATCH/answer"; }
check 'the service can change no entry' refused "$AUTH_DATABASE_URL" "UPDATE audit_log SET type = 'x'" 'permission denied'
check 'and delete none' refused "$AUTH_DATABASE_URL" 'DELETE FROM audit_log' 'permission denied'
check 'nor empty it' refused "$AUTH_DATABASE_URL" 'TRUNCATE audit_log' 'permission denied'
check 'nor can the owner change one' refused "$AUTH_MIGRATE_DATABASE_URL" "UPDATE audit_log SET type = 'x'" 'append-only'
check 'or delete a young one' refused "$AUTH_MIGRATE_DATABASE_URL" 'DELETE FROM audit_log' 'append-only'
old=$(uuid)
sql auth "INSERT INTO audit_log (id, at, type, address, user_agent, correlation_id) VALUES ('$old', now() - interval '200 days', 'login', '', '', 'x')"
purge() { psql -X -q -At -d "$AUTH_DATABASE_URL" -c "SELECT audit_log_purge($1)"; }
is 'what is younger than asked stays' "$(purge 400)" 0
is 'what is older goes' "$(purge 1)" 1
is 'and nothing younger than 90 days' "$(sql auth "SELECT count(*) > 10 FROM audit_log")" t

# ---- the default address ----

register cleo
home='{"name":"Cleo","line1":"1 Market Street","city":"Hamburg","country":"DE"}'
work='{"name":"Cleo","line1":"2 Office Road","city":"Bremen","country":"DE","isDefault":true}'
defaults() { sql auth "SELECT string_agg(city, ',') FROM addresses WHERE user_id = '$ID' AND is_default"; }
as POST "/users/$ID/addresses" "$home"
says 'the first address is the default' 201 '.isDefault'
first=$(field .addressId)
as POST "/users/$ID/addresses" "${home/Hamburg/Ulm}"
says 'the next is not' 201 '.isDefault == false'
as POST "/users/$ID/addresses" "$work"
says 'unless it is said to be' 201 '.isDefault'
second=$(field .addressId)
is 'there is one default' "$(defaults)" Bremen
as PUT "/users/$ID/addresses/$second" "${home/Hamburg/Kiel}"
says 'a change that does not name it leaves it' 200 '.isDefault' '.city == "Kiel"'
as PUT "/users/$ID/addresses/$first" "${work/Bremen/Hamburg}"
says 'it can be moved' 200 '.isDefault'
is 'and is still one' "$(defaults)" Hamburg
as PUT "/users/$ID/addresses/$(uuid)" "$work"
says 'an address that is not there takes nothing' 404
is 'not even the default' "$(defaults)" Hamburg
as DELETE "/users/$ID/addresses/$first"
says 'the default is removed' 204
is 'the newest takes its place' "$(defaults)" Kiel
for n in {1..12}; do aim PUT "$A/users/$ID/addresses/$second" "$work" "$(bearer "$ACCESS")"; done
for n in {1..12}; do aim POST "$A/users/$ID/addresses" "$work" "$(bearer "$ACCESS")"; done
is 'many at once all succeed' "$(volley)" '12 200, 12 201'
is 'and leave one' "$(sql auth "SELECT count(*) FROM addresses WHERE user_id = '$ID' AND is_default")" 1

# ---- versions ----

as GET "/users/$ID"
tag=$(header ETag)
check 'a profile has a version' test -n "$tag"
as PATCH "/users/$ID" '{"name":"Cleopatra"}' -H "If-Match: $tag"
says 'a change of what was seen is taken' 200 '.name == "Cleopatra"'
as PATCH "/users/$ID" '{"name":"Cleo"}' -H "If-Match: $tag"
says 'of what has changed since is not' 412 '.code == "precondition_failed"'
as PATCH "/users/$ID" '{"name":"Cleo"}'
says 'without a version it is' 200
