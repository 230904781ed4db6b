#!/usr/bin/env bash
# A story that uses the common library ends with the audit: no story leaves without balanced books.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0
for story in tests/story/*.sh; do
    grep -q '^\. tests/lib.sh$' "$story" || continue
    [ "$(tail -n 1 "$story")" = audit ] || { echo "$story does not end with the audit" && bad=1; }
done
exit $bad
