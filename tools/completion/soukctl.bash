# shellcheck shell=bash
# Completion of soukctl for bash: source this file. The words come from soukctl itself.
_soukctl() {
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    if [ "${words[0]:-}" = --amqp-url ]; then words=("${words[@]:2}"); fi
    mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --complete "${words[@]:0:2}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -F _soukctl soukctl
