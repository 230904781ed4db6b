# shellcheck shell=bash
# The distribution's packages: which are missing, and how they get here.

# packages_missing [LIST]
packages_missing() {
    local package command installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
    while read -r package command; do
        case $package in '' | '#'*) continue ;; esac
        if [ -n "$command" ] && PATH=$PATH:/usr/sbin have "$command"; then continue; fi
        grep -qxF "$package" <<<"$installed" || printf '%s\n' "$package"
    done <"$ROOT/tools/${1:-packages}.txt"
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

packages_can_install() { is_root || { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }; }

packages_up() {
    local missing
    have dpkg-query || die "this launcher installs Debian packages; elsewhere see tools/packages.txt for what is needed"
    missing=$(packages_missing)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # one word per package
    set -- $missing
    if ! packages_can_install; then
        die "packages are missing; install them with: apt-get install --no-install-recommends $*"
    fi
    say "installing packages: $*"
    (packages_install "$@") || die "apt-get could not install the packages"
    missing=$(packages_missing)
    [ -z "$missing" ] || die "still missing after the installation: ${missing//$'\n'/ }"
}

# What only some tests need. It may be missing: those tests are skipped then, and say so.
packages_for_tests() {
    local missing
    missing=$(packages_missing packages-test)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # one word per package
    set -- $missing
    if ! packages_can_install; then
        warn "some tests will be skipped; they need: apt-get install --no-install-recommends $*"
        return
    fi
    say "installing packages for the tests: $*"
    (packages_install "$@") || warn "apt-get could not install $*; some tests will be skipped"
}
