# shellcheck shell=bash
# Where things are, what they are called, which secrets they have.
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

# shellcheck source=tools/lib/process.sh
. "$ROOT/tools/lib/process.sh"
# shellcheck source=tools/lib/machine.sh
. "$ROOT/tools/lib/machine.sh"
