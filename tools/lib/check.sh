# shellcheck shell=bash
# Formatting and the checks that need no server.

CLANG_FORMAT=${CLANG_FORMAT:-clang-format-14}

c_files() { git -C "$ROOT" ls-files --cached --others --exclude-standard -- 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]'; }

shell_files() {
    local file
    git -C "$ROOT" ls-files --cached --others --exclude-standard | while read -r file; do
        case $file in
        *.sh) printf '%s\n' "$file" ;;
        *.*) ;;
        *) [ -f "$ROOT/$file" ] && head -c 64 "$ROOT/$file" | head -n 1 | tr -d '\0' | grep -q '^#!.*\(bash\|/sh\)' && printf '%s\n' "$file" ;;
        esac
    done
    true
}

check_format_write() {
    have "$CLANG_FORMAT" || die "$CLANG_FORMAT is missing: apt-get install clang-format-14"
    (cd "$ROOT" && c_files | xargs -r "$CLANG_FORMAT" -i)
}

check_format() { (cd "$ROOT" && c_files | xargs -r "$CLANG_FORMAT" --dry-run -Werror); }
check_shell() { (cd "$ROOT" && shell_files | xargs -r shellcheck -x); }

# cppcheck 2.10 sees neither the system's headers nor __VA_OPT__ in C, so it is told what their macros
# come to (for __VA_OPT__ something that suits log.h with arguments and without). Nor does it know
# CLEANUP, so it does not look for leaks: the sanitizers do.
check_cppcheck() {
    (cd "$ROOT" && c_files | grep '^src/.*\.c$' | xargs -r cppcheck --quiet --std=c11 -j2 -Isrc -D_GNU_SOURCE \
        '-D__VA_OPT__(...)=-(int)' '-DLIST_HEAD(name,type)=struct type *' \
        '-DLIST_FOREACH(at,head,field)=while(at=*(head))' \
        '-DHASH_ITER(hh,head,at,next)=while(at=head)' \
        --library=posix,gnu,bsd --enable=warning,portability --inline-suppr --error-exitcode=1 \
        --suppress=missingIncludeSystem --suppress=getcontextCalled --suppress=swapcontextCalled \
        --suppress=makecontextCalled --suppress=resourceLeak)
}

# Each tier returns to exactly one queue, each queue has its dead letters and its policy.
check_definitions() {
    jq -e '
        (.queues | map(.name)) as $queues | (.exchanges | map(.name)) as $exchanges
        | ([.bindings[] | .source, (select(.destination_type == "exchange") | .destination)] - $exchanges == [])
        and ([.bindings[] | select(.destination_type == "queue") | .destination] - $queues == [])
        and ([.bindings[] | select(.source == "order-events.return")] | all(.routing_key == .destination + ".*"))
        and ([$queues[] | select(endswith("-queue"))] | all(. as $q
            | ($queues | index($q + ".dlq")) != null))
        and ([$queues[] | select(endswith("-queue"))] - [.policies[].name] == [])
        and ([.users[] | select(.password_hash != "")] == [])' "$ROOT/rabbitmq/definitions.json" >/dev/null
}

check_arch() {
    local script status failed=0
    for script in "$ROOT"/tests/arch/*.sh; do
        [ -e "$script" ] || continue
        status=0
        (cd "$ROOT" && bash "$script") || status=$?
        case $status in 0) ;; 77) say "skipped  $(basename "$script" .sh)" ;; *) failed=1 ;; esac
    done
    return $failed
}

# A second compiler sees other things; its warnings are errors here (but for the two that it gives
# for wrappers of vsnprintf and for the macros of uthash).
check_clang() {
    local build=$ROOT/build-clang
    [ -e "$build/build.ninja" ] ||
        CC=clang-14 meson setup "$build" "$ROOT" --buildtype=debug -Dwerror=true -Dtests=false -Dc_args="-Wno-format-nonliteral -Wno-implicit-fallthrough" >/dev/null || return 1
    ninja -C "$build" --quiet >&2
}

check_all() {
    local failed=0 pair name needs
    for pair in format:"$CLANG_FORMAT" arch:bash definitions:jq shell:shellcheck cppcheck:cppcheck clang:clang-14; do
        name=${pair%%:*} needs=${pair#*:}
        if ! have "$needs"; then
            say "skipped  $name ($needs is not installed)"
        elif "check_$name"; then
            say "ok       $name"
        else
            say "FAILED   $name"
            failed=1
        fi
    done
    return $failed
}
