#!/bin/bash
# Validation: the same losses, bit for bit, under every set-up, also after
# resuming; and training is the same with it as without it.
#
# timeout: 400
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"
val=(--val-every 2 --val-batches 3)

for model in gpt-neo-tiny gpt-j-tiny; do
    check "$model: dp1" train "$model-dp1" "$model" dp1 "${val[@]}"
    check "$model: four validations on the terminal" test \
        "$(grep -c 'validation loss' "$work/$model-dp1.log")" -eq 4
    for how in streamed tp2 pp2 dp2; do
        check "$model: $how" train "$model-$how" "$model" "$how" "${val[@]}"
        check "$model: $how has the losses of dp1" \
            same_curve "$model-dp1" "$model-$how"
    done
done
check 'they are in the results' \
    test "$(columns "$work/gpt-neo-tiny-tp2.h5" | grep -c validation/loss)" \
    -eq 4

# It changes nothing.
check 'without validation' train without gpt-neo-tiny streamed
check 'same weights with and without' \
    same_state "$work/without.ckpt" "$work/gpt-neo-tiny-streamed.ckpt"

# The fraction that is kept for it is no longer trained on.
check 'another fraction' train fraction gpt-neo-tiny dp1 --val-fraction 0.5
check 'trains on other text' \
    differs "$work/fraction.ckpt" "$work/gpt-neo-tiny-dp1.ckpt"

model=gpt-neo-tiny
check_code 85 'stops' train half "$model" tp2 "${val[@]}" --stop-after 4
check 'goes on' train on "$model" streamed "${val[@]}" \
    --resume "$work/half.ckpt"
check 'the same validations when resumed' same_curve "$model-dp1" half on

finish
