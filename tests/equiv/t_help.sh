#!/bin/bash
# Help in several places says the same: the program, README, configs/README.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

weft() {
    "$WEFT" "$@"
}

weft --help >"$work/overview"
names() {
    sed -n '/^Topics:/q;s/^  \([a-z-]*\)  .*/\1/p' "$work/overview"
}
check 'commands are listed' test "$(names | wc -l)" -ge 7
for c in $(names); do
    check "help $c is $c --help" cmp <(weft help "$c") <(weft "$c" --help)
    check "README shows $c" grep -q -E "weft $c( |\`|\$)" README.md
done
check 'help alone is the list' cmp "$work/overview" <(weft help)
check 'help of help' cmp <(weft help help) <(weft help --help)
check_code 64 'no command is wrong' weft
check 'and lists them' cmp "$work/code.out" "$work/overview"
check_code 64 'no such topic' weft help planz
check_says 'the nearest' "no command or topic 'planz', did you mean plans" \
    "$work/code.out"
check_code 64 'two words' weft help train show
check_code 64 'a word and an option' weft help train --man
check_code 64 'another shell' weft help --completion fish
check_code 64 'a mistyped internal option is not suggested' \
    weft train m --launched-a 3
check 'nor named' test "$(grep -c 'launched-at' "$work/code.out")" -eq 0

# --- exit codes: README's table has those of the program ----------------------

weft help exit-codes | sed -n 's/^ *\([0-9][0-9]*\)  .*/\1/p' | sort \
    >"$work/codes"
sed -n '/^## Exit codes/,/^An error/p' README.md | tr '|' '\n' |
    sed -n 's/^ *\([0-9][0-9]*\) *$/\1/p' | sort >"$work/readme"
check 'README has the exit codes' diff "$work/codes" "$work/readme"
check 'there are some' test "$(wc -l <"$work/codes")" -ge 15

# --- configs/README.md has the keys of experiments ----------------------------

# keys FILE FROM TO: words between two lines, one a line.
keys() {
    sed -n "/$2/,/$3/p" "$1" | sed 's/^.*:\* //' | grep -o '`[a-z0-9_]*`' |
        tr -d '`' | sort
}
weft help experiments >"$work/experiments"
# topic FROM: the words of the indented lines after one that has FROM.
topic() {
    sed -n "/$1/,/^[A-Z]/p" "$work/experiments" | sed '1d' |
        grep '^  ' | tr ' ' '\n' | grep . | sort
}
topic 'an object of .setups.' >"$work/setup"
topic '"common":$' >"$work/run"
check 'keys were found' test "$(cat "$work/setup" "$work/run" | wc -l)" -ge 29
check 'configs/README has the keys of set-ups' diff "$work/setup" \
    <(keys configs/README.md '^\*In a set-up' '^$')
check 'and those that stand in common only' diff "$work/run" \
    <(keys configs/README.md '^\*In `common` only' '^$')
finish
