#!/usr/bin/env bash
# auth's OAuth side: metadata, the token endpoint with each grant and each way to show a client,
# revocation, introspection, and what is refused in which words.
# shellcheck disable=SC2016 # the programs of jq are not for the shell
set -euo pipefail
. tests/component-lib.sh

service_start auth LOGIN_ADDRESS_BURST=100000
O=$AUTH_SERVICE_URL/oauth2
cart_key=$(secret api-cart)

# form PATH FIELDS [CURL ARGS]
form() {
    local path=$1 fields=$2
    shift 2
    ask POST "$O/$path" - "$@" -H 'Content-Type: application/x-www-form-urlencoded' --data-binary "$fields"
}
token() { form token "$@"; }
# refused SENTENCE ERROR [STATUS]
refused() {
    says "$1" "${3:-400}" ".error == \"$2\"" '.error_description | length > 0' 'has("code") | not'
}
part() { cut -d. -f"$2" <<<"$1" | tr '_-' '/+' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' | base64 -d; }
# newcomer NAME: sets ACCESS, REFRESH, ID
newcomer() {
    account "$1"
    REFRESH=$(field .refreshToken)
}

# ---- metadata ----

ask GET "$AUTH_SERVICE_URL/.well-known/oauth-authorization-server"
says 'the metadata names the issuer' 200 ".issuer == \"$PUBLIC_URL\""
metadata=$BODY
is 'every endpoint is under it' "$(jq -r --arg i "$PUBLIC_URL/" '[to_entries[] | select(.key | test("_(endpoint|uri)$")) | .value | startswith($i)] | all' <<<"$metadata")" true
for path in $(jq -r --arg i "$PUBLIC_URL" 'to_entries[] | select(.key | test("_endpoint$")) | .value | ltrimstr($i)' <<<"$metadata"); do
    ask POST "$AUTH_SERVICE_URL$path" - -H 'Content-Type: application/x-www-form-urlencoded'
    refused "$path is there, and an empty form is refused in OAuth's words" invalid_request
done
ask GET "$AUTH_SERVICE_URL$(jq -r --arg i "$PUBLIC_URL" '.jwks_uri | ltrimstr($i)' <<<"$metadata")"
says 'the key set is where it says' 200 '.keys | length >= 2'
check 'no authorization endpoint is promised' jq -e '.response_types_supported == [] and has("authorization_endpoint") == false' <<<"$metadata"

# ---- clients and client_credentials ----

service='grant_type=client_credentials&audience=payment'
token "$service" -u "cart:$cart_key"
says 'a service gets a token by Basic' 200 '.token_type == "Bearer"' '.expires_in <= 300' 'has("refresh_token") | not'
is 'which no cache keeps' "$(header Cache-Control)" no-store
check 'for that callee, of that caller' jq -e '.aud == "payment" and .sub == "cart" and .roles == ["service"] and .exp - .iat <= 300 and (has("sid") | not)' <<<"$(part "$(field .access_token)" 2)"
token "$service&client_id=cart&client_secret=$cart_key"
says 'or by its form' 200
token 'grant_type=client_credentials&resource=urn:souk:payment' -u "cart:$cart_key"
says 'the callee may be a resource' 200
check 'and is the same audience' jq -e '.aud == "payment"' <<<"$(part "$(field .access_token)" 2)"
token "$service&client_id=cart" -u "cart:$cart_key"
says 'naming the client in both places is allowed when they agree' 200
token "$service" -H "Authorization: Basic $(printf 'c%%61rt:%s' "$cart_key" | base64 -w 0)"
says 'the halves of Basic are form-encoded' 200
token "$service&client_id=order" -u "cart:$cart_key"
refused 'two clients are one too many' invalid_request
token "$service&client_secret=$cart_key" -u "cart:$cart_key"
refused 'so are two secrets' invalid_request
for wrong in "cart:wrong" "cart:$(secret api-order)" "nobody:$cart_key" "../cart:$cart_key" "cart:" "souk-app:secret"; do
    token "$service" -u "$wrong"
    refused "${wrong%%:*} is no client with what it says (${#wrong} characters)" invalid_client 401
    check 'and is challenged' grep -qi '^WWW-Authenticate: Basic realm="souk"' <<<"$HEAD"
done
for wrong in '!' "$(printf nocolon | base64)" "$(printf 'cart:%%zz' | base64)" "$(head -c 2000 /dev/zero | base64 -w 0)"; do
    token "$service" -H "Authorization: Basic $wrong"
    refused "a Basic of ${#wrong} bytes that can't be read is none" invalid_client 401
done
token "$service"
refused 'without a client nothing is given' invalid_client 401
token "$service&client_id=souk-app"
refused 'apps are no services' unauthorized_client
token 'grant_type=client_credentials' -u "cart:$cart_key"
refused 'a callee has to be named' invalid_target
for wrong in 'audience=souk' 'audience=' 'audience=payment,auth' 'resource=payment' 'resource=urn:souk:souk' 'audience=auth&resource=urn:souk:payment'; do
    token "grant_type=client_credentials&$wrong" -u "cart:$cart_key"
    refused "$wrong is no callee" invalid_target
done
token "$service&scope=all" -u "cart:$cart_key"
refused 'there are no scopes' invalid_scope
token "grant_type=password&username=a&password=b" -u "cart:$cart_key"
refused 'nor passwords for tokens' unsupported_grant_type
token "$service&audience=auth" -u "cart:$cart_key"
refused 'no field comes twice' invalid_request
token "$service&x=1&x=2" -u "cart:$cart_key"
says 'unknown ones are nobody'"'"'s business' 200
token 'grant_type=%zz' -u "cart:$cart_key"
refused 'a broken escape is refused' invalid_request
ask POST "$O/token" '{"grant_type":"client_credentials"}'
refused 'JSON is not read here' invalid_request
ask GET "$O/token"
says 'nor is GET' 405

# ---- refresh_token ----

newcomer rosa
token "grant_type=refresh_token&client_id=souk-app&refresh_token=$REFRESH"
says 'an app trades its refresh token' 200 '.refresh_token | length == 43' '.token_type == "Bearer"'
second=$(field .refresh_token)
token "grant_type=refresh_token&client_id=souk-app&refresh_token=$REFRESH"
says 'asked again at once, it gets the same one' 200 ".refresh_token == \"$second\""
token "grant_type=refresh_token&refresh_token=$second"
refused 'an app says who it is' invalid_client 401
token "grant_type=refresh_token&refresh_token=$second" -u "cart:$cart_key"
refused 'services have no sessions' unauthorized_client
token 'grant_type=refresh_token&client_id=souk-app'
refused 'the token has to be there' invalid_request
token "grant_type=refresh_token&client_id=souk-app&refresh_token=$(printf 'x%.0s' {1..43})"
refused 'an invented one is refused' invalid_grant
token "grant_type=refresh_token&client_id=souk-app&refresh_token=$REFRESH" -H 'User-Agent: somebody else'
refused 'a spent one in other hands as well' invalid_grant
token "grant_type=refresh_token&client_id=souk-app&refresh_token=$second"
refused 'and ends the family' invalid_grant
reuse_events() { sql auth "SELECT count(*) FROM outbox WHERE type = 'user.session.reuse_detected' AND aggregate_id = '$ID'"; }
is 'which is told once' "$(reuse_events)" 1

# ---- introspection ----

newcomer ida
looked_at=$ACCESS
form introspect "token=$looked_at" -u "cart:$cart_key"
says 'a service sees whose token it is' 200 '.active' ".sub == \"$ID\"" ".iss == \"$PUBLIC_URL\"" '.aud == "souk"' '.client_id == "souk-app"' '.roles == ["user"]' '.exp > now'
form introspect "token=$looked_at&token_type_hint=access_token" -H "$(bearer "$(service_token order auth)")"
says 'or shows a token of its own for auth' 200 '.active'
form introspect "token=$(service_token order cart)" -u "cart:$cart_key"
says 'a service token for the asker is active' 200 '.active' '.sub == "order"' '.aud == "cart"' 'has("sid") | not'
form introspect "token=$(service_token order payment)" -u "cart:$cart_key"
says 'one for somebody else is not' 200 '. == {"active": false}'
form introspect "token=$(service_token order payment)" -u "payment:$(secret api-payment)"
says 'until that one asks' 200 '.active'
form introspect "token=$(service_token order payment)" -u "cart:$cart_key"
says 'and not afterwards' 200 '.active == false'
for wrong in "$REFRESH" "${looked_at%???}AAA" "$looked_at." x; do
    form introspect "token=$wrong" -u "cart:$cart_key"
    says "a token of ${#wrong} bytes that is not good is inactive" 200 '. == {"active": false}'
done
form introspect "token=$looked_at"
refused 'strangers may not ask' invalid_client 401
form introspect "token=$looked_at&client_id=souk-app"
refused 'nor apps' invalid_client 401
form introspect "token=$looked_at" -H "$(bearer "$looked_at")"
refused 'nor users' invalid_client 401
form introspect "token=$looked_at" -H "$(bearer "$(service_token order cart)")"
refused 'nor a service with a token for another callee' invalid_client 401
form introspect '' -u "cart:$cart_key"
refused 'the token has to be there' invalid_request

# ---- revocation ----

form revoke "token=$looked_at&client_id=souk-app"
says 'revoking an access token ends its login' 200
form introspect "token=$looked_at" -u "cart:$cart_key"
says 'which is seen at once' 200 '.active == false'
token "grant_type=refresh_token&client_id=souk-app&refresh_token=$REFRESH"
refused 'by its refresh token as well' invalid_grant
newcomer ruth
form revoke "token=$REFRESH&client_id=souk-app&token_type_hint=refresh_token"
says 'revoking a refresh token ends its login' 200
form introspect "token=$ACCESS" -u "cart:$cart_key"
says 'and its access token' 200 '.active == false'
form revoke "token=$REFRESH&client_id=souk-app"
says 'once more is no mistake' 200
form revoke 'token=never-seen&client_id=souk-app'
says 'nor is an unknown one' 200
form revoke "token=$(service_token order cart)" -u "order:$(secret api-order)"
refused "a service's tokens just run out" unsupported_token_type
form revoke "token=$REFRESH"
refused 'the client is named' invalid_client 401
is 'each login ended once in the log' "$(sql auth "SELECT count(*) FROM audit_log WHERE type = 'logout' AND user_id = '$ID'")" 1

# ---- guessing ----

service_stop auth
service_start auth LOGIN_ADDRESS_BURST=3 LOGIN_ADDRESS_PER_MINUTE=1 REDIS_URL=
for _ in 1 2 3; do token "$service" -u cart:wrong; done
refused 'three guesses are answered' invalid_client 401
token "$service" -u cart:wrong
says 'the fourth has to wait' 429 '.code == "too_many_requests"'
token "$service" -u "cart:$cart_key"
says 'who knows the secret is not held up' 200
