#!/bin/bash
# weft sample: wrong checkpoints, prompts, options.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt
accepted train gpt-neo-tiny --data text.txt --seq 32 --batch 4 --steps 1 \
    --save c.h5 -q
accepted sample c.h5 -n 2

refused $NOINPUT 'none.h5|No such file' sample none.h5
refused $BADFILE 'text.txt: is not an HDF5 file' sample text.txt
refused $BADFILE 'golden.h5: is no file of Weft' \
    sample "$golden/gptj_full_rotary/golden.h5"
refused $USAGE 'sample|CKPT' sample
head -c 3000000 c.h5 >cut.h5
refused $BADFILE 'cut.h5: is truncated' sample cut.h5

# One byte of a weight changed.
cp c.h5 bad.h5
printf '\xa5\x5a\xa5' | dd of=bad.h5 bs=1 seek=2000001 conv=notrunc 2>/dev/null
refused $CORRUPT 'bad.h5: /weights/|checksum' sample bad.h5 -n 2

# Prompts.
head -c 33 text.txt >long.txt
refused $CONFIG 'prompt has 33 tokens|32|--context' \
    sample c.h5 --prompt-file long.txt
refused $NOINPUT 'none.txt' sample c.h5 --prompt-file none.txt
refused $USAGE '--prompt or --prompt-file' \
    sample c.h5 --prompt a --prompt-file long.txt

# A vocabulary that is not that of bytes, and one with too few of them.
accepted convert "$golden/gptj_full_rotary" -o g.h5
refused $USAGE 'vocabulary of 61|--tokenizer' sample g.h5 --prompt a
refused $CONFIG 'prompt has token 97|is 61' \
    sample g.h5 --tokenizer bytes --prompt a
accepted sample g.h5 --tokenizer bytes --prompt 123 -n 3

# Tokenizers.
accepted tokenize text.txt -o t.bin --train 300 --save-tokenizer t.json
refused $CONFIG 't.json has 300 tokens|61' sample g.h5 --tokenizer t.json
refused $CONFIG '"<|x|>"|t.json has no such token|"<|endoftext|>"' \
    sample g.h5 --tokenizer t.json --eot-token '<|x|>'
refused $CONFIG '--eot-token|token 256|no text' sample c.h5 --eot-token x
refused $NOINPUT 'none.json' sample g.h5 --tokenizer none.json

# Numbers.
refused $USAGE '--tokens' sample c.h5 -n 0
refused $USAGE '--temperature' sample c.h5 --temperature -1
refused $USAGE '--top-p' sample c.h5 --top-p 0
refused $USAGE '--top-p' sample c.h5 --top-p 1.5
refused $USAGE '--top-k' sample c.h5 --top-k -3
refused $USAGE '--temperature 0|--top-k does nothing' \
    sample c.h5 --temperature 0 --top-k 3
refused $USAGE '--temperature 0|--seed does nothing' \
    sample c.h5 --temperature 0 --seed 3
refused $USAGE '--topk|--top-k' sample c.h5 --topk 3
refused $CONFIG '--context 100000|positions' sample c.h5 --context 100000
refused $BUDGET 'of device memory and has 64KiB; raise it' \
    sample c.h5 --device-memory 64KiB
refused_by 2 $USAGE 'one process|mpirun' sample c.h5

# Standard output that cannot take it.
snapshot >"$TMPDIR/before"
"$WEFT" sample c.h5 -n 5 >/dev/full 2>"$TMPDIR/err"
judge $IO 'standard output' 'sample to a full device' $?
finish
