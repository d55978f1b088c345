#!/bin/bash
# weft compare under mpirun: the same bits as started plainly, on the first
# ranks of the job; what needs more ranks is refused; errors end all ranks.
#
# timeout: 400
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"
cat >"$work/e.json" <<END
{"models": ["gpt-neo-tiny"], "data": "$data",
 "common": {"steps": 3, "batch": 4, "seq": 16, "layers": 2},
 "setups": [{"name": "streamed", "device_memory": "state/1"},
            {"plan": "dp1"}, {"plan": "tp2"}, {"name": "four", "plan": "dp2.pp2"},
            {"plan": "tp3", "name": "three"}]}
END

# curves FILE: loss and norm of every set-up, in all their digits. Attributes
# come after the data.
curves() {
    local name column
    for name in streamed dp1 tp2 four three; do
        for column in loss grad_norm; do
            echo "curve $name $column"
            h5dump -y -m %.17g -d "/gpt-neo-tiny/$name/steps/$column" "$1" |
                sed -n '/^   DATA {/,/^   }/p'
        done
    done
}

check 'compare, started plainly' \
    "$WEFT" compare "$work/e.json" --out "$work/plain.h5"
check 'compare, as a job of four' \
    $MPIRUN -np 4 "$WEFT" compare "$work/e.json" --out "$work/job.h5"
cp "$work/check.out" "$work/job.out"
check_says 'all agree' '^4 set-ups agree with the judge bit for bit' \
    "$work/job.out"
check_says 'it says what is not counted' 'first ranks of this job of 4' \
    "$work/job.out"
curves "$work/plain.h5" >"$work/plain.txt"
curves "$work/job.h5" >"$work/job.txt"
check 'ten curves of three steps' \
    test "$(grep -c -E '^ +[0-9]+[.][0-9]+' "$work/plain.txt")" -eq 30
check 'the same bits' cmp "$work/plain.txt" "$work/job.txt"
check 'nothing is left beside it' \
    test "$(cd "$work" && echo job.h5*)" = job.h5

# Two ranks: four and three do not run, the others do.
check 'a job of two' \
    $MPIRUN -np 2 "$WEFT" compare "$work/e.json" --out "$work/two.h5"
cp "$work/check.out" "$work/two.out"
check_says 'three is refused' \
    '^three: refused: it needs 3 ranks, mpirun started 2' "$work/two.out"
check_says 'two agree' '^2 set-ups agree' "$work/two.out"

# One line for all ranks, and the code.
check_code 66 'no experiment' \
    $MPIRUN --quiet -np 3 "$WEFT" compare "$work/none.json" --out "$work/n.h5"
check 'one line' test "$(grep -c '^weft: ' "$work/code.out")" -eq 1
check_code 64 'no argument' $MPIRUN --quiet -np 3 "$WEFT" compare
check 'one line' test "$(grep -c '^weft: ' "$work/code.out")" -eq 1
check_code 0 'help is printed once' $MPIRUN -np 3 "$WEFT" compare --help
check 'once' test "$(grep -c '^Usage: ' "$work/code.out")" -eq 1

# Stopped by a signal that mpirun hands on to ranks that wait, too.
sed 's/"steps": 3/"steps": 100000/' "$work/e.json" >"$work/long.json"
$MPIRUN --quiet -np 2 "$WEFT" compare "$work/long.json" \
    --out "$work/long.h5" >"$work/long.out" 2>&1 &
job=$!
begun() {
    test -n "$(find "$work" -name 'long.h5.run-*.h5')"
}
check 'the first set-up begins' await 60 begun
kill -USR1 $job
wait $job
check 'a signal ends it' test $? -eq 85
check_says 'and says so' '^weft: stopped by a signal in dp1' "$work/long.out"

# The line of what failed is kept with its code, as started plainly.
no_clip='"lr": 10, "min_lr": 10, "grad_clip": 0, "weight_decay": 10'
sed "s/\"steps\": 3,/\"steps\": 300, $no_clip, \"warmup\": 0,/" "$work/e.json" >"$work/nan.json"
check_code 76 'the judge fails' \
    $MPIRUN --quiet -np 2 "$WEFT" compare "$work/nan.json" --out "$work/nan.h5"
h5dump -d /runs "$work/nan.h5" >"$work/nan.txt"
check_says 'and why' '"exit code 76: ' "$work/nan.txt"
finish
