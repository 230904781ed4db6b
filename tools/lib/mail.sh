# shellcheck shell=bash
# The development mail inbox: maildev, a real SMTP server with a page and a REST API, pinned by
# tools/mail/package-lock.json and installed once per lock file into the user's cache.

smtp_url() {
    local url
    url=$(external SMTP_URL)
    printf '%s' "${url:-smtp://127.0.0.1:${PORTS[smtp]}}"
}

mail_folder() {
    local hash
    hash=$(cksum <"$ROOT/tools/mail/package-lock.json" | cut -d' ' -f1)
    printf '%s' "${XDG_CACHE_HOME:-${HOME:-$STATE}/.cache}/souk/mail-$hash"
}

mail_install() {
    local folder new
    folder=$(mail_folder)
    [ -e "$folder/node_modules/maildev/bin/maildev" ] && return
    say "  installing the mail inbox into $folder"
    mkdir -p "${folder%/*}"
    new=$(mktemp -d "$folder.XXXXXX")
    cp "$ROOT"/tools/mail/{package.json,package-lock.json,.npmrc} "$new"
    (cd "$new" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund) >"$LOG/mail-install.log" 2>&1 ||
        die "npm could not install the mail inbox; its log is $LOG/mail-install.log"
    # Whoever comes second throws its own copy away.
    mv -T "$new" "$folder" 2>/dev/null || rm -rf "$new"
}

mail_run() {
    exec setsid node "$(mail_folder)/node_modules/maildev/bin/maildev" --ip 127.0.0.1 --smtp "${PORTS[smtp]}" \
        --web-ip 127.0.0.1 --web "${PORTS[mail]}" --mail-directory "$STATE/mail" --silent
}

mail_up() {
    if ! running mail; then
        mail_install
        port_free smtp
        port_free mail
        mkdir -p "$STATE/mail"
        spawn mail mail_run
    fi
    await mail 30 http_ok "http://127.0.0.1:${PORTS[mail]}/healthz"
    await mail 30 port_open "${PORTS[smtp]}"
}

mail_down() { stop mail TERM 10; }

mail_empty() {
    running mail || return 0
    curl -fsS --max-time 10 -o /dev/null -X DELETE "http://127.0.0.1:${PORTS[mail]}/email/all"
}
