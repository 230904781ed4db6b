#!/usr/bin/env bash
# Who may include whom. The rooms stand on each other in one order; a service sees the common rooms
# and itself; a foreign library is seen by its wrappers alone. Prints every forbidden edge.
set -euo pipefail
cd "$(dirname "$0")/../.."

declare -A may=(
    [base]='base' [fiber]='base fiber' [json]='base json' [contract]='base json contract'
    [net]='base fiber json net' [data]='base fiber json data' [bus]='base fiber json bus'
    [app]='base fiber json net data bus contract app'
)
# Library header -> the files that may include it.
declare -A wrapper=(
    [evhtp]='src/common/net/server_evhtp.c' [curl/]='src/common/net/client'
    [libpq-fe]='src/common/data/pg' [hiredis]='src/common/data/redis' [amqp]='src/common/bus/'
    [jwt.h]='src/common/app/token' [jansson]='tests/'
    [utf8proc]='src/common/base/unicode.c' [event2/bufferevent_ssl]='src/load/wire.c'
)
bad=0
edge() {
    printf '%s includes %s: %s\n' "$1" "$2" "$3"
    bad=1
}

while IFS=: read -r file line; do
    header=${line#*[<\"]}
    header=${header%%[>\"]*}
    case $line in
    *'"'*)
        case $file:$header in
        src/common/*:common/*)
            room=${file#src/common/} room=${room%%/*}
            target=${header#common/} target=${target%%/*}
            case " ${may[$room]:-} " in *" $target "*) ;; *) edge "$file" "$header" "$room may not know $target" ;; esac
            ;;
        src/common/*:*) edge "$file" "$header" 'the common rooms know no service, and paths start at src' ;;
        src/*:common/*) ;;
        src/*:*)
            service=${file#src/} service=${service%%/*}
            case $header in "$service"/*) ;; *) edge "$file" "$header" 'a service knows itself and the common rooms' ;; esac
            ;;
        esac
        ;;
    *)
        for library in "${!wrapper[@]}"; do
            case $header in "$library"*) ;; *) continue ;; esac
            case $file in
            *.h) edge "$file" "$header" 'no header of ours shows a library' ;;
            "${wrapper[$library]}"*) ;;
            src/ctl/broker.c) [ "$library" = amqp ] || edge "$file" "$header" 'it speaks to the broker only' ;;
            *) edge "$file" "$header" "only ${wrapper[$library]}* may" ;;
            esac
        done
        ;;
    esac
done < <(grep -rE '^[[:space:]]*#[[:space:]]*include' src --include='*.[ch]')
exit $bad
