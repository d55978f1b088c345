#!/bin/sh
# Puts the built program with its configurations, manual and completion below
# a prefix, or takes them away again. `make install` and `make uninstall` run
# it.
#
#     PREFIX=/usr/local DESTDIR= runtime/app/install.sh install build
#     PREFIX=/usr/local DESTDIR= runtime/app/install.sh uninstall
#
# What was installed is listed in share/weft/installed.txt, and only that is
# ever removed: files, and folders of ours that are empty then. So a file that
# somebody put beside them stays. Names may have any character but dollars
# (make would have expanded them) and new lines (the list has one a line).
set -eu
umask 022 # for all users, whoever installs

fail() {
    echo "weft: $*" >&2
    exit 78
}

for name in PREFIX DESTDIR; do
    eval "value=\${$name-}"
    case "$value" in
    *[\$[:cntrl:]]*)
        fail "$name=$value: dollars and new lines are not possible here;" \
            "write the name out, or install elsewhere and move it"
        ;;
    esac
done
[ -n "${PREFIX-}" ] || fail "PREFIX is empty; for the root write PREFIX=/"

cd "$(dirname "$0")/../.."
top=${DESTDIR:+$DESTDIR/}$PREFIX
case "$top" in
/*) ;;
*) top=$PWD/$top ;; # also keeps it apart from options
esac
ours=$top/share/weft
list=$ours/installed.txt

# A link would lead to files that are not ours, such as a source tree's.
for path in "$ours" "$ours"/configs "$ours"/configs/*; do
    if [ -L "$path" ] && [ -d "$path" ]; then
        fail "$path is a link to a folder; remove it first"
    fi
done

# Takes away what the list names, below the prefix and nowhere else.
remove() {
    [ -f "$list" ] || return 0
    while IFS= read -r path; do
        case "/$path/" in
        */../*) fail "$list: $path leads elsewhere; nothing more is removed" ;;
        esac
        rm -f "$top/$path"
    done <"$list"
    rm -f "$list"
    rmdir "$ours"/configs/* "$ours/configs" "$ours" 2>/dev/null || :
}

# put MODE FROM TO: TO is below the prefix.
put() {
    mkdir -p "$(dirname "$top/$3")"
    # Listed first: what a failure leaves can be taken away, too.
    printf '%s\n' "$3" >>"$list"
    install -T -m "$1" "$2" "$top/$3"
}

install_all() {
    build=$1
    remove
    mkdir -p "$ours"
    put 755 "$build/weft" bin/weft
    put 644 "$build/weft.1" share/man/man1/weft.1
    put 644 "$build/weft.bash" share/bash-completion/completions/weft
    put 644 "$build/weft.zsh" share/zsh/site-functions/_weft
    for file in configs/*.md configs/*/*.json; do
        put 644 "$file" "share/weft/$file"
    done
    echo "installed in $top"
}

case "${1-}" in
install) install_all "$2" ;;
uninstall)
    [ -f "$list" ] || echo "nothing of Weft is listed in $list"
    remove
    ;;
*) fail "usage: runtime/app/install.sh install BUILD | uninstall" ;;
esac
