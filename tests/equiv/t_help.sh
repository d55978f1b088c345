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

# --- docs/machines.md has the keys of machines -------------------------------

# read_keys LIST: of a function or array of the reader, one a line.
read_keys() {
    sed -n "/^static .*\<$1\>.*[({]/,/};/p" runtime/sim/machine.c |
        grep -o '"[a-z0-9_]*"' | tr -d '"' | sort -u
}
# told_keys HEADING [NTH]: first column of the section's first or NTH table.
told_keys() {
    sed -n "/^## .*$1/,/^## /p" docs/machines.md |
        awk -v nth="${2:-1}" '/^\|---/ { n++ } !/^\|/ { t = 0 }
            /^\|---/ { t = 1; next } t && n == nth { print $0 }' |
        cut -d '|' -f 2 | grep -o '`[a-z0-9_]*`' | tr -d '`' | sort -u
}
# told FUNCTION HEADING [NTH]
told() {
    read_keys "$1" >"$work/read"
    told_keys "$2" "${3:-1}" >"$work/told"
    check "keys of $1 were found" test "$(wc -l <"$work/read")" -ge 3
    check "docs/machines.md has those of $1" diff "$work/read" "$work/told"
}
told root_keys 'The file'
told get_shape '`tile`'
told get_dispatch '`dispatch`'
told get_side '`side`'
told get_store '`store`'
told get_level '`levels`'
told law_keys '`levels`' 2
told get_link '`links`'
told get_transfer '`links`' 2
read_keys kernels >"$work/read"
check 'kernels were found' test "$(wc -l <"$work/read")" -ge 28
check 'docs/machines.md has the kernels' diff "$work/read" \
    <(sed -n '/^Kernels are/,/^$/p' docs/machines.md | grep -o '`[a-z_]*`' |
        tr -d '`' | sort -u)
finish
