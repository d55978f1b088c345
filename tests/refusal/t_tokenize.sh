#!/bin/bash
# weft tokenize and --vocab: wrong options, texts, tokenizers, data sets.
# timeout: 300
. "${0%/*}/common.sh"

make_text text.txt
tok=$golden/tokenizer/gpt2.json

# Options.
refused $USAGE '-o FILE.bin is missing' tokenize text.txt
refused $USAGE 'tokenize' tokenize -o a.bin
refused $USAGE '--train|--tokenizer|one of them' \
    tokenize text.txt -o a.bin --train 300 --tokenizer "$tok" \
    --save-tokenizer a.json
refused $USAGE '--train needs --save-tokenizer' \
    tokenize text.txt -o a.bin --train 300
refused $USAGE '--save-tokenizer is for --train' \
    tokenize text.txt -o a.bin --save-tokenizer a.json
# As many as bytes have with an end of text, for which sample would take them.
refused $USAGE '--train|257|258' \
    tokenize text.txt -o a.bin --train 257 --save-tokenizer a.json
printf 'abc' >short.txt
refused $BADFILE 'no pair stands in the texts twice|--tokenizer bytes' \
    tokenize short.txt -o a.bin --train 300 --save-tokenizer a.json
refused $USAGE '--eot|first|before' tokenize text.txt -o a.bin --eot first
refused $USAGE '--format|h5' tokenize text.txt -o a.bin --format h5
refused $USAGE '--out text.txt is the text text.txt|would be lost' \
    tokenize text.txt -o text.txt
refused $USAGE '--save-tokenizer ./text.txt is the text text.txt' \
    tokenize text.txt -o a.bin --train 300 --save-tokenizer ./text.txt
refused $USAGE '--out a.bin is --save-tokenizer too' \
    tokenize text.txt -o a.bin --train 300 --save-tokenizer a.bin
cp "$tok" mine.json
refused $USAGE '--out mine.json is --tokenizer too|would be lost' \
    tokenize text.txt -o mine.json --tokenizer mine.json
refused $CANTCREATE 'none/a.bin|no folder' tokenize text.txt -o none/a.bin
refused $CONFIG 'a.ids|must end in .bin|--format llmc' \
    tokenize text.txt -o a.ids --format nanogpt

# Texts. Nothing is left of a file whose second text is wrong.
refused $NOINPUT 'none.txt' tokenize none.txt -o a.bin
refused $BADFILE 'folder' tokenize "$golden" -o a.bin
: >empty.txt
refused $BADFILE 'empty.txt: is empty' tokenize empty.txt -o a.bin
printf 'caf\351' >latin.txt
refused $BADFILE 'latin.txt: byte 3 (0xe9) is not UTF-8|iconv' \
    tokenize text.txt latin.txt -o a.bin --tokenizer "$tok"
refused $BADFILE 'latin.txt: byte 3 (0xe9) is not UTF-8' \
    tokenize text.txt latin.txt -o a.bin --train 300 --save-tokenizer a.json
accepted tokenize latin.txt -o latin.bin
printf 'cafe\314\201' >apart.txt
refused $BADFILE 'apart.txt: byte 4|NFC|uconv' \
    tokenize apart.txt -o a.bin --tokenizer "$golden/tokenizer/neox.json"
accepted tokenize apart.txt -o apart.bin --tokenizer "$tok"

# No texts, with each kind of tokenizer; `accepted` made latin.bin above.
gzip -c text.txt >text.gz
printf '\211HDF\r\n\032\n....' >x.h5
printf '\2\0\0\0\0\0\0\0{}' >x.safetensors
printf 'MMIDIDX\0\0\1' >x.index
printf 'TNTIDX\0\0\1' >y.index
for how in '' "--tokenizer $tok" '--train 300 --save-tokenizer a.json'; do
    while IFS=: read -r file words; do
        # shellcheck disable=SC2086  # options are words
        refused $BADFILE "$file: is $words|plain text" \
            tokenize text.txt $file -o a.bin $how
    done <<'END'
