# shellcheck shell=bash
# The distribution's packages: which are missing, and how they get here.

packages_missing() {
    local package command installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
    while read -r package command; do
        case $package in '' | '#'*) continue ;; esac
        if [ -n "$command" ] && PATH=$PATH:/usr/sbin have "$command"; then continue; fi
        grep -qxF "$package" <<<"$installed" || printf '%s\n' "$package"
    done <"$ROOT/tools/packages.txt"
}

# apt would start the servers it installs on their usual ports. We run private ones, so while
# we install, and only then, a policy says no; a policy that is there already is left alone.
packages_install() {
    local -a root=()
    is_root || root=(sudo)
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ] || grep -q "while souk installs" $policy; then
        # shellcheck disable=SC2064 # the words are wanted as they are now
        trap "${root[*]} rm -f $policy" EXIT
        trap 'exit 130' INT TERM
        printf '#!/bin/sh\n# while souk installs packages; may be deleted\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
        "${root[@]}" chmod 755 $policy
    fi
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

packages_up() {
    local missing
    have dpkg-query || die "this launcher installs Debian packages; elsewhere see tools/packages.txt for what is needed"
    missing=$(packages_missing)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # one word per package
    set -- $missing
    if ! is_root && ! (have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }); then
        die "packages are missing; install them with: apt-get install --no-install-recommends $*"
    fi
    say "installing packages: $*"
    (packages_install "$@") || die "apt-get could not install the packages"
    missing=$(packages_missing)
    [ -z "$missing" ] || die "still missing after the installation: ${missing//$'\n'/ }"
}
