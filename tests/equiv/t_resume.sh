#!/bin/bash
# Checkpoints know no layout: runs under every set-up end with the same bits,
# and so does one that stops under one set-up and goes on under another.
#
# timeout: 600
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"

# All set-ups, not stopped.
for model in gpt-neo-tiny gpt-j-tiny; do
    [ "$model" = gpt-neo-tiny ] || with_results=
    check "$model: dp1" train "$model-dp1" "$model" dp1
    for how in streamed tp2 pp2 dp2; do
        check "$model: $how" train "$model-$how" "$model" "$how"
        check "$model: $how ends with the bits of dp1" \
            same_state "$work/$model-dp1.ckpt" "$work/$model-$how.ckpt"
        check "$model: $how has the losses of dp1" \
            same_curve "$model-dp1" "$model-$how"
    done
done

with_results=1
# Stopped and resumed: every set-up once on each side. long_resume.sh has all
# pairs.
resumed gpt-neo-tiny dp1 streamed gpt-neo-tiny-dp1
resumed gpt-neo-tiny streamed tp2 gpt-neo-tiny-dp1
resumed gpt-neo-tiny tp2 pp2 gpt-neo-tiny-dp1
resumed gpt-neo-tiny pp2 dp2 gpt-neo-tiny-dp1
resumed gpt-neo-tiny dp2 dp1 gpt-neo-tiny-dp1
with_results=
# Leaves of eight ranks go with the run: nobody types them again.
wide=(--batch 8 --seq 16)
check 'dp8' train dp8 gpt-neo-tiny dp8 "${wide[@]}"
check_code 85 'dp8 stops' train dp8-half gpt-neo-tiny dp8 "${wide[@]}" \
    --stop-after 4
for how in dp3 streamed; do
    check "dp8, then $how" train "dp8-$how" gpt-neo-tiny "$how" "${wide[@]}" \
        --resume "$work/dp8-half.ckpt"
    check "dp8, then $how: weights and moments" \
        same_state "$work/dp8.ckpt" "$work/dp8-$how.ckpt"
done
resumed gpt-j-tiny streamed dp2 gpt-j-tiny-dp1
resumed gpt-j-tiny tp2 streamed gpt-j-tiny-dp1

# Weights of Hugging Face: converted, trained on, stopped, resumed.
for golden in gptj_partial_rotary gpt_neo_local; do
    dir=tests/golden/$golden
    data=$work/$golden.bin
    make_tokens "$data" 41
    check "$golden: converted" "$WEFT" convert "$dir" -o "$work/$golden.w"
    check "$golden: trained from its weights" \
        train "$golden" "$dir" dp1 --init "$work/$golden.w" --seq 10
    check "$golden: trained from a seed" \
        train "$golden-seed" "$dir" dp1 --seq 10
    check "$golden: weights were taken" \
        differs "$work/$golden.ckpt" "$work/$golden-seed.ckpt"
    check "$golden: streamed" \
        train "$golden-streamed" "$dir" streamed --init "$work/$golden.w" \
        --seq 10
    check "$golden: streamed ends with the bits of dp1" \
        same_state "$work/$golden.ckpt" "$work/$golden-streamed.ckpt"
    check_code 85 "$golden: stops after 4 steps" \
        train "$golden-half" "$dir" streamed --init "$work/$golden.w" \
        --seq 10 --stop-after 4
    check "$golden: goes on" \
        train "$golden-on" "$dir" dp1 --resume "$work/$golden-half.ckpt" \
        --seq 10
    check "$golden: ends with the bits of the run not stopped" \
        same_state "$work/$golden.ckpt" "$work/$golden-on.ckpt"
    check "$golden: has its losses" \
        same_curve "$golden" "$golden-half" "$golden-on"
done

finish
