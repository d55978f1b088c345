#!/bin/bash
# Several ranks: all leave, and one line is said for all of them.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt
t=(train gpt-neo-tiny --data text.txt --seq 32 --batch 4)

# Wrong number of ranks.
refused_by 3 $CONFIG 'plan dp2 needs 2 ranks|got 3|mpirun -np 2|nearest' \
    "${t[@]}" --plan dp2
refused_by 2 $CONFIG 'streaming needs 1 rank|there are 2' "${t[@]}"

# Each stage of a start.
refused_by 2 $USAGE "'--stesp'|--steps" "${t[@]}" --plan dp2 --stesp 3
refused_by 2 $BUDGET '1 MiB is too little' \
    "${t[@]}" --plan tp2 --device-memory 1MiB
refused_by 3 $NOINPUT 'none.txt|No such file' "${t[@]}" --plan dp3 \
    --data none.txt
refused_by 2 $CANTCREATE 'none/x.h5|no folder' "${t[@]}" --plan dp2 \
    --save none/x.h5
accepted "${t[@]}" --steps 1 --save c.h5 -q
printf '\xa5\x5a\xa5' | dd of=c.h5 bs=1 seek=2000001 conv=notrunc 2>/dev/null
refused_by 2 $CORRUPT 'c.h5: /weights/|checksum' "${t[@]}" --plan tp2 --init c.h5
refused_by 2 $NOINPUT 'wobble|no such model' show wobble

# Numbers run away; all ranks stop at the same step, and nothing is saved.
away=("${t[@]}" --steps 300 --lr 10 --min-lr 10 --grad-clip 0 --weight-decay 10
    --save away.h5 -q)
refused $NUMERIC 'step |gradient norm|lower --lr' "${away[@]}"
refused_by 2 $NUMERIC 'step |gradient norm|lower --lr' "${away[@]}" --plan dp2
# Started by weft itself: mpirun is told to be quiet.
refused $NUMERIC 'step |gradient norm|lower --lr' "${away[@]}" --plan tp2

# Ranks that were told different things, or have other files: all leave before
# the first step, and the first such rank and thing are named.
sed 's/e/f/g' text.txt >other.txt
mkdir elsewhere
cp text.txt elsewhere/copy.txt
accepted "${t[@]}" --steps 1 --plan dp2 --seed 7 --save d.h5 -q
cp c.h5 elsewhere/c.h5
cp d.h5 elsewhere/d.h5
base=("${t[@]}" --steps 2 --plan dp2 -q)

# unlike WORDS OPTION...: rank 1 gets the options, too.
unlike() {
    local words=$1 got
    shift
    snapshot >"$TMPDIR/before"
    timeout -k 2 120 $MPIRUN --timeout 100 -np 1 "$WEFT" "${base[@]}" : \
        -np 1 "$WEFT" "${base[@]}" "$@" \
        >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    got=$?
    judge $CONFIG "rank 1: ranks do not run the same|$words" \
        "rank 1 with $*" "$got"
}
unlike 'the data is other.txt|text.txt (' --data other.txt
unlike '--seed is 2 here, 1 on rank 0' --seed 2
unlike '--lr is 0.0001' --lr 1e-4
unlike '--steps is 5 here, 2 on rank 0' --steps 5
unlike 'the plan is tp2 here, dp2 on rank 0' --plan tp2
unlike 'the model is gpt-neo-tiny' --layers 1
unlike '--save is a file here, no file' --save new.h5
base+=(--init d.h5)
unlike 'the checkpoint to start from is c.h5 (' --init elsewhere/c.h5

# The same content under other names is the same, and so is what a rank does
# with its own cores.
tried=$((tried + 1))
base=("${t[@]}" --steps 1 --plan dp2 -q)
timeout -k 2 120 $MPIRUN --timeout 100 -np 1 "$WEFT" "${base[@]}" --init d.h5 : \
    -np 1 "$WEFT" "${base[@]}" --data elsewhere/copy.txt \
    --init elsewhere/d.h5 --threads 2 >"$TMPDIR/out" 2>&1 ||
    complain "files under other names: $(tail -n 3 "$TMPDIR/out")"
finish
