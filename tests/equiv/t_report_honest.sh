#!/bin/bash
# Comparisons and reports claim what is so: data is told apart by what is in
# it, store null wins nothing, and no table says nan or is out of line.
#
# timeout: 180
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt page=$work/page.html
make_text "$data"
cd "$work" || exit 70

# run OUT OPTION...
run() {
    local out=$1
    shift
    "$WEFT" train gpt-neo-tiny --layers 1 --batch 4 --seq 16 --steps 2 \
        --threads 1 --quiet --out "$out" "$@"
}

# --- one text under two paths, two under one --------------------------------

check 'a run' run d1.h5 --plan dp1 --data text.txt
check 'on the same data, by another path' run d2.h5 --plan tp2 --data ./text.txt
tr a-z b-za <text.txt >other.txt && mv other.txt text.txt
check 'on other data of the same path' run d3.h5 --plan tp2 --data text.txt
hash_of() {
    h5dump -a /data_hash "$1" | sed -n 's/.*(0): //p'
}
check 'a hash' sh -c "h5dump -a /data_hash d1.h5 | grep -q '\"[0-9a-f]\{16\}\"'"
check 'is of the data' [ "$(hash_of d1.h5)" = "$(hash_of d2.h5)" ]
check 'and of no other' [ "$(hash_of d1.h5)" != "$(hash_of d3.h5)" ]
check 'report' "$WEFT" report d1.h5 d2.h5 d3.h5 -o "$page"
check 'two sections' [ "$(grep -c '<h2>gpt-neo-tiny' "$page")" = 2 ]
check_says 'the same data, side by side' \
    'losses of all 2 are the same in every step, bit for bit: dp1,' "$page"
check 'the other is compared with none' sh -c "! grep -q '0 of 1' '$page'"

# --- a store that keeps nothing ---------------------------------------------

cat >e.json <<END
{"models": ["gpt-neo-tiny"], "data": "text.txt",
 "common": {"layers": 1, "steps": 2, "batch": 4, "seq": 16, "threads": 1},
 "setups": [{"plan": "dp1"}, {"name": "strömend für alle", "store": "ram"},
            {"name": "nowhere", "store": "null"},
            {"name": "dreißig Stück überall", "plan": "pp3"}]}
END
machine=$OLDPWD/tests/fuzz/seeds/machine/host.json
check 'compare' "$WEFT" compare e.json --machine "$machine" --out c.h5
cp check.out said
check_says 'no prediction' '^nowhere  *[0-9][^ ]*[ kMG]*  *-  *wall  *-  *-$' said
check 'no nan' sh -c '! grep -iw nan said'
check 'its runs tell the data, too' test -n "$(h5dump -a \
    /gpt-neo-tiny/nowhere/data_hash c.h5 | grep "$(hash_of d3.h5)")"
check 'report' "$WEFT" report c.h5 -o "$page"
check_says 'it is named' '<li>nowhere trains nothing: store null' "$page"
check 'and is not the fastest' sh -c "! grep -q 'time: nowhere' '$page'"
check_says 'who trains agrees' 'losses of all 2 are the same' "$page"

# --- show: columns are in line ----------------------------------------------

# The column, in characters, where WORD begins in the line of NAME.
column() {
    grep -e "^  $1" shown | perl -CSDA -ne \
        'BEGIN { $w = shift } print index($_, $w), "\n"' "$2" | head -n 1
}
check 'show' "$WEFT" show c.h5
cp check.out shown
ok=$(column dp1 ' ok ')
check 'a plain name' [ "$ok" -gt 0 ]
check 'one with two-byte letters' [ "$(column strömend ' ok ')" = "$ok" ]
check 'and its reasons' test "$(grep -c '^  dreißig Stück überall ' shown)" = 2
finish
