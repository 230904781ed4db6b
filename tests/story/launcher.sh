#!/usr/bin/env bash
# The launcher's promises: a crashed service comes back with a line that says so, a second `up` leaves
# what runs alone, a server can be pulled and put back.
set -euo pipefail
. tests/env.sh

running order || die "order does not run"
before=$PID
touch "$LOG/souk.log"
lines=$(grep -c 'order ended by itself' "$LOG/souk.log" || true)
kill -KILL "$PID"
for _ in {1..100}; do
    if running order && [ "$PID" != "$before" ] && service_ready order 2>/dev/null; then break; fi
    sleep 0.1
done
{ running order && [ "$PID" != "$before" ]; } || die "order did not come back"
service_ready order || die "order came back, but not ready"
[ "$(grep -c 'order ended by itself' "$LOG/souk.log")" -gt "$lines" ] || die "nobody said that order ended"

./souk stop redis
running redis && die "redis still runs"
./souk start redis
http_ok "$PUBLIC_URL/.well-known/jwks.json" || die "the gateway does not reach auth"

# Nothing internal is reachable through the gateway, and what it says itself is a problem document.
for path in /metrics /debug/fibers /internal/v1/revocations /livez '/api/v1/auth/../../internal/v1/revocations' '/api/v1/auth/%2e%2e/x'; do
    answer=$(curl -s --path-as-is -w '\n%{http_code} %{content_type}' "$PUBLIC_URL$path")
    [ "${answer##*$'\n'}" = '404 application/problem+json' ] || die "$path answers ${answer##*$'\n'}"
    jq -e '.status == 404 and .code == "not_found" and (.correlationId | length > 0)' <<<"${answer%$'\n'*}" >/dev/null
done

# Neither does a request that nginx itself can't read get its own HTML.
long=$(printf 'a%.0s' {1..20000})
for request in '400 /%00' '400 /api/v1/products/%zz' "414 /$long" '431 /api/v1/products'; do
    answer=$(curl -s --path-as-is -H "x-long: $([ "$request" != '431 /api/v1/products' ] || echo "$long")" \
        -w '\n%{http_code} %{content_type}' "$PUBLIC_URL${request#* }")
    [ "${answer##*$'\n'}" = "${request%% *} application/problem+json" ] || die "${request::40} answers ${answer##*$'\n'}"
    jq -e '.code and (.correlationId | length > 0)' <<<"${answer%$'\n'*}" >/dev/null
done

# A killed master leaves its workers with the port; the next start gets it back all the same.
running gateway || die "the gateway does not run"
kill -KILL "$PID"
while running gateway; do sleep 0.02; done
./souk start gateway
http_ok "$PUBLIC_URL/.well-known/jwks.json" || die "the gateway does not come back after a kill"

# What mailed links carry is in no log of the gateway, least of all when auth is away.
./souk stop auth
curl -s -o /dev/null "$PUBLIC_URL/api/v1/auth/password-resets/page?token=secret-$$"
curl -s -o /dev/null "$PUBLIC_URL/api/v1/auth/sessions?marker-$$"
./souk start auth
for _ in {1..50}; do ! grep -q "marker-$$" "$DATA/gateway/access.log" || break; sleep 0.1; done
grep -q "marker-$$" "$DATA/gateway/access.log" || die "the gateway's log is not written"
! grep -rq "secret-$$" "$DATA/gateway" "$LOG" || die "the token of a mailed link is in a log"

./souk stop aibuddy
answer=$(curl -s -w '\n%{http_code} %header{retry-after}' "$PUBLIC_URL/api/v1/trending")
./souk start aibuddy
[ "${answer##*$'\n'}" = '503 1' ] || die "a missing service answers ${answer##*$'\n'}"
jq -e '.code == "unavailable"' <<<"${answer%$'\n'*}" >/dev/null

# What nginx refuses by itself is a problem document, too, which a page of another origin may read.
# refused STATUS CODE REQUEST-LINE HEADER: sent as it is.
refused() {
    local got
    exec 7<>"/dev/tcp/127.0.0.1/${PORTS[gateway]}"
    printf '%s\r\nHost: x\r\n%s\r\nConnection: close\r\n\r\n' "$3" "$4" >&7
    got=$(timeout 5 cat <&7 | tr -d '\r') || true
    exec 7>&- 7<&-
    [[ $got == *" $1 "* && $got == *"\"code\":\"$2\""* && ${got,,} == *'access-control-allow-origin: *'* ]] ||
        die "the gateway answers $3 with $got instead of $1 $2"
}
refused 400 bad_request 'GET /api/v1/trending HTTP/2.0' 'X-A: b'
refused 501 not_implemented 'POST /api/v1/auth/login HTTP/1.1' 'Transfer-Encoding: xchunked'
refused 431 request_header_fields_too_large 'GET /api/v1/trending HTTP/1.1' "X-A: $(printf '%020000d' 0)"
refused 404 not_found 'GET /nothing HTTP/1.1' 'X-A: b'
refused 405 method_not_allowed 'TRACE /api/v1/trending HTTP/1.1' 'X-A: b'
