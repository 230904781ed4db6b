#!/usr/bin/env bash
# What a long outage of all consumers costs afterwards: so many messages wait in the queues, made by real checkouts and
# relayed by the services; then all of it is worked off beside a steady rate of checkouts. One line of JSON, appended to
# bench/results/backlog.jsonl with commit and conditions.   bench/backlog.sh [MESSAGES]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards. The story it tells, with 3,000
# messages a part of the tests, is tests/story/a-long-backlog-drains-beside-checkouts.sh.
export SOUK_STORY_EVENTS=${1:-100000}
export ADMISSION_LIMIT_MIN=${ADMISSION_LIMIT_MIN:-256} # nobody is turned away
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"
SOUK_STORY_REPORT=$PWD/bench/results/backlog.jsonl bash tests/story/a-long-backlog-drains-beside-checkouts.sh
