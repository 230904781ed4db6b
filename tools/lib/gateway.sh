# shellcheck shell=bash
# nginx as the gateway: a child of ours with its own configuration, logs and temporary files.

# The address under which problems are explained, as in src/common/json/problem.h.
PROBLEM_BASE=https://souk.example/problems/

public_url() { printf '%s' "${SOUK_PUBLIC_URL:-http://127.0.0.1:${PORTS[gateway]}}"; }

gateway_configure() {
    local dir=$DATA/gateway svc address user=
    owned_folder "$dir" www-data
    is_root && user='user www-data;'
    local -a edits=(-e "s|@DATA@|$DATA|g" -e "s|@USER@|$user|" -e "s|@PORT@|${PORTS[gateway]}|"
        -e "s|@PROBLEM@|$PROBLEM_BASE|g")
    for svc in "${SERVICES[@]}"; do
        address=$(service_url "$svc")
        edits+=(-e "s|server @$(upper "$svc")@|server ${address#http://}|")
    done
    sed "${edits[@]}" "$ROOT/deploy/nginx/gateway.conf" >"$dir/nginx.conf"
}

gateway_run() { exec setsid nginx -p "$DATA/gateway" -c "$DATA/gateway/nginx.conf" -e stderr; }

gateway_up() {
    if ! running gateway; then
        gateway_orphans_end
        port_free gateway
        gateway_configure
        PATH=$PATH:/usr/sbin spawn gateway gateway_run
    fi
    await gateway 10 port_open "${PORTS[gateway]}"
}

# A master that was killed leaves workers behind, and these keep the port. They are known by their
# session, whose id nobody else gets as long as one of them lives.
gateway_orphans_end() {
    local master
    if running gateway || [ ! -s "$RUN/gateway.pid" ]; then return 0; fi
    read -r master _ <"$RUN/gateway.pid"
    pkill -KILL -s "$master" -x nginx || return 0
    while port_open "${PORTS[gateway]}" && pgrep -s "$master" -x nginx >/dev/null; do sleep 0.05; done
}

# QUIT lets the requests under way finish.
gateway_down() {
    gateway_orphans_end
    stop gateway QUIT 10
}
