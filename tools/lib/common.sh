# shellcheck shell=bash
# Where things are, what they are called, and how a process of ours is started and ended.
# Sourced by ./souk and by the tools; never run. Every name made here is in capitals.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
STATE=$(realpath -m "${SOUK_STATE:-$ROOT/.souk}")
BUILD=$(realpath -m "${SOUK_BUILD:-$ROOT/build}")
PORT_BASE=${SOUK_PORT_BASE:-8080}
RUN=$STATE/run LOG=$STATE/log SECRETS=$STATE/secrets
SERVICES=(auth cart order payment seller notification aibuddy)

declare -A PORTS
_offset=0
for _name in gateway "${SERVICES[@]}" amqp ui postgres redis smtp mail dist epmd metrics; do
    PORTS[$_name]=$((PORT_BASE + _offset))
    _offset=$((_offset + 1))
done

say() { printf '%s\n' "$*"; }
warn() { printf 'souk: %s\n' "$*" >&2; }
die() {
    warn "$*"
    exit 1
}
note() { printf '%(%F %T)T %s\n' -1 "$*" >>"$LOG/souk.log"; }
is_root() { [ "$(id -u)" = 0 ]; }
have() { command -v "$1" >/dev/null 2>&1; }
upper() { printf '%s' "${1^^}"; }

# Servers of somebody else's that replace ours. `up` takes them from its environment and keeps them,
# so that every later command and every watcher works on the same ones.
EXTERNAL_NAMES=(AMQP_URL RABBITMQ_MANAGEMENT_URL REDIS_URL SMTP_URL)
for _name in "${SERVICES[@]}"; do
    EXTERNAL_NAMES+=("${_name^^}_DATABASE_URL" "${_name^^}_MIGRATE_DATABASE_URL" "${_name^^}_SERVICE_URL")
done
declare -A EXTERNAL

external_keep() {
    local name
    (umask 077 && for name in "${EXTERNAL_NAMES[@]}"; do
        [ -z "${!name:-}" ] || printf "%s %s\n" "$name" "${!name}"
    done >"$STATE/external")
}

external_load() {
    local name value
    EXTERNAL=()
    [ -e "$STATE/external" ] || return 0
    while read -r name value; do EXTERNAL[$name]=$value; done <"$STATE/external"
}

external() { printf "%s" "${EXTERNAL[$1]:-}"; }

# Servers that refuse root, or should not have it, run as the account their package made.
# Both setsid and setpriv exec, so the recorded pid is the server's own.
as_account() {
    local account=$1
    shift
    cd / || return
    if is_root && id "$account" >/dev/null 2>&1; then
        exec setsid setpriv --reuid "$account" --regid "$(id -g "$account")" --init-groups -- "$@"
    fi
    exec setsid "$@"
}

# DATA holds what those servers write. It is the state folder itself, unless we are root in a
# folder that the other accounts may not enter (/root, say): then a folder under /var/lib.
data_folder() {
    local account
    DATA=$STATE
    is_root || return 0
    for account in postgres redis rabbitmq www-data; do
        id "$account" >/dev/null 2>&1 || continue
        if ! (as_account "$account" test -x "$STATE") 2>/dev/null; then
            DATA=/var/lib/souk/$(printf %s "$STATE" | cksum | cut -d' ' -f1)
            return 0
        fi
    done
}

# A state folder has one user (two only make a mess of it) and a path that every server can live with.
state_ours() {
    case $STATE in *[[:space:]\|]*) die "the state folder may have no blanks in its path: $STATE (SOUK_STATE)" ;; esac
    [ ! -e "$STATE" ] || [ -O "$STATE" ] || die "$STATE belongs to $(stat -c %U "$STATE"); work as that user, or choose another SOUK_STATE"
}

