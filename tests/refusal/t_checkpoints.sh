#!/bin/bash
# Wrong checkpoints and published models: truncated, foreign, damaged, of
# another model, of another run.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt
make_text other.txt
echo more >>other.txt
run=(--data text.txt --seq 32 --batch 4)
t=(train gpt-neo-tiny "${run[@]}" --steps 4)

accepted train gpt-neo-tiny "${run[@]}" --steps 2 --save c.h5 --out r.h5 -q
accepted show c.h5 --verify
accepted train gpt-neo-tiny --data text.txt --seq 32 --batch 8 --steps 2 \
    --save wide.h5 -q

# bad CODE WORDS FILE: for --init and for --resume.
bad() {
    refused "$1" "$2" "${t[@]}" --init "$3" --save s.h5 --out o.h5
    refused "$1" "$2" "${t[@]}" --resume "$3" --save s.h5 --out o.h5
}
bad $NOINPUT 'none.h5|No such file' none.h5
mkdir folder
bad $BADFILE 'folder: is a folder|weft convert' folder
cp text.txt x.safetensors
bad $BADFILE 'x.safetensors: is not an HDF5 file|weft convert' x.safetensors
rm x.safetensors
: >empty.h5
bad $BADFILE 'empty.h5: is empty' empty.h5
bad $BADFILE 'text.txt: is not an HDF5 file' text.txt
head -c 3000000 c.h5 >cut.h5
bad $BADFILE 'cut.h5: is truncated' cut.h5
refused $BADFILE 'cut.h5: is truncated' show cut.h5
head -c 100 c.h5 >cut2.h5
bad $BADFILE 'cut2.h5' cut2.h5
bad $BADFILE 'golden.h5: is no file of Weft' \
    "$golden/gptj_full_rotary/golden.h5"
refused $BADFILE 'golden.h5|format is ""|weft-checkpoint' \
    show "$golden/gptj_full_rotary/golden.h5"
bad $BADFILE 'r.h5: is a weft-run, not a weft-checkpoint' r.h5

# One byte of a tensor changed.
cp c.h5 bad.h5
printf '\xa5\x5a\xa5' | dd of=bad.h5 bs=1 seek=2000001 conv=notrunc 2>/dev/null
bad $CORRUPT 'bad.h5: /weights/|checksum' bad.h5
refused $CORRUPT 'bad.h5: /weights/|checksum' show bad.h5 --verify

# Of another model, or of another run.
refused $CONFIG 'c.h5: holds gpt-neo-tiny|not gpt-j-tiny|rotary' \
    train gpt-j-tiny "${run[@]}" --init c.h5 --out o.h5
other='c.h5 is of another run: '
refused $CONFIG "${other}holds gpt-neo-tiny with 4 layers|(wanted 2)" \
    "${t[@]}" --layers 2 --resume c.h5
refused $CONFIG "${other}--seed 1, not 7; resume" "${t[@]}" --seed 7 --resume c.h5
refused $CONFIG "${other}--data-leaves 4, not 2; resume|--init c.h5" \
    "${t[@]}" --data-leaves 2 --resume c.h5
refused $CONFIG "${other}--tensor-leaves 4, not 2; resume" \
    "${t[@]}" --tensor-leaves 2 --resume c.h5
refused $CONFIG "${other}--batch 4 --seq 32, not 4 and 64; resume" \
    "${t[@]}" --seq 64 --resume c.h5
refused $CONFIG "${other}other data (text.txt) than other.txt; resume" \
    "${t[@]}" --data other.txt --resume c.h5
# All of it, the model first; a plan that does not suit it hides nothing.
refused $CONFIG "${other}holds gpt-neo-tiny|not gpt-j-tiny|; --seed 1, not 7; \
other data (text.txt) than other.txt; --data-leaves 4, not 8; resume" \
    train gpt-j-tiny "${run[@]}" --data other.txt --seed 7 --data-leaves 8 \
    --plan dp8 --resume c.h5
