#!/bin/bash
# A results file that a resumed run goes on in: it is of the last start, says of
# how many steps its bytes are, and reports divide by those. And what a run
# says of itself can be used: its command line, the step that broke.
#
# timeout: 120
set -u
. "$(dirname "$0")/../common/train.sh"
. tests/common/results.sh

mkdir "$work/a folder"
data="$work/a folder/it's text.txt"
make_text "$data"

run() {
    "$WEFT" train gpt-neo-tiny --layers 2 --data "$data" --batch 4 --seq 16 \
        --threads 1 "$@"
}

# --- bytes of a step ----------------------------------------------------------

check 'all at once' run --steps 10 --plan tp2 --out "$work/full.h5" -q
check_code 85 'stopped' run --steps 10 --plan tp2 --out "$work/res.h5" \
    --save "$work/c.h5" --stop-after 8 -q
check 'goes on' run --steps 10 --plan tp2 --out "$work/res.h5" \
    --resume "$work/c.h5" -q
check 'ten steps' holds "$work/full.h5" "len(f['steps/step']) == 10 and
    f['ranks'].attrs['steps'] == f['traffic'].attrs['steps'] == 10"
check 'bytes of two of ten steps' holds "$work/res.h5" "
    len(f['steps/step']) == 10 and
    f['ranks'].attrs['steps'] == f['traffic'].attrs['steps'] == 2"
check 'report' "$WEFT" report "$work/full.h5" "$work/res.h5" -o "$work/r.html"
check 'a step has the same bytes in both, in rows and matrix' "$python" -c "
import re, sys
page = open(sys.argv[1]).read()
for what in ('tensor', 'world'):
    got = re.findall(r'\"%s_bytes\": ?([0-9.]+)' % what, page)
    assert len(got) == 2 and got[0] == got[1] and float(got[0]) > 0, got
cells = [re.findall(r'>([0-9.]+ [KM]iB)<', t)
         for t in re.findall(r'class=\"matrix\".*?</table>', page, re.S)]
assert len(cells) == 2 and len(cells[0]) == 2 and cells[0] == cells[1], cells
" "$work/r.html"
"$WEFT" show "$work/res.h5" >"$work/said"
check_says 'show says of how many steps' 'bytes moved *in 2 steps' "$work/said"

# --- facts of the last start --------------------------------------------------

check_code 85 'exact sums, one rank' run --steps 9 --lr 1e-3 --plan dp1 \
    --out "$work/mix.h5" --save "$work/mix.ckpt" --stop-after 3 -q
check_code 85 'fast sums, two ranks, stopped as well' run --steps 8 --lr 2e-3 \
    --plan tp2 --sums fast --out "$work/mix.h5" --resume "$work/mix.ckpt" \
    --save "$work/mix2.ckpt" --stop-after 3 -q
check 'all facts are of the second start' holds "$work/mix.h5" "
    config['lr'] == 2e-3 and config['steps'] == 8 and
    f.attrs['ranks'] == 2 and b'--lr 2e-3' in f.attrs['cmdline'] and
    f.attrs['plan'] == b'dp1, then tp2' and f.attrs['sums'] == b'fast' and
    f['setup'].attrs['communicators'] > 0 and 'host' in f and
    not {'ranks', 'traffic', 'trace', 'prediction'} & set(f)"
check 'and back: ends' run --steps 8 --plan dp1 --out "$work/mix.h5" \
    --resume "$work/mix2.ckpt" -q
check 'exact sums at the end do not make all of it exact' holds "$work/mix.h5" "
    f.attrs['sums'] == b'fast' and config['sums'] == 'exact' and
    f.attrs['complete'] == 1 and len(f['ranks']) == 1 and
    f['ranks'].attrs['steps'] == 2"
check 'report of it' "$WEFT" report "$work/mix.h5" -o "$work/mix.html"

# What the first start has predicted and traced is not the second's.
check 'ends' run --steps 4 --plan dp2 --out "$work/end.h5" \
    --save "$work/end.ckpt" --save-every 2 -q
check_code 85 'does its last steps again, is stopped' run --steps 6 --plan dp1 \
    --out "$work/end.h5" --resume "$work/end.ckpt" --stop-after 1 -q
check 'no ranks and no trace of the start before' holds "$work/end.h5" "
    not {'ranks', 'traffic', 'trace', 'prediction'} & set(f) and
    f.attrs['ranks'] == 1 and f.attrs['complete'] == 0"
"$WEFT" show "$work/end.h5" >"$work/said"
check_says 'show: one rank' 'dp2, then dp1 on 1 rank$' "$work/said"
check 'show: no table of ranks' [ "$(grep -c '^ranks' "$work/said")" = 0 ]
check 'report of a file without them' \
    "$WEFT" report "$work/end.h5" -o "$work/end.html"

# --- the command line ---------------------------------------------------------

# again FILE: does what the file says that was done.
again() {
    local line
    line=$("$python" -c "
import h5py, sys
print(h5py.File(sys.argv[1]).attrs['cmdline'].decode())" "$1")
    rm "$1"
    echo "$line"
    (weft() { "$WEFT" "$@"; } && eval "$line")
}

odd="$work/a folder/\$HOME & (1).h5"
check 'names with blanks' run --steps 2 --plan tp2 --out "$odd" -q
check 'the command line does it again' again "$odd"
check 'with the same result' holds "$odd" "len(f['steps/step']) == 2"
cat >"$work/a folder/e.json" <<END
{"models": ["gpt-neo-tiny"], "data": "$data",
 "common": {"steps": 2, "batch": 4, "seq": 16}, "setups": [{"plan": "dp1"}]}
END
check 'a comparison' "$WEFT" compare "$work/a folder/e.json" --out "$odd" \
    --data "$data"
check 'its command line does it again' again "$odd"
check 'with a row' holds "$odd" "len(f['runs']) == 1"

# --- the step that broke ------------------------------------------------------

away=(--steps 12 --lr 10 --grad-clip 0 --weight-decay 10)
run "${away[@]}" --log-every 1 --on-nan skip >"$work/skip.log" 2>&1
step=$(sed -n 's/^step *\([0-9]*\).*skipped: not finite.*/\1/p' \
    "$work/skip.log" | head -n 1)
check 'a step is skipped' [ "${step:-0}" -gt 1 ]
check 'a NaN has no sign' [ "$(grep -c -e '-nan' "$work/skip.log")" = 0 ]
run "${away[@]}" -q >"$work/stop.log" 2>&1
check_says 'the same step is named' "^weft: step $step: .*not a number" \
    "$work/stop.log"
check 'and no NaN but in words' [ "$(grep -c 'nan' "$work/stop.log")" = 0 ]

finish