prepare_state() {
    mkdir -p "$RUN" "$LOG" "$SECRETS"
    chmod 755 "$STATE" "$RUN" "$LOG"
    chmod 700 "$SECRETS"
    data_folder
    [ "$DATA" != "$STATE" ] || return 0
    # A folder left behind by a state folder that is gone has passwords nobody knows any more.
    [ -e "$STATE/data" ] || rm -rf "${DATA:?}"
    mkdir -p "$DATA"
    chmod 755 /var/lib/souk "$DATA"
    ln -sfn "$DATA" "$STATE/data"
}

# owned_folder PATH ACCOUNT: a private folder of that account (of ourselves when not root).
owned_folder() {
    mkdir -p "$1"
    chmod 700 "$1"
    if is_root && id "$2" >/dev/null 2>&1; then chown "$2" "$1"; fi
}

# secret NAME: the password of that name, made on first use: 192 random bits, safe in a URL.
secret() {
    local file=$SECRETS/$1 new=$SECRETS/$1.$BASHPID
    if [ ! -s "$file" ]; then
        (umask 077 && head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$new")
        # Of two that come at once the first wins.
        ln "$new" "$file" 2>/dev/null || true
        rm -f "$new"
    fi
    cat "$file"
}

# A pid alone proves nothing, for pids come round again: we keep it with the kernel's start time.
start_time() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086 # the words are wanted
    set -- $stat
    [ "$1" != Z ] && printf '%s' "${20}"
}

# record NAME PID
record() { printf '%s %s\n' "$2" "$(start_time "$2")" >"$RUN/$1.pid"; }

# running NAME: true, and PID set, when the process we recorded under that name still lives.
running() {
    local started
    PID=
    [ -s "$RUN/$1.pid" ] || return 1
    read -r PID started <"$RUN/$1.pid"
    [ "$(start_time "$PID" || true)" = "$started" ] && [ -n "$started" ]
}

# spawn NAME FUNCTION [ARGS]: runs it in its own session with its log, and records it. FUNCTION
# must end in exec (as_account does), so that the shell becomes the server.
spawn() {
    local name=$1
    shift
    rotate "$LOG/$name.log"
    (
        trap - EXIT INT TERM
        cd /
        exec 8>&- 9>&- </dev/null >>"$LOG/$name.log" 2>&1
        "$@"
    ) &
    record "$name" $!
}

# rotate FILE: keeps one older copy once a log has grown past 10 MiB.
rotate() {
    if [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt 10485760 ]; then mv "$1" "$1.1"; fi
}

# stop NAME SIGNAL SECONDS: asks, waits, insists. Quiet when it is not there.
stop() {
    local name=$1 tries=$(($3 * 20))
    if running "$name"; then
        kill "-$2" "$PID" 2>/dev/null || true
        while running "$name" && [ $tries -gt 0 ]; do
            sleep 0.05
            tries=$((tries - 1))
        done
        if running "$name"; then
            warn "$name did not end within $3 s: killed"
            kill -KILL "$PID" 2>/dev/null || true
        fi
    fi
    rm -f "$RUN/$name.pid"
}

# await NAME SECONDS COMMAND...: polls every 50 ms; fails at once when the process NAME has died.
await() {
    local name=$1 tries=$(($2 * 20))
    shift 2
    until "$@" >/dev/null 2>&1; do
        running "$name" || {
            tail -n 5 "$LOG/$name.log" >&2
            die "$name ended while starting; its log is $LOG/$name.log"
        }
        [ $((tries -= 1)) -gt 0 ] || die "$name is not ready in time; its log is $LOG/$name.log"
        sleep 0.05
    done
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
http_ok() { curl -fsS --max-time 2 -o /dev/null "$1"; }

# port_free NAME: dies with the holder's name when another process listens there.
port_free() {
    local holder
    port_open "${PORTS[$1]}" || return 0
    holder=$(ss -Hltnp "sport = :${PORTS[$1]}" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (pid \2)/p' | head -n 1)
    die "port ${PORTS[$1]} ($1) is taken by ${holder:-another process}; end it or choose another SOUK_PORT_BASE"
}

disk_room() {
    local free
    free=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge 2097152 ] || die "too little disk: $((free / 1024)) MiB free in $1, 2048 MiB needed"
}
