#!/usr/bin/env bash
# Logins per second while 200 clients log in, and what that does to browsing (a profile from auth, the product list from
# seller, both through the gateway): one line of JSON, appended to bench/results/logins.jsonl with commit and conditions.
#   bench/logins.sh [CLIENTS] [ROUNDS]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards.
# All clients come from one address here.
export LOGIN_ADDRESS_BURST=1000000 LOGIN_ADDRESS_PER_MINUTE=1000000 LOGIN_DEVICE_BURST=100000 LOGIN_DEVICE_PER_MINUTE=100000
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"
export AUTH_SERVICE_URL=$PUBLIC_URL SELLER_SERVICE_URL=$PUBLIC_URL

"$SOUK_BUILD/bench/bench-logins" --clients "${1:-200}" --rounds "${2:-6}" | result logins
