#!/usr/bin/env bash
# Every route of every service is asked by everybody, and answers as its table says: see tests/walk/walk.mjs.
. tests/lib.sh

if node tests/walk/walk.mjs >"$WORK/walk" 2>"$WORK/walk.err"; then walked=0; else walked=$?; fi
tests=$(grep -cE '^(not )?ok ' "$WORK/walk" || true)
failures=$(grep -c '^not ok ' "$WORK/walk" || true)
grep -vE '^1\.\.' "$WORK/walk" || true
is "the walk came to its end" "$walked $(tail -n 1 "$WORK/walk" | grep -c '^1\.\.' || true)$(tail -n 5 "$WORK/walk.err")" "$((failures > 0 ? 1 : 0)) 1"
soon 30 "and nothing is under way any more" quiet
audit
