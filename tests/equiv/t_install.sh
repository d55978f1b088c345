#!/bin/bash
# What `make install` leaves: a program that works from any folder, finds its
# models, a manual without faults, a completion that completes. And that
# `make uninstall` takes all of it away again.
#
# timeout: 120
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
if command -v groff >/dev/null; then
    groff -Tutf8 -wall -man "$page" >"$work/man.txt" 2>"$work/man.err"
    check 'roff has nothing to say' test ! -s "$work/man.err"
    sed -i 's/\x1b\[[0-9;]*m//g; s/.\x08//g' "$work/man.txt"
    check_says 'it has an option' '--device-memory SIZE' "$work/man.txt"
    check_says 'it has the exit codes' '79 *checksum mismatch' "$work/man.txt"
    check 'but not our own option' \
        test "$(grep -c launched "$work/man.txt")" -eq 0
else
    echo 'no groff here: the manual was not set'
fi
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

touch "$work/zebra.h5" "$work/zebra 2.json"
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
offers_only 'zebra.h5' weft train gpt-neo-tiny --resume zebra.
offers_only 'zebra.h5' weft convert d -o zebra.
offers 'zebra 2.json' weft compare zeb
offers_only '' weft train m --steps z
offers_only 'exit-codes' weft help exit
offers_only 'bash zsh' weft help --completion ''
check 'our own option is not offered' \
    test "$(complete_words weft train --launched)" = ''

# --- the same for zsh ---------------------------------------------------------

script=$there/share/zsh/site-functions/_weft
check_says 'zsh is told whose it is' '^#compdef weft$' "$script"
if command -v zsh >/dev/null; then
    check 'zsh takes the script' zsh -n "$script"
    # What _arguments and its like are handed, without a terminal.
    zsh -fc '
        _arguments() { print -rl -- "$@" }
        _describe() { print -r -- "$1 ${(P)#2}" }
        words=(weft "$2" "") CURRENT=3
        . "$1"' - "$script" train >"$work/zsh" 2>&1
    check_says 'options of train' '^--device-memory=\[' "$work/zsh"
    check_says 'with their choices' ':value:(ram null check)$' "$work/zsh"
else
    echo 'no zsh here: its completion was not run'
fi

# --- and away -----------------------------------------------------------------

check 'make uninstall' make --no-print-directory -C "$root" uninstall \
    BUILD="$build" DESTDIR="$stage" PREFIX=$prefix
check 'nothing is left' test -z "$(find "$stage" ! -type d)"
finish
