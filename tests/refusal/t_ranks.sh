#!/bin/bash
# Several ranks: all leave, and one line is said for all of them.
# timeout: 120
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
finish
