#!/usr/bin/env bash
# Calls that the house does without: unchecked memory outside base, waits that block the loop, functions
# with hidden state or without bounds. Comments do not count.
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0

# ban PATTERN WHY [EXCEPT]: files whose path matches EXCEPT are let off.
ban() {
    local hits
    hits=$(git ls-files --cached --others --exclude-standard 'src/*.c' 'src/*.h' | grep -Ev "${3:-^$}" |
        xargs grep -nE "(^|[^_[:alnum:].>\"])($1)[[:space:]]*\(" | grep -vE '^[^:]+:[0-9]+:[[:space:]]*(/?\*|//)' || true)
    [ -n "$hits" ] || return 0
    printf '%s\n    %s\n' "$hits" "$2"
    bad=1
}

ban 'malloc|calloc|realloc|strdup|strndup|asprintf' 'memory comes from base (mem.h, arena.h)' '^src/common/base/'
ban 'sleep|usleep|nanosleep' 'a fiber waits with the loop, not beside it' '^src/common/base/clock'
ban 'strcpy|strcat|vsprintf|gets|strtok|alloca' 'no bounds'
# The log's formatter reserves its room beforehand.
ban 'sprintf' 'no bounds' '^src/common/base/log.c'
ban 'atoi|atol|atoll|atof' 'no errors'
ban 'localtime|localtime_r|ctime|asctime|gmtime|strerror_r' 'local or hidden state'
ban 'rand|random|srand|drand48' 'random comes from base (crypto.h)'
ban 'PQexec|PQexecParams|PQexecPrepared|PQprepare|PQgetResult_blocking|PQconnectdb|PQconnectdbParams' 'blocks the loop' '^src/common/app/migrate'
ban 'system|popen' 'no shells'
exit $bad
