#!/bin/bash
# Nothing that a user has is lost: inputs are no outputs by any name, files
# are written by one run at a time, what is read-only stays, links stay links.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt
t=(train gpt-neo-tiny --data text.txt --seq 32 --batch 4 --steps 2)
lost='would be lost; give another name'

# --- inputs are not outputs ---------------------------------------------------

cp "$root/configs/models/gpt-neo-tiny.json" mm.json
cp "$root/configs/plans/dp2.tp2.json" pp.json
"$WEFT" calibrate --help >/dev/null || complain 'no help'
echo '{}' >host.json
ln -s mm.json model-link
ln pp.json plan-hard
for option in --out --save; do
    u=(--data text.txt --seq 32 --batch 4 --steps 2 "$option")
    refused $USAGE "$option mm.json is the model mm.json|$lost" \
        train mm.json "${u[@]}" mm.json
    refused $USAGE "$option model-link is the model|$lost" \
        train mm.json "${u[@]}" model-link
    refused $USAGE "$option pp.json is --plan too|$lost" \
        "${t[@]}" --plan pp.json $option pp.json
    refused $USAGE "$option plan-hard is --plan too|$lost" \
        "${t[@]}" --plan pp.json $option plan-hard
    refused $USAGE "$option ./host.json is --machine too|$lost" \
        "${t[@]}" --machine host.json $option ./host.json
done
mkdir -p configs/models
cp mm.json configs/models/mine.json
refused $USAGE 'configs/models/mine.json|the model|would be lost' \
    train mine --data text.txt --out configs/models/mine.json

# The only copy of published weights.
from=$golden/gptj_full_rotary
mkdir hf
cp "$from/config.json" "$from/model.safetensors" hf
ln -s hf/model.safetensors weights
for out in hf/model.safetensors hf/config.json weights; do
    refused $USAGE "--out $out is the input hf/|$lost" convert hf -o $out
done
accepted convert hf -o hf/new.h5
refused $USAGE '--out hf/new.h5 is the input hf/new.h5' \
    convert hf/new.h5 --to hf -o hf/new.h5

# A pair of files is one input.
"$WEFT" tokenize text.txt -o pair.bin >/dev/null || complain 'no pair.bin'
: >pair.idx
refused $USAGE '--out pair.idx is --data too' \
    train gpt-neo-tiny --data pair.bin --out pair.idx

# --- one run at a time --------------------------------------------------------

for option in --out --save; do
    exec 7>x.h5.lock
    flock -x 7
    refused $LOCKED 'x.h5: another run|is writing' "${t[@]}" $option x.h5
    refused $LOCKED 'x.h5: another run' "${t[@]}" $option x.h5 --plan dp2
    refused $LOCKED 'x.h5: another run' convert hf -o x.h5
    exec 7>&-
done
accepted "${t[@]}" --out x.h5 --save y.h5 -q # a left-over holds nobody up
[ ! -e x.h5.lock ] || complain 'x.h5.lock is left'

# Two real ones: the second is told at once, the first does not notice, and
# readers that lock (HDF5 does) are let in.
await_steps() {
    local i
    for i in $(seq 1000); do
        "$WEFT" show "$1" 2>/dev/null | grep -q 'step' && return
        sleep 0.05
    done
    complain "$1 has no steps"
}
for plan in '' '--plan dp2'; do
    rm -f run.h5 run.ckpt
    # shellcheck disable=SC2086  # two words or none
    "$WEFT" train gpt-neo-tiny --data text.txt --seq 32 --batch 4 --steps 100000 \
        --out run.h5 --save run.ckpt -q $plan >"$TMPDIR/first" 2>&1 &
    first=$!
    await_steps run.h5
    for other in '' '--plan dp2'; do
        for option in '--out run.h5' '--save run.ckpt'; do
            # The folder changes all the time, so judge it without.
            # shellcheck disable=SC2086
            timeout 60 "$WEFT" "${t[@]}" $option $other \
                >/dev/null 2>"$TMPDIR/err" </dev/null
            code=$?
            tried=$((tried + 1))
            [ $code -eq $LOCKED ] || complain "$plan: $option: $code"
            grep -q 'another run (process' "$TMPDIR/err" ||
                complain "$(cat "$TMPDIR/err")"
        done
    done
    flock -ns run.h5 true || complain 'a reader is kept out'
    kill -TERM $first
    wait $first
    code=$?
    [ $code -eq 85 ] || complain "the first run: $code, $(cat "$TMPDIR/first")"
    accepted show run.h5
    accepted show run.ckpt --verify
    left=$(find . -name '*.lock' -o -name '*.tmp' -o -name '*.part')
    [ -z "$left" ] || complain "left: $left"
