#!/usr/bin/env bash
# Prometheus' own check of its configuration and rules, and the rules' unit tests: each alert fires
# when it should and keeps quiet otherwise. PROMTOOL names another promtool.
set -euo pipefail
cd "$(dirname "$0")/../../deploy/prometheus"
promtool=${PROMTOOL:-promtool}
command -v "$promtool" >/dev/null || {
    echo "promtool is not installed (Debian's package prometheus, see docs/HACKING.md)"
    exit 77
}
"$promtool" check config prometheus.yml
"$promtool" check rules --lint=all --lint-fatal alerts.yml
"$promtool" test rules alerts_test.yml
