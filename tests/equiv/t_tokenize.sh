#!/bin/bash
# From text to a trained model, and the same tokens by every way in.
# timeout: 300
. "${0%/*}/../common/train.sh"

make_text "$work/text.txt"
golden=tests/golden/tokenizer

tokenize() {
    "$WEFT" tokenize "$@" >"$work/tok.out" 2>&1
    local code=$?
    cat "$work/tok.out"
    return "$code"
}

# curve FILE OPTION...: losses and norms of four steps on it.
curve() {
    local file=$1
    shift
    "$WEFT" train gpt-neo-tiny --data "$file" --steps 4 --batch 4 --seq 64 \
        "$@" 2>&1 | sed -n 's/^\(step.*gnorm [^ ]*\).*/\1/p'
}

# The ids of Hugging Face, as a command gives them.
for style in gpt2 neox; do
    check "$style: tokenize" tokenize $golden/text.txt -o "$work/$style.bin" \
        --tokenizer $golden/$style.json --format nanogpt --eot none
    check "$style: ids of Hugging Face" \
        cmp "$work/$style.bin" $golden/$style.bin
done

# Bytes: the text itself as data, and its tokens.
check "bytes" tokenize "$work/text.txt" -o "$work/bytes.bin"
check_says "bytes: vocabulary" 'vocabulary: 256; ' "$work/tok.out"
curve "$work/text.txt" >"$work/a.txt"
curve "$work/bytes.bin" >"$work/b.txt"
check "bytes: the text as data" test "$(wc -l <"$work/a.txt")" = 4
check "bytes: the same losses" cmp "$work/a.txt" "$work/b.txt"

# A vocabulary of its own, streamed and by a plan, and read back.
check "train" tokenize "$work/text.txt" -o "$work/own.bin" --train 500 \
    --save-tokenizer "$work/own.json"
check_says "train: the next command" '--vocab 500 --data' "$work/tok.out"
check "again, by the tokenizer that was written" tokenize "$work/text.txt" \
    -o "$work/again.bin" --tokenizer "$work/own.json"
check "the same tokens" cmp "$work/own.bin" "$work/again.bin"
curve "$work/own.bin" --vocab 500 --save "$work/own.h5" >"$work/a.txt"
curve "$work/own.bin" --vocab 500 --plan tp2 >"$work/b.txt"
check "four steps" test "$(wc -l <"$work/a.txt")" = 4
check "the same losses by a plan" cmp "$work/a.txt" "$work/b.txt"
check "a checkpoint opens as what it is" "$WEFT" show --verify "$work/own.h5"
check "and starts a run" "$WEFT" train gpt-neo-tiny --vocab 500 \
    --data "$work/own.bin" --init "$work/own.h5" --steps 1 --batch 1 --seq 16

# The same in an experiment.
cat >"$work/exp.json" <<END
{"models": ["gpt-neo-tiny"], "data": "$work/own.bin",
 "common": {"steps": 2, "batch": 2, "seq": 32, "vocab": 500},
 "setups": [{"name": "streamed", "device_memory": "state/4"}]}
END
check "compare" "$WEFT" compare "$work/exp.json" --out "$work/cmp.h5"

# A .bin that has no header could be anything.
check "no warning so far" test -z "$(grep warning "$work/tok.out")"
check "bare tokens as text" tokenize $golden/gpt2.bin -o "$work/bare.bin"
check_says "bare tokens as text: warning" 'warning: .*gpt2.bin: was taken for' \
    "$work/tok.out"

# Documents: end of text behind or before each.
head -c 1000 LICENSE >"$work/1.txt"
head -c 500 LICENSE >"$work/2.txt"
size() { stat -c %s "$1"; }
for eot in none before after; do
    check "documents, $eot" tokenize "$work/1.txt" "$work/2.txt" \
        -o "$work/$eot.bin" --eot $eot --format nanogpt
done
# ids FILE: one a line.
ids() { od -An -v -w2 -tu2 "$1" | tr -d ' '; }
at() { ids "$1" | grep -n '^256$' | cut -d : -f 1 | paste -sd ' '; }
check "none" test "$(at "$work/none.bin")" = ""
check "before" test "$(at "$work/before.bin")" = "1 1002"
check "after" test "$(at "$work/after.bin")" = "1001 1502"
check "before: size" test "$(size "$work/before.bin")" = 3004

# The same with a token of another name, which nobody would look for.
sed 's/<|endoftext|>/<|stop|>/' $golden/gpt2.json >"$work/stop.json"
t=(tokenize "$work/1.txt" "$work/2.txt" --format nanogpt)
check "end of text" "${t[@]}" -o "$work/eot.bin" --tokenizer $golden/gpt2.json
for eot in auto after; do
    check "another, $eot" "${t[@]}" -o "$work/stop.bin" --eot $eot \
        --tokenizer "$work/stop.json" --eot-token '<|stop|>'
    check "another, $eot: the same" cmp "$work/stop.bin" "$work/eot.bin"
    check_code 1 "another, $eot: no warning" grep warning "$work/tok.out"
done
check "none known" "${t[@]}" -o "$work/stop.bin" --tokenizer "$work/stop.json"
check_says "none known: warning" \
    'warning: .*stop.json: has no <|endoftext|>.*--eot-token' "$work/tok.out"
check "none known: two tokens less" test \
    "$(size "$work/stop.bin")" = $(($(size "$work/eot.bin") - 4))
check "none wanted" "${t[@]}" -o "$work/stop.bin" --eot none \
    --tokenizer "$work/stop.json"
check_code 1 "none wanted: no warning" grep warning "$work/tok.out"
check "one text" tokenize "$work/1.txt" -o "$work/stop.bin" \
    --tokenizer "$work/stop.json"
check_says "one text: warning" \
    'warning: .*stop.json: has no <|endoftext|>, nothing stands behind the text;' \
    "$work/tok.out"
check "one text, none wanted" tokenize "$work/1.txt" -o "$work/stop.bin" \
    --tokenizer "$work/stop.json" --eot none
check_code 1 "one text, none wanted: no warning" grep warning "$work/tok.out"

# The same tokens as a Megatron data set.
tail -c +1025 "$work/bytes.bin" >"$work/meg.bin"
perl -e 'my $n = shift; print "MMIDIDX\0\0", pack("Q< C Q< Q< l< q< q< q<",
    1, 8, 1, 2, $n, 0, 0, 1)' $(($(size "$work/meg.bin") / 2)) >"$work/meg.idx"
curve "$work/bytes.bin" >"$work/a.txt"
curve "$work/meg.idx" >"$work/b.txt"
curve "$work/meg.bin" >"$work/c.txt"
check "Megatron: four steps" test "$(wc -l <"$work/b.txt")" = 4
check "Megatron, by its index" cmp "$work/a.txt" "$work/b.txt"
check "Megatron, by its tokens" cmp "$work/a.txt" "$work/c.txt"
finish