done

# --- what is there ------------------------------------------------------------

cp y.h5 ro.h5
chmod 444 ro.h5
for out in --save --out; do
    refused $LOCKED 'ro.h5: is there and is read-only|chmod u+w' \
        "${t[@]}" $out ro.h5
done
refused $LOCKED 'ro.h5: is there and is read-only' convert hf -o ro.h5
refused $LOCKED 'ro.h5' tokenize text.txt -o ro.h5
refused $LOCKED 'ro.h5' report x.h5 -o ro.h5

mkdir runs
cp y.h5 runs/1.h5
ln -s runs/1.h5 latest.h5
accepted "${t[@]}" --save latest.h5 --steps 3 -q
[ -L latest.h5 ] || complain 'the link was replaced'
! cmp -s runs/1.h5 y.h5 || complain 'the file behind the link was not written'
accepted "${t[@]}" --out latest.h5 -q
[ -L latest.h5 ] || complain 'the link was replaced by --out'

for command in "report x.h5" "train gpt-neo-tiny --data text.txt" "convert hf" \
    "tokenize text.txt" "convert y.h5 --to hf" "calibrate --quick"; do
    # shellcheck disable=SC2086
    refused $USAGE '-: ' $command --out -
done

refused $USAGE '--store null keeps no weights|--save' \
    "${t[@]}" --store null --save nn.h5
refused $CANTCREATE '/proc/x.h5|cannot create' "${t[@]}" --save /proc/x.h5

# An older file is replaced by a run that was stopped, not by one that failed.
accepted "${t[@]}" --out kept.h5 -q
before=$(cksum <kept.h5)
snapshot >"$TMPDIR/before"
timeout 60 "$WEFT" train gpt-neo-tiny --data text.txt --seq 32 --batch 4 \
    --steps 50 --lr 10 --grad-clip 0 --warmup 0 --beta2 0 --eps 1e-20 \
    --out kept.h5 -q >"$TMPDIR/out" 2>"$TMPDIR/err"
code=$?
mv kept.h5.part "$TMPDIR" 2>/dev/null || complain 'no kept.h5.part'
judge $NUMERIC 'kept.h5 is as it was, the steps so far are in kept.h5.part' \
    'a run that fails' $code
accepted show "$TMPDIR/kept.h5.part"
[ "$before" = "$(cksum <kept.h5)" ] || complain 'kept.h5 has changed'

# --- permission and output ----------------------------------------------------

# Without root's powers. As a plain user there are none.
plain=()
if [ "$(id -u)" -eq 0 ]; then
    plain=(setpriv --bounding-set=-all --inh-caps=-all)
fi
cp y.h5 closed.h5
cp text.txt closed.txt
chmod 000 closed.h5 closed.txt
for words in "--data closed.txt" "--init closed.h5" "--resume closed.h5"; do
    # shellcheck disable=SC2086
    "${plain[@]}" "$WEFT" "${t[@]}" $words >"$TMPDIR/out" 2>"$TMPDIR/err"
    code=$?
    tried=$((tried + 1))
    [ $code -eq $LOCKED ] || complain "$words: $code, $(cat "$TMPDIR/err")"
done
"${plain[@]}" "$WEFT" show closed.h5 >/dev/null 2>"$TMPDIR/err"
code=$?
[ $code -eq $LOCKED ] || complain "show closed.h5: $code, $(cat "$TMPDIR/err")"

for plan in '' '--plan dp2'; do
    # shellcheck disable=SC2086
    "$WEFT" "${t[@]}" $plan >/dev/full 2>"$TMPDIR/err"
    code=$?
    tried=$((tried + 1))
    [ $code -eq $IO ] || complain "a full output, $plan: $code"
    # shellcheck disable=SC2086
    "$WEFT" "${t[@]}" $plan --out out.h5 >&- 2>"$TMPDIR/err"
    code=$?
    tried=$((tried + 1))
    [ $code -eq $IO ] || complain "a closed output, $plan: $code"
    accepted show out.h5
done
finish
