#!/usr/bin/env bash
# Every named crash point is defined once, used in the code, and struck by a story or a component test.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
wrong() {
    echo "$*"
    bad=1
}

defined=$(sed -n 's/^FAULT_POINT(\([a-z_]*\),.*/\1/p' src/common/app/faults.def)
used=$(grep -rhoE '\bFAULT(_OF)?\("[a-z_]+"' src --include='*.c' | sed 's/.*"\(.*\)"/\1/' | sort)
[ -n "$defined" ] || wrong 'src/common/app/faults.def names no fault point'
for point in $(sort <<<"$defined" | uniq -d); do wrong "$point is defined twice"; done
for point in $(uniq -d <<<"$used"); do wrong "$point is used in more than one place"; done
for point in $defined; do
    grep -qx "$point" <<<"$used" || wrong "$point is defined but nowhere in the code"
    grep -rqw --include="*.sh" "$point" tests || wrong "no story strikes $point"
done
for point in $used; do grep -qx "$point" <<<"$defined" || wrong "$point is in the code but not in faults.def"; done
exit $bad
