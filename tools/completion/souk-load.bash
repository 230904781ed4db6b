# shellcheck shell=bash
# Completion of souk-load for bash: source this file. The words come from souk-load itself.
_souk_load() {
    local words
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --ca | --accounts | --json | --html | --log | --state)
        mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
        return
        ;;
    esac
    words=$("${COMP_WORDS[0]}" --scenarios 2>/dev/null | cut -d' ' -f1)
    words+=" "$("${COMP_WORDS[0]}" --help 2>/dev/null | grep -oE -- '--[a-z-]+')
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -F _souk_load souk-load
