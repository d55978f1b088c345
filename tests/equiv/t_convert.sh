#!/bin/bash
# Both ways through the command line: what was trained here and written as a
# Hugging Face folder, in one file and in shards, is the same model when it is
# read again: its first loss has the same bits, for every family.
# timeout: 300
. "${0%/*}/../common/train.sh"
text=$PWD/LICENSE

# first_loss CKPT: as 16 hex digits.
first_loss() {
    "$WEFT" train "$work/hf0" "${run[@]}" --steps 1 --init "$1" -q \
        --out "$work/first.h5" >&2 || return 1
    h5dump -d /steps/loss -b LE -o "$work/first.bin" "$work/first.h5" \
        >/dev/null || return 1
    od -An -tx8 "$work/first.bin"
}

# A model of each family, with the vocabulary of text.
for golden in gpt2_exact_untied gpt_neo_odd_inner gptj_one_head_tied \
    gpt_neox_sequential_tied; do
    rm -rf "$work"/hf* "$work"/*.h5
    mkdir "$work/hf0"
    sed 's/"vocab_size": [0-9]*/"vocab_size": 256/' \
        "tests/golden/$golden/config.json" >"$work/hf0/config.json"
    # One thread: no warning of being bound to a core.
    run=(--data "$text" --batch 2 --seq 8 --threads 1)
    check "$golden: trained" "$WEFT" train "$work/hf0" "${run[@]}" --steps 3 \
        --save "$work/a.h5" -q
    check "$golden: one file" "$WEFT" convert "$work/a.h5" --to hf \
        -o "$work/hf1"
    check "$golden: shards" "$WEFT" convert "$work/a.h5" --to hf \
        -o "$work/hf2" --shard-size 16KiB
    check "$golden: there are shards" \
        test -e "$work/hf2/model.safetensors.index.json"
    loss=$(first_loss "$work/a.h5")
    for n in 1 2; do
        check "$golden: folder $n read" "$WEFT" convert "$work/hf$n" \
            -o "$work/b$n.h5"
        check "$golden: folder $n shown" "$WEFT" show "$work/hf$n"
        check "$golden: folder $n, same weights" \
            h5diff "$work/a.h5" "$work/b$n.h5" /weights
        check "$golden: folder $n, same loss $loss" \
            test "$loss" = "$(first_loss "$work/b$n.h5")"
    done
    check "$golden: there is a loss" test -n "$loss"
    # Weights that are not read are spoken of, and only those.
    "$WEFT" train "$work/hf2" "${run[@]}" --steps 1 >/dev/null 2>"$work/err"
    check "$golden: not read" grep -q \
        'hf2/model.safetensors.index.json is not read: weights start from' \
        "$work/err"
    "$WEFT" train "$work/hf2" "${run[@]}" --steps 1 --init "$work/a.h5" \
        >/dev/null 2>"$work/err"
    check "$golden: read" test ! -s "$work/err"
done
finish
