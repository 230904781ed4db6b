#!/usr/bin/env bash
# The runtime roles: rows of their own database and nothing else.
set -euo pipefail
. tests/env.sh

run() { psql -X -q -At -v ON_ERROR_STOP=1 -d "$1" -c "$2" 2>&1; }
refused() {
    local answer
    if answer=$(run "$1" "$2"); then die "allowed: $2"; fi
    case $answer in *"permission denied"* | *"must be owner"*) ;; *) die "failed otherwise: $answer" ;; esac
}

run "$CART_MIGRATE_DATABASE_URL" 'CREATE TABLE role_test (id bigserial PRIMARY KEY, what text)'
trap 'run "$CART_MIGRATE_DATABASE_URL" "DROP TABLE role_test"' EXIT
run "$CART_DATABASE_URL" "INSERT INTO role_test (what) VALUES ('a'); UPDATE role_test SET what = 'b'; SELECT * FROM role_test; DELETE FROM role_test" >/dev/null
refused "$CART_DATABASE_URL" 'CREATE TABLE other (id int)'
refused "$CART_DATABASE_URL" 'DROP TABLE role_test'
refused "$CART_DATABASE_URL" 'TRUNCATE role_test'
refused "$(sed -E 's,/souk_cart(\?|$),/souk_order\1,' <<<"$CART_DATABASE_URL")" 'SELECT 1'
refused "$CART_AUDIT_DATABASE_URL" 'DELETE FROM role_test'
run "$CART_AUDIT_DATABASE_URL" 'SELECT count(*) FROM role_test' >/dev/null
[ "$(run "$CART_DATABASE_URL" 'SHOW statement_timeout; SHOW lock_timeout; SHOW idle_in_transaction_session_timeout; SHOW TimeZone; SHOW fsync' | paste -sd ' ')" = '5s 2s 10s UTC on' ]
