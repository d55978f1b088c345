#!/bin/bash
# What `make install` leaves: a program that works from any folder, finds its
# models, its manual (set in t_man.sh), a completion that completes. And that
# `make uninstall` takes all of it away again, and nothing else; for any name
# of the place and any umask. And that what is missing is named.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

root=$PWD
data=$work/text.txt
make_text "$data"
stage=$work/stage
prefix=/opt/weft
there=$stage$prefix
build=${BUILD#"$root"/}

# As a package is made: no compiler runs, the program is there.
check 'make install' make --no-print-directory install BUILD="$build" \
    DESTDIR="$stage" PREFIX=$prefix
weft=$there/bin/weft
check 'a program, no link' test -f "$weft" -a ! -L "$weft" -a -x "$weft"

cd "$work" || exit 70
check 'it trains from another folder' "$weft" train gpt-neo-tiny \
    --data "$data" --steps 1 --batch 2 --seq 16 --layers 1
check 'it starts ranks' "$weft" train gpt-neo-tiny --data "$data" --steps 1 \
    --batch 2 --seq 16 --layers 1 --plan dp2
"$weft" help models >"$work/models.txt"
for f in "$root"/configs/models/*.json; do
    name=$(basename "$f" .json)
    check_says "it knows $name" "^  $name\$" "$work/models.txt"
done

# --- plans and experiments, by name or as the help has them -------------------

for p in "$root"/configs/plans/*.json; do
    name=$(basename "$p" .json)
    check "it knows the plan $name" "$weft" show "$name"
    check "as configs/plans/$name.json" "$weft" show "configs/plans/$name.json"
done
check 'it trains by one' "$weft" train gpt-neo-tiny --data "$data" --steps 1 \
    --batch 4 --seq 16 --plan configs/plans/tp2.pp2.json
"$weft" show uneven.1f1b >"$work/plan.txt"
check_says 'uneven stages' '"stages": \[' "$work/plan.txt"
for e in demo configs/experiments/fullwidth.json; do
    check_code 66 "$e is found, its data is not" "$weft" compare "$e"
    check_says "$e: how to name one" 'kjv.txt: .*--data FILE takes another' \
        "$work/code.out"
done
check_code 66 'nor is that of bench --only ranks' "$weft" bench --only ranks
check_says 'it says the same' '--data FILE takes' "$work/code.out"
check_code 66 'no such experiment' "$weft" compare dmeo
check_says 'the nearest' 'did you mean "demo"?' "$work/code.out"
cat >"$there/share/weft/configs/experiments/small.json" <<END
{"models": ["gpt-neo-tiny"], "data": "none.txt",
 "common": {"steps": 2, "batch": 2, "seq": 16},
 "setups": [{"plan": "dp1"}, {"name": "streamed"}]}
END
check 'an experiment by name, on another text' "$weft" compare small \
    --data "$data" --out "$work/small.h5"
"$weft" show "$work/small.h5" >"$work/small.txt"
check_says 'the command is kept' "\"weft compare small --out .* --data $data" \
    <(h5dump -A "$work/small.h5")

# --- the manual ---------------------------------------------------------------

page=$there/share/man/man1/weft.1
check 'the manual is that of the program' \
    cmp "$page" <("$weft" help --man)
check 'every command is in the manual' bash -c '
    for c in $("$1" --help | sed -n "s/^  \([a-z]*\)  .*/\1/p"); do
        "$1" "$c" --help >/dev/null 2>&1 || continue # a topic
        grep -q "^\.SS weft $c\$" "$2" || { echo "$c"; exit 1; }
    done' - "$weft" "$page"

# --- the completion -----------------------------------------------------------

script=$there/share/bash-completion/completions/weft

# complete_words WORD...: what bash would offer for the last word. In a shell
# of its own, with the installed program on the path.
complete_words() {
    PATH=$there/bin:$PATH bash --norc -c '
        . "$1" || exit 1
        shift
        complete -p weft | grep -q -e "-F _weft weft" || exit 1
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _weft
        printf "%s\n" "${COMPREPLY[@]}"' - "$script" "$@"
}

# offers WORD... : WANTED: among what is offered; offers_all: nothing else.
offers() {
    local wanted=$1
    shift
    complete_words "$@" >"$work/offered"
    check_says "$* -> $wanted" "^$wanted\$" "$work/offered"
}
offers_only() {
    local wanted=$1
    shift
    check "$* -> $wanted alone" \
        test "$(complete_words "$@" | tr '\n' ' ')" = "$wanted "
}

touch "$work/zebra.h5" "$work/zebra 2.json" "$work/unread.json"
check 'bash takes the script' bash -n "$script"
offers_only train weft tr
offers_only '--version' weft --v
offers doctor weft ''
offers_only '--device-memory' weft train --device
offers '--json' weft doctor --
offers_only 'ram null check' weft train m --store ''
offers_only 'null' weft train m --store = n
offers_only 'null' weft train m --store=n --store n
offers_only 'gpt-neo-tiny' weft train gpt-neo-t
offers_only 'gpt-j-mini' weft show dp2 --model gpt-j-m
offers 'uneven.1f1b' weft train gpt-neo-mini --plan un
offers 'unread.json' weft train gpt-neo-mini --plan un
offers 'uneven.1f1b' weft project m --plan = un
offers 'uneven.1f1b' weft show un
offers 'gpt-neo-tiny' weft show gpt-neo-t
offers 'fullwidth' weft compare ''
offers 'demo' weft compare de
offers 'unread.json' weft compare un
offers_only '' weft compare gpt-neo
offers_only 'models plans experiments' weft help --names ''
offers_only 'zebra.h5' weft train gpt-neo-tiny --resume zebra.
offers_only 'zebra.h5' weft convert d -o zebra.
offers 'zebra 2.json' weft compare zeb
offers_only '' weft train m --steps z
offers_only 'exit-codes' weft help exit
offers_only 'bash zsh' weft help --completion ''
check 'our own option is not offered' \
    test "$(complete_words weft train --launched)" = ''

# --- the same for zsh ---------------------------------------------------------

# What _arguments is handed is the same in bash, which quotes and chooses as zsh
# does; only the words of the line are counted from 0. t_zsh.sh runs it in zsh.
zsh_script=$there/share/zsh/site-functions/_weft
check_says 'zsh is told whose it is' '^#compdef weft$' "$zsh_script"
sed -e 's/\$words\[1\]/${words[0]}/; s/\$words\[2\]/${words[1]}/' \
    -e 's/^    shift words$/    words=("${words[@]:1}")/' \
    "$zsh_script" >"$work/zsh.bash"

# specs COMMAND: its specifications, one a line.
specs() {
    bash --norc -c '
        _arguments() { printf "%s\n" "$@"; }
        words=(weft "$2" "") CURRENT=3
        . "$1"' - "$work/zsh.bash" "$1"
}

text='([^]:\\[]|\\.)*'
offer=':([^:\\]|\\.)+:( |_files|_weft_[a-z_]+|\([^()]+\))'
for c in $("$weft" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    "$weft" "$c" --help >/dev/null 2>&1 || continue # a topic
    check "zsh: specifications of $c" specs "$c"
    specs "$c" >"$work/specs" 2>&1
    check "zsh: $c: _arguments can read them" test -z "$(grep -v -x -E -e \
        "-(-[a-z0-9-]+=?|[a-z][+]?)\[$text\]($offer)?|\*$offer" "$work/specs")"
    sed -n 's/^\(--[a-z0-9-]*\).*/\1/p' "$work/specs" | sort >"$work/zsh.txt"
    check "zsh: $c has the options that bash has" diff "$work/zsh.txt" \
        <(complete_words weft "$c" -- | sort)
done
specs train >"$work/specs"
check_says 'zsh: an option with a value' '^--device-memory=\[' "$work/specs"
check_says 'zsh: its choices' ':value:(ram null check)$' "$work/specs"
check_says "zsh: quotes within a text" "the link's\]" "$work/specs"

# --- and away -----------------------------------------------------------------

cd "$root" || exit 70

# placed TARGET PREFIX [DESTDIR]
placed() {
    make --no-print-directory "$1" BUILD="$build" PREFIX="$2" DESTDIR="${3-}"
}

check 'make uninstall' placed uninstall $prefix "$stage"
check 'what somebody put there stays, no more' \
    test "$(find "$stage" ! -type d)" = \
    "$there/share/weft/configs/experiments/small.json"
check 'where nothing is, nothing is removed' placed uninstall "$work"
check 'and the folder is there' test -d "$work/stage"

# --- places of any name -------------------------------------------------------

# Spaces: the folder "my" is not that of "my dir".
mkdir -p "$work/my/share/weft/configs" "$work/dir"
echo mine | tee "$work/my/share/weft/configs/file" >"$work/dir/share"
before=$(git -C "$root" status --porcelain 2>/dev/null)
check 'with a umask that hides' \
    sh -c 'umask 077 && exec "$@"' - make --no-print-directory install \
    BUILD="$build" PREFIX="$work/my dir/it's"
check 'the file beside stays' test -s "$work/my/share/weft/configs/file"
check 'nothing is written here' test "$before" = \
    "$(git -C "$root" status --porcelain 2>/dev/null)"
check 'it works there' sh -c 'cd / && exec "$1" show uneven.1f1b' - \
    "$work/my dir/it's/bin/weft"
check 'all may read it' test -z "$(find "$work/my dir" \
    \( -type d ! -perm 755 \) -o \( -type f ! -perm -644 \))"
check 'none but the program is executable' \
    test "$(find "$work/my dir" -type f -perm /111)" = \
    "$work/my dir/it's/bin/weft"

# What an older version had goes, what it never had stays.
share="$work/my dir/it's/share/weft"
echo mine >"$share/configs/plans/mine.json"
echo old >"$share/configs/plans/gone.json"
echo share/weft/configs/plans/gone.json >>"$share/installed.txt"
check 'once more' placed install "$work/my dir/it's"
check 'what is no more is gone' test ! -e "$share/configs/plans/gone.json"
check 'what is not ours stays' test -s "$share/configs/plans/mine.json"
check 'and away' placed uninstall "$work/my dir/it's"
check 'all but that' test "$(find "$work/my dir" ! -type d)" = \
    "$share/configs/plans/mine.json"

# A relative place is below the source tree.
relative=build/t_install.$$
check 'a relative place' placed install "$relative/a b"
check 'is here' test -x "$relative/a b/bin/weft"
check 'and away again' placed uninstall "$relative/a b"
check 'all of it' test -z "$(find "$relative" ! -type d)"
find "$relative" -depth -type d -exec rmdir {} +

# refuses WORDS PREFIX: before anything is touched.
refuses() {
    check_code 2 "$1: $2" placed install "$2" "$work/refused"
    check_says "it says: $1" "$1" "$work/code.out"
    check 'nothing was made' test ! -e "$work/refused"
}
# shellcheck disable=SC2016  # as it is
refuses 'dollars' '/opt/$HOME'
refuses 'empty' ''
mkdir -p "$work/refused-link/share/weft"
ln -s "$root/configs" "$work/refused-link/share/weft/configs"
check_code 2 'a link to a folder' placed install "$work/refused-link"
check 'what it leads to stays' test -s configs/plans/pp4.json
echo ../../outside >"$work/refused-link/share/weft/installed.txt"
rm "$work/refused-link/share/weft/configs"
echo mine >"$work/../outside"
check_code 2 'a list that leads out' placed uninstall "$work/refused-link"
check 'nothing there is removed' test -s "$work/../outside"
rm -f "$work/../outside"

# --- what is missing ----------------------------------------------------------

# A pkg-config that does not know it.
mkdir "$work/lacks"
cat >"$work/lacks/pkg-config" <<END
#!/bin/sh
case " \$* " in *cmocka*) exit 1 ;; esac
exec $(command -v pkg-config) "\$@"
END
chmod +x "$work/lacks/pkg-config"
for target in test 'test TESTS=none' test-long asan; do
    # shellcheck disable=SC2086  # words
    check_code 2 "make $target without cmocka" \
        timeout 30 env PATH="$work/lacks:$PATH" \
        make --no-print-directory $target BUILD="$build"
    check_says 'is named' 'missing: libcmocka-dev (install' "$work/code.out"
    check 'and nothing else is said' test "$(grep -c weft: \
        "$work/code.out")" -eq 1
done
finish
