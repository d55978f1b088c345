#!/bin/bash
# ARCHITECTURE.md follows two steps through the code. Its commands are run and
# its counts compared with the programs that come of them; every name that it
# has between backquotes is one of the code's.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

text=$PWD/ARCHITECTURE.md
make_text "$work/book.txt"

# command_of SECTION: the command that stands under this heading.
command_of() {
    sed -n "/^## $1\\./,/^## /p" "$text" | sed -n '/^    \.\/weft/,/^$/p' |
        sed 's/\\$//' | tr '\n' ' '
}

# figures PATTERN: the numbers in a sentence of the text, its lines joined.
figures() {
    tr -s ' \n' ' ' <"$text" | grep -o -E "$1" | grep -o -E '[0-9]+' |
        tr '\n' ' '
}

# rows FILE: rank and kind of every operation in the trace.
rows() {
    h5dump -y -w 0 -d /trace "$1" | awk '
        $1 == "DATA" { data = 1; next }
        $1 == "ATTRIBUTE" { data = 0 }
        !data { next }
        /\{$/ { n = 0; next }
        { n++ }
        n == 1 { rank = $1 + 0 }
        n == 3 { gsub(/\\000|[",]/, ""); print rank, $1 }'
}

# count FILE PATTERN
count() {
    rows "$1" | grep -c -E "$2"
}

# run SECTION: its command, with our program and text.
run() {
    local words
    read -r -a words <<<"$(command_of "$1")"
    [ "${words[0]}" = ./weft ] || return 1
    (cd "$work" && exec "$WEFT" "${words[@]:1}" -q)
}

check 'section 8 runs' run 8
file=$work/s.h5
check 'its figures' test \
    "$(figures 'has [0-9]+ operations, among them [0-9]+ loads and [0-9]+ drains')" \
    = "$(count "$file" .) $(count "$file" ' load') $(count "$file" ' drain') "

check 'section 9 runs' run 9
file=$work/p.h5
check 'its figures' test \
    "$(figures 'programs come of it, of [0-9]+ and [0-9]+ operations')" \
    = "$(count "$file" '^0 ') $(count "$file" '^2 ') "
check 'ranks 0 and 1 are alike' test \
    "$(count "$file" '^0 ')" = "$(count "$file" '^1 ')"
check 'ranks 2 and 3 are alike' test \
    "$(count "$file" '^2 ')" = "$(count "$file" '^3 ')"

# Names of functions and operations have an underscore.
cat $(git ls-files '*.[ch]' 2>/dev/null || find . -name '*.[ch]') |
    grep -o -E '[A-Za-z_][A-Za-z0-9_]+' | sort -u >"$work/words"
grep -o '`[A-Za-z0-9]*_[A-Za-z0-9_]*`' "$text" | tr -d '`' | sort -u \
    >"$work/names"
check 'it has names' test "$(wc -l <"$work/names")" -ge 60
comm -23 "$work/names" "$work/words" >"$work/gone"
check "names that the code does not have: $(tr '\n' ' ' <"$work/gone")" \
    test ! -s "$work/gone"
finish
