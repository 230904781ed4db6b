#!/usr/bin/env bash
# The alerts against everything they lean on: a section in the runbook, a case that fires and one
# that keeps quiet, series that the sources declare. Prints what is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
rules=deploy/prometheus/alerts.yml cases=deploy/prometheus/alerts_test.yml book=docs/RUNBOOK.md
bad=0
miss() { printf '%s\n' "$1" && bad=1; }

mapfile -t alerts < <(sed -n 's/^ *- alert: //p' "$rules")
[ ${#alerts[@]} -gt 0 ] || miss "no alert in $rules"

# "fires NAME" or "quiet NAME" for each evaluation.
evaluations=$(awk '
    /\{eval_time: .*alertname: / { sub(/.*alertname: /, ""); sub(/}.*/, ""); print "quiet", $0 }
    /^ +alertname: / { name = $2 }
    /^ +- exp_labels:/ { print "fires", name }' "$cases")
for alert in "${alerts[@]}"; do
    grep -qx "### $alert" "$book" || miss "$book has no section $alert"
    grep -qx " *runbook: $book#${alert,,}" "$rules" || miss "$alert does not name its section of $book"
    for kind in fires quiet; do
        grep -qx "$kind $alert" <<<"$evaluations" || miss "$cases has no case in which $alert: $kind"
    done
done

# What the runbook and the cases tell of is an alert.
while read -r name; do
    grep -qxF "$name" < <(printf '%s\n' "${alerts[@]}") || miss "there is no alert $name"
done < <({ sed -n 's/^### \(Souk[A-Za-z]*\)$/\1/p' "$book" && cut -d' ' -f2 <<<"$evaluations"; } | sort -u)

while read -r series; do
    grep -rqF ".name = \"$(sed -E 's/_(bucket|sum|count)$//' <<<"$series")\"" src || miss "no source declares $series"
done < <(grep -v '^ *#' "$rules" | grep -oE '\bsouk_[a-z_]+' | sort -u)

# Every service is scraped.
for service in auth cart order payment seller notification aibuddy; do
    grep -q "labels: {service: $service}" deploy/prometheus/prometheus.yml || miss "$service is not scraped"
done
exit $bad
