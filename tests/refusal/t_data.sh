#!/bin/bash
# Wrong data: missing, empty, foreign, truncated, outside the vocabulary.
# timeout: 300
. "${0%/*}/common.sh"

# bad CODE WORDS FILE: refused by train, streamed and by a plan that would
# need two ranks, and all but what needs a model by show.
bad() {
    refused "$1" "$2" train gpt-neo-tiny --data "$3"
    refused "$1" "$2" train gpt-neo-tiny --data "$3" --plan dp2
}

make_text text.txt
refused $NOINPUT 'none.txt|No such file' train gpt-neo-tiny --data none.txt
bad $NOINPUT 'none.txt|No such file' none.txt
mkdir folder
bad $BADFILE 'folder: is a folder' folder
: >empty.txt
bad $BADFILE 'empty.txt: is empty' empty.txt
mkfifo pipe
bad $BADFILE 'pipe: is not a regular file' pipe
printf 'abc' >short.txt
bad $CONFIG 'short.txt: 3 tokens are left|128|129|--seq' short.txt

# Token files.
llmc 20240520 1 2000 >ok.bin
head -c 4000 /dev/zero >>ok.bin
accepted show ok.bin --model gpt-neo-tiny
llmc 20240520 1 2000 >cut.bin
head -c 3000 /dev/zero >>cut.bin
bad $BADFILE 'cut.bin: has 4024 bytes|2000 tokens|5024|copy it again' cut.bin
refused $BADFILE 'cut.bin: has 4024 bytes' show cut.bin
head -c 500 ok.bin >cut2.bin
bad $BADFILE 'cut2.bin: is a truncated llm.c|1024' cut2.bin
llmc 20240520 9 2000 >version.bin
head -c 4000 /dev/zero >>version.bin
bad $BADFILE 'version.bin|version 9' version.bin
printf 'odd' >odd.bin
bad $BADFILE 'odd.bin: has an odd length of 3' odd.bin

# Outside the vocabulary of 256: seen when the data are checked.
{
    head -c 3000 /dev/zero
    le16 256
    head -c 3000 /dev/zero
} >nano.bin
refused $CONFIG 'nano.bin|token 256 at position 1500|0 to 255' \
    train gpt-neo-tiny --data nano.bin
refused $CONFIG 'nano.bin|token 256 at position 1500|0 to 255' \
    show nano.bin --model gpt-neo-tiny
{
    llmc 20240801 7 2000
    head -c 7996 /dev/zero
    le32 70000
} >wide.bin
refused $CONFIG 'wide.bin|token 70000 at position 1999|0 to 255' \
    train gpt-neo-tiny --data wide.bin

# Foreign files.
bad $BADFILE 'golden.h5: is an HDF5 file' "$golden/gptj_full_rotary/golden.h5"
bad $BADFILE 'model.safetensors: is a safetensors file' \
    "$golden/gptj_full_rotary/model.safetensors"
refused $BADFILE 'golden.h5: is an HDF5 file; JSON is wanted' \
    compare "$golden/gptj_full_rotary/golden.h5" --out new.h5
refused $BADFILE 'golden.h5: is an HDF5 file; JSON is wanted' \
    train gpt-neo-tiny --data text.txt \
    --machine "$golden/gptj_full_rotary/golden.h5"
refused $BADFILE 'golden.h5: is an HDF5 file; a tokenizer is' \
    tokenize text.txt -o new.bin \
    --tokenizer "$golden/gptj_full_rotary/golden.h5"
gzip -c text.txt >text.txt.gz
bad $BADFILE 'text.txt.gz: is gzip' text.txt.gz
printf 'PK\003\004xxxxxxxxxxxxxxxxxx' >model.pt
bad $BADFILE 'model.pt: is a zip' model.pt

# Megatron: an index of before, one that is none, a token below zero.
head -c 4000 /dev/zero >old.bin
printf 'TNTIDX\0\0\1\0\0\0\0\0\0\0' >old.idx
bad $BADFILE 'old.idx: is an index of the older TNTIDX format|MMIDIDX' old.bin
refused $BADFILE 'old.idx: is an index of the older TNTIDX' show old.idx
cp old.bin odd.bin
printf 'NMIDIDX\0\0' >odd.idx
bad $BADFILE 'odd.idx: is no Megatron index|give odd.bin' odd.idx

# warns COMMAND...: ends well, and says so once, however many ranks there are.
warns() {
    timeout -k 2 240 "$WEFT" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null ||
        complain "weft $*: $(head -n 3 "$TMPDIR/err")"
    tried=$((tried + 1))
    [ "$(grep -c 'weft: warning: odd.bin: .*no Megatron index' \
        "$TMPDIR/err")" -eq 1 ] || complain "weft $*: $(cat "$TMPDIR/err")"
}
warns show odd.bin
warns train gpt-neo-tiny --data odd.bin --steps 1
warns train gpt-neo-tiny --data odd.bin --steps 1 --plan dp2
rm odd.idx
accepted show odd.bin

{
    printf 'MMIDIDX\0\0\1\0\0\0\0\0\0\0\4'
    le32 1 0 2 0 500 0 0 0 0 1 0
} >minus.idx
{
    head -c 1992 /dev/zero
    le32 -3 7
} >minus.bin
refused $CONFIG 'minus.bin (Megatron int32): token -3 at position 498' \
    train gpt-neo-tiny --data minus.bin
refused $CONFIG 'token -3 at position 498' show minus.idx
finish
