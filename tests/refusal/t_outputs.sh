#!/bin/bash
# Outputs that cannot be written are refused before the first step, and what
# was there stays as it was.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt
t=(train gpt-neo-tiny --data text.txt --seq 32 --batch 4 --steps 2)

# bad CODE WORDS FILE: for both outputs, streamed and by a plan.
bad() {
    local option
    for option in --save --out; do
        refused "$1" "$2" "${t[@]}" "$option" "$3"
        refused "$1" "$2" "${t[@]}" "$option" "$3" --plan dp2
    done
}
bad $CANTCREATE 'none/x.h5|there is no folder none|create it first' none/x.h5
bad $CANTCREATE 'text.txt/x.h5|there is no folder text.txt' text.txt/x.h5
mkdir folder
bad $CANTCREATE 'folder: is a folder' folder
bad $CANTCREATE 'folder/' folder/
mkfifo pipe
bad $CANTCREATE 'pipe: is there and is not a regular file' pipe
bad $CANTCREATE 'empty name' ''
[ -p pipe ] || complain 'the pipe was replaced'
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed
    chmod 500 closed
    bad $CANTCREATE 'closed/x.h5|Permission denied' closed/x.h5
fi

# Inputs are not outputs.
bad $USAGE 'text.txt is --data too' text.txt
bad $USAGE 'text.txt is --data too' ./text.txt
ln -s text.txt link
bad $USAGE 'link is --data too' link
refused $USAGE '--out ./a.h5 is --save too' \
    "${t[@]}" --save a.h5 --out ./a.h5

# What was named from the shelf is an input, too.
mkdir -p configs/plans configs/models configs/experiments
cp "$root/configs/plans/uneven.1f1b.json" "$root/configs/plans/tp2.pp2.json" \
    configs/plans
cp "$root/configs/models/gpt-neo-tiny.json" configs/models/small.json
cp configs/plans/tp2.pp2.json bare # no .json: a file all the same
for plan in uneven.1f1b uneven.1f1b.json configs/plans/uneven.1f1b.json; do
    for option in --out --save; do
        refused $USAGE 'uneven.1f1b.json is --plan too' \
            "${t[@]}" --plan $plan $option configs/plans/uneven.1f1b.json
    done
done
refused $USAGE 'bare is --plan too' "${t[@]}" --plan bare --out ./bare
refused $USAGE 'small.json is the model' train small "${t[@]:2}" \
    --save configs/models/small.json
cat >configs/experiments/e.json <<END
{"models": ["small"], "data": "text.txt",
 "common": {"steps": 1, "batch": 4, "seq": 16},
 "setups": [{"plan": "dp1"}, {"name": "u", "plan": "uneven.1f1b"}]}
END
refused $USAGE 'is the plan |uneven.1f1b.json and would be lost' \
    compare e --out configs/plans/uneven.1f1b.json
refused $USAGE 'is the model ' compare e --out configs/models/small.json
refused $USAGE 'is the experiment ' compare e \
    --out configs/experiments/e.json
# Shorthand reads no file: one of that name may be written.
accepted "${t[@]}" --plan tp2.pp2 --out configs/plans/tp2.pp2.json --quiet

# Nothing is written, and nothing advises options that the command has not.
for command in 'report none.h5 -o none/x.html' 'calibrate -o none/x.json'; do
    # shellcheck disable=SC2086  # words
    "$WEFT" $command >/dev/null 2>"$TMPDIR/err" </dev/null
    tried=$((tried + 1))
    if ! grep -q 'no folder none' "$TMPDIR/err" ||
        grep -q -e --save "$TMPDIR/err"; then
        complain "$command: $(cat "$TMPDIR/err")"
    fi
done

# Somebody's files have the names of temporaries.
echo precious >p.h5.tmp
bad $CANTCREATE 'p.h5: |p.h5.tmp is there and is no left-over of Weft' p.h5
echo precious >p.bin.tmp
refused $CANTCREATE 'p.bin.tmp is there and is no left-over' \
    tokenize text.txt -o p.bin --tokenizer bytes
echo old >q.h5
echo precious >q.h5.part
refused $CANTCREATE 'q.h5.part is there and is no left-over' \
    "${t[@]}" --out q.h5
rm p.* q.*

# Two runs with one output: the second is told.
exec 7>b.h5.tmp
flock -x 7
refused $LOCKED 'b.h5|another run' "${t[@]}" --save b.h5
exec 7>&-
finish
