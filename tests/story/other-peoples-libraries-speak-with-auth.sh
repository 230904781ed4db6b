#!/usr/bin/env bash
# npm's jose and oauth4webapi discover auth, refresh, verify, introspect and revoke, through the
# gateway. They are installed once per lock file into the user's cache, like the mail inbox.
. tests/lib.sh

skip() {
    finished=yes
    echo "$1"
    exit 77
}
have npm || skip "npm is not installed (tools/packages.txt)"
hash=$(cksum <tests/interop/package-lock.json | cut -d' ' -f1)
folder=${XDG_CACHE_HOME:-${HOME:-$SOUK_STATE}/.cache}/souk/interop-$hash
if [ ! -e "$folder/node_modules/oauth4webapi" ]; then
    mkdir -p "${folder%/*}"
    new=$(mktemp -d "$folder.XXXXXX")
    cp tests/interop/{package.json,package-lock.json,.npmrc} "$new"
    (cd "$new" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund) >"$WORK/npm" 2>&1 || {
        rm -rf "$new"
        skip "npm can't install the libraries: $(grep -m 1 -o 'npm error.*' "$WORK/npm" || tail -n 1 "$WORK/npm")"
    }
    # Whoever comes second throws its own copy away.
    mv -T "$new" "$folder" 2>/dev/null || rm -rf "$new"
fi

register jo user
ln -s "$folder/node_modules" "$WORK/node_modules"
cp tests/interop/oauth.mjs "$WORK"
node "$WORK/oauth.mjs" "$PUBLIC_URL" "$EMAIL" "quite long $RUN_ID" cart <"$CART_API_KEY_FILE" >"$WORK/tap" || true
mapfile -t lines <"$WORK/tap"
for i in "${!lines[@]}"; do
    case ${lines[i]} in
    "ok "*) ok "${lines[i]#ok * - }" ;;
    "not ok "*) not_ok "${lines[i]#not ok * - }" "${lines[i + 1]:-}" ;;
    esac
done
that "every step was taken" test $tests -ge 15
audit
