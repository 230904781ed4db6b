# shellcheck shell=bash
# What the machine must offer: free ports and room on the disk.

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

# Every port we shall need, before anything is started.
ports_check() {
    local name part
    for name in "${!PORTS[@]}"; do
        case $name in
        amqp | ui | dist | metrics) part=rabbitmq ;;
        smtp) part=mail ;;
        *) part=$name ;;
        esac
        if running "$part"; then continue; fi
        case $name in
        gateway) ;;
        epmd) part_wanted rabbitmq || continue ;;
        postgres | redis | amqp | ui | dist | metrics | smtp | mail) part_wanted "$part" || continue ;;
        *) if service_external "$name"; then continue; fi ;;
        esac
        port_free "$name"
    done
}
