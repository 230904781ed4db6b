# shellcheck shell=bash
# A private Redis. It only holds what can be rebuilt, so it writes nothing to disk.

redis_url() {
    local url
    url=$(external REDIS_URL)
    printf '%s' "${url:-redis://127.0.0.1:${PORTS[redis]}}"
}

redis_run() {
    as_account redis redis-server --port "${PORTS[redis]}" --bind 127.0.0.1 --dir "$DATA/redis" \
        --save '' --appendonly no --maxmemory 128mb --maxmemory-policy allkeys-lru --daemonize no
}

redis_up() {
    if ! running redis; then
        port_free redis
        owned_folder "$DATA/redis" redis
        spawn redis redis_run
    fi
    await redis 20 redis-cli -u "$(redis_url)" ping
}

redis_down() { stop redis TERM 20; }
redis_empty() { redis-cli -u "$(redis_url)" flushall >/dev/null; }