text.gz:gzip-compressed|unpack
x.h5:an HDF5 file
x.safetensors:a safetensors file
x.index:the index of a Megatron data set
y.index:an old index
latin.bin:an llm.c token file
END
done
for bom in '\377\376a\0' '\376\377\0a'; do
    printf '%b' "$bom" >wide.txt
    refused $BADFILE 'wide.txt: is UTF-16|iconv -f UTF-16 -t UTF-8' \
        tokenize wide.txt -o a.bin --tokenizer "$tok"
    refused $BADFILE 'wide.txt: is UTF-16|iconv -f UTF-16 -t UTF-8' \
        tokenize wide.txt -o a.bin --train 300 --save-tokenizer a.json
done
printf '\377\376\0\0a\0\0\0' >wide.txt
refused $BADFILE 'iconv -f UTF-32' tokenize wide.txt -o a.bin --tokenizer "$tok"

# Tokenizers.
refused $NOINPUT 'none.json' tokenize text.txt -o a.bin --tokenizer none.json
refused $NOINPUT 'has no tokenizer.json' \
    tokenize text.txt -o a.bin --tokenizer "$golden"
refused $BADFILE 'text.txt:' tokenize text.txt -o a.bin --tokenizer text.txt
head -c 9000 "$tok" >cut.json
refused $BADFILE 'cut.json:' tokenize text.txt -o a.bin --tokenizer cut.json
sed 's/"ByteLevel"/"Metaspace"/' "$tok" >meta.json
refused $CONFIG 'meta.json:|pre_tokenizer.type|Metaspace|ByteLevel' \
    tokenize text.txt -o a.bin --tokenizer meta.json
sed 's/<|endoftext|>/<|end|>/' "$tok" >noeot.json
refused $CONFIG 'noeot.json: has no |endoftext|--eot-token|--eot none' \
    tokenize text.txt -o a.bin --tokenizer noeot.json --eot after
refused $CONFIG '"<|stop|>"|noeot.json has no such token|"<|end|>"' \
    tokenize text.txt -o a.bin --tokenizer noeot.json --eot-token '<|stop|>'
refused $CONFIG 'token 256|no text' \
    tokenize text.txt -o a.bin --tokenizer bytes --eot-token '<|endoftext|>'
refused $USAGE '--eot-token names a token of --tokenizer' \
    tokenize text.txt -o a.bin --eot-token '<|endoftext|>'
refused $USAGE '--eot none|--eot-token' tokenize text.txt -o a.bin \
    --tokenizer noeot.json --eot-token '<|end|>' --eot none
printf '[%.0s' {1..100000} >deep.json
sed -i '1s/^/{"a":/' deep.json
refused $BADFILE 'deep.json' tokenize text.txt -o a.bin --tokenizer deep.json

# Tokens of a vocabulary that the model does not have; --vocab.
accepted tokenize text.txt -o own.bin --train 400 --save-tokenizer own.json
refused $CONFIG 'own.bin|outside the vocabulary|0 to 255|--vocab' \
    train gpt-neo-tiny --data own.bin
refused $CONFIG 'outside the vocabulary|0 to 349' \
    train gpt-neo-tiny --data own.bin --vocab 350
refused $USAGE '--vocab|-1' train gpt-neo-tiny --data own.bin --vocab -1
accepted train gpt-neo-tiny --data own.bin --vocab 400 --steps 1 --batch 1 \
    --seq 16 --save v.h5 -q
refused $CONFIG 'v.h5|vocabulary 400 (wanted 256)' \
    train gpt-neo-tiny --data text.txt --seq 16 --batch 1 --init v.h5
for how in --init --resume; do
    refused $CONFIG 'v.h5|vocabulary 400 (wanted 500)' \
        train gpt-neo-tiny --data own.bin --vocab 500 --seq 16 --batch 1 \
        $how v.h5
done

# Megatron: a damaged index, through the command.
{
    printf 'MMIDIDX\0\0'
    le32 1 0
    printf '\010'
    le32 -1 -1 2 0 5 0 0 0 0 1 0
} >m.idx
head -c 2000 /dev/zero >m.bin
refused $BADFILE 'm.idx|18446744073709551615 sequences' \
    train gpt-neo-tiny --data m.idx
refused $BADFILE 'm.idx|18446744073709551615 sequences' show m.bin
# As Megatron itself is given it.
refused $NOINPUT 'm: No such file|m.bin is there' train gpt-neo-tiny --data m
finish