refused $CORRUPT 'bad.h5: /weights/|checksum' "${t[@]}" --plan dp3 \
    --resume bad.h5
refused $CONFIG 'data: 5 is more than the batch|allowed is 1 to 4' \
    "${t[@]}" --plan dp5 --resume c.h5
# Leaves are the checkpoint's: more of them need a new run.
refused $CONFIG 'more than the 4 data leaves of wide.h5|--init wide.h5 '$(
    )'--data-leaves 6' train gpt-neo-tiny --data text.txt --seq 32 --batch 8 \
    --plan dp6 --resume wide.h5
# What changes its course is said, and the run goes on.
"$WEFT" "${t[@]}" --lr 0.5 --min-lr 1e-4 --resume c.h5 -q 2>err.txt || complain '--lr 0.5'
grep -q '^weft: warning: c.h5 goes on with steps 4 (was 2), lr 0.5 (was 0.001):' \
    err.txt || complain "--lr 0.5: $(cat err.txt)"
rm err.txt
refused $CONFIG 'c.h5|2 steps already|--steps 2' \
    "${t[@]}" --steps 2 --resume c.h5

# Published models.
from=$golden/gptj_full_rotary
mkdir hf
cp "$from/config.json" hf
refused $NOINPUT 'hf|model.safetensors' convert hf -o g.h5
head -c 20000 "$from/model.safetensors" >hf/model.safetensors
refused $BADFILE 'hf/model.safetensors|truncated' convert hf -o g.h5
head -c 5 "$from/model.safetensors" >hf/model.safetensors
refused $BADFILE 'hf/model.safetensors' convert hf -o g.h5
: >hf/model.safetensors
refused $BADFILE 'hf/model.safetensors: is empty' convert hf -o g.h5
cp text.txt hf/model.safetensors
refused $BADFILE 'hf/model.safetensors: is not a safetensors file' \
    convert hf -o g.h5
cp "$golden/gpt_neo_local/model.safetensors" hf
refused $BADFILE 'hf/model.safetensors|shape is|config.json' \
    convert hf -o g.h5
refused $NOINPUT 'text.txt: is a file|folder that it is in|config.json' convert text.txt -o g.h5
refused $NOINPUT 'none: no such folder' convert none -o g.h5
refused $BADFILE 'x/pytorch_model.bin|Python pickle|safetensors' \
    convert x/pytorch_model.bin -o g.h5
refused $CANTCREATE 'none/g.h5|no folder none' convert "$from" -o none/g.h5

# The other way round.
refused $USAGE 'c.h5|--to hf' convert c.h5 -o g.h5
refused $USAGE 'hf: is a folder|--to hf' convert hf --to hf -o new
refused $USAGE "'hg'|ckpt, hf" convert c.h5 --to hg -o new
refused $USAGE '-o DIR is missing' convert c.h5 --to hf
refused $USAGE '--shard-size|4KiB to 1000TB' convert c.h5 --to hf -o new --shard-size 1
refused $USAGE '--shard-size is for --to hf' convert hf -o g.h5 --shard-size 1GB
refused $CANTCREATE 'hf: is not empty' convert c.h5 --to hf -o hf
refused $CANTCREATE 'text.txt: is there' convert c.h5 --to hf -o text.txt
refused $CANTCREATE 'none/new.tmp' convert c.h5 --to hf -o none/new
refused $BADFILE 'cut.h5: is truncated' convert cut.h5 --to hf -o new
refused $BADFILE 'text.txt: is not an HDF5 file' convert text.txt --to hf -o new
accepted convert c.h5 --to hf -o new --shard-size 1MB
rm -r new

# A converted one has no moments to resume from.
cp "$from/model.safetensors" hf
accepted convert hf -o g.h5
head -c 4000 /dev/zero >zero.bin
refused $CONFIG 'g.h5|weights|--init' \
    train hf --data zero.bin --seq 8 --batch 4 --resume g.h5
finish
