# shellcheck shell=bash
# ./souk test

testing_run() { die "coming"; }
