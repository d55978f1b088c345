#!/bin/bash
# What weft show says, and how fast.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt

# shows WORDS ARGUMENTS...: succeeds, and the output has all of them.
shows() {
    local words=$1 word
    shift
    accepted show "$@"
    while [ -n "$words" ]; do
        word=${words%%|*}
        grep -q -F -e "$word" "$TMPDIR/out" ||
            complain "show $*: no '$word' in the output"
        [ "$word" != "$words" ] || break
        words=${words#*|}
    done
    ! grep -n ' $' "$TMPDIR/out" || complain "show $*: spaces at line ends"
}

start=$(date +%s%N)
shows '125,198,592 parameters|12 of 64|local (window 256)|tied' gpt-neo-125m
shows '1,315,575,808 parameters|16 of 128|all 24 layers' gpt-neo-1.3b
shows '2,651,307,520 parameters|20 of 128|all 32 layers' gpt-neo-2.7b
shows '6,050,882,784 parameters|64 of 256|neighbours|lm_head.bias' gpt-j-6b
ms=$((($(date +%s%N) - start) / 1000000))
echo "four models: $ms ms"
[ $ms -lt 2000 ] || complain "four models took $ms ms"

shows '20,554,567,680 parameters|24 of 96|halves|a norm each' gpt-neox-20b
shows '11,846,072,320 parameters|exact (erf)|50688' pythia-12b
shows '255,977,024 parameters|17 of 64|tied|[in][out]' cerebras-gpt-256m

# The rows of the table add up to the published number.
"$WEFT" show gpt-j-6b | awk '
    /^parameters/ { table = 1; next }
    /^work/ { table = 0 }
    table && NF > 1 {
        gsub(",", "", $NF)
        if ($1 == "total") { total = $NF + 0 }
        else if ($1 == "all") { sum += $NF }
        else if ($1 !~ /\.h\.0\./ && $1 ~ /\./) { sum += $NF }
    }
    END { exit !(sum == total && total == 6050882784) }' ||
    complain 'the table of gpt-j-6b does not add up'

# 16 bytes a parameter; 6 flops a weight of the matrices and attention.
shows '1.87 GiB|478 MiB' gpt-neo-125m
shows '741 Mflop|113 Mflop|854 Mflop' gpt-neo-125m --seq 1024
shows '2 layers' gpt-neo-125m --layers 2
shows '857,344 parameters' "$root/configs/models/gpt-neo-tiny.json"
shows '17,197 parameters|erf|8 of 8 dimensions' "$golden/gptj_full_rotary"
for model in "$golden"/*/config.json; do
    shows ' parameters|descriptor|total' "$model"
done

shows 'a plan for 8 ranks|"tensor": 2|heads tensor_leaves' dp2.tp2.pp2
# Data ranks have 15 or 16 of 31 sequences; what fits is found for the most.
uneven=(dp2.pp2.1f1b --model gpt-neo-tiny --batch 31 --seq 128)
shows '1 to 2 of 15 to 16 sequences of a rank' "${uneven[@]}"
shows '1 of 15 to 16 sequences of a rank' "${uneven[@]}" \
    --device-memory 13.5MiB
shows 'a plan for 4 ranks|{"data": 4}' "$root/configs/plans/dp4.json"
shows 'none: one rank holds everything' dp1
shows 'admitted             yes|communicators        13|layers 2 to 3, head' \
    dp2.tp2.pp2 --model gpt-neo-tiny
shows 'optimizer|scratch|ranks 0 to 3' dp2.tp2 --model gpt-neo-tiny
refused $CONFIG 'plan pp3|nearest plan that works' show pp3 --model gpt-neo-tiny
shows 'stage 1|1f1b' 1f1b.pp2 --model gpt-neo-tiny
shows 'a plan for 2 ranks' 1f1b.pp2
refused $CONFIG 'plan "PP2"' show PP2 --model gpt-neo-tiny
refused $CONFIG 'plan ""' show '' --model gpt-neo-tiny
refused $CONFIG 'plan ".pp2"|empty part' show .pp2 --model gpt-neo-tiny
refused $USAGE '--model says nothing about a model, gpt-j-tiny is one' \
    show gpt-j-tiny --model gpt-neo-tiny

accepted train gpt-neo-tiny --data text.txt --steps 3 --seq 32 --batch 4 \
    --val-every 3 --save c.h5 --out r.h5 -q
shows 'after 3 steps|56 tensors, 857,344 values|not looked at' c.h5
shows 'checksums            all 168 right' c.h5 --verify
shows 'a run of gpt-neo-tiny, complete|streamed on 1 rank|in step 3|trace' r.h5
shows 'decisions            none' r.h5
refused $USAGE '--verify is for checkpoints, r.h5' show r.h5 --verify
cp c.h5 renamed
shows 'a checkpoint of gpt-neo-tiny' renamed

shows 'text, one token a byte|largest token|train on' text.txt --seq 128
shows 'fits                 gpt-neo-tiny, vocabulary 256' \
    text.txt --model gpt-neo-tiny
{
    llmc 20240520 1 100
    head -c 198 /dev/zero
    le16 777
} >t.bin
shows 'llm.c uint16|tokens               100|777: a vocabulary of 778' t.bin
refused $CONFIG 't.bin|token 777 at position 99' show t.bin --model gpt-neo-tiny
finish
