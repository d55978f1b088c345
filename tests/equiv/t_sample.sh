#!/bin/bash
# weft sample: as much text as asked for and nothing else; the same text on
# any number of threads, with any device memory, and for the same seed; what a
# model has learned shows; signals end it.
#
# timeout: 400
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"
with_results=
for model in gpt-neo-tiny gpt-j-tiny; do
    check "train $model" train "$model" "$model" streamed
done

# sample FILE OPTION...: into $work/FILE; what is on stderr is looked at.
sample() {
    local to=$1
    shift
    "$WEFT" sample "$@" >"$work/$to" 2>"$work/$to.err" || {
        local code=$?
        cat "$work/$to.err"
        return "$code"
    }
    [ ! -s "$work/$to.err" ] # statistics are for terminals
}

bytes() {
    [ "$(wc -c <"$work/$1")" -eq "$2" ]
}

same() {
    cmp "$work/$1" "$work/$2"
}

unlike() {
    ! cmp -s "$work/$1" "$work/$2"
}

for model in gpt-neo-tiny gpt-j-tiny; do
    c=$work/$model.ckpt
    # 64 tokens are seen at once (--seq of the run): the window slides.
    base=("$c" --prompt Permission -n 200)
    check "$model: samples" sample a "${base[@]}" --threads 1
    check "$model: prompt and 200 tokens" bytes a 210
    check "$model: begins with the prompt" \
        test "$(head -c 10 "$work/a")" = Permission
    check "$model: once more, 3 threads" sample b "${base[@]}" --threads 3
    check "$model: the same text" same a b
    # Hardly more than 64 tokens need at the least.
    check "$model: little device memory" \
        sample b "${base[@]}" --device-memory 800KiB
    check "$model: the same text there" same a b
    check "$model: another seed" sample b "${base[@]}" --seed 2
    check "$model: another text" unlike a b
    check "$model: a wider context" sample b "${base[@]}" --context 128
    check "$model: another text, since more is seen" unlike a b
    check "$model: greedy" sample b "${base[@]}" --temperature 0
    check "$model: the likeliest of one" sample d "${base[@]}" --top-k 1
    check "$model: is greedy" same b d
    check "$model: the likeliest of hardly any" \
        sample d "${base[@]}" --top-p 0.00001
    check "$model: is greedy, too" same b d
done

# Prompts from a file, none, and one as long as the context.
c=$work/gpt-neo-tiny.ckpt
printf 'The rights\n' >"$work/prompt"
check 'prompt from a file' sample a "$c" --prompt-file "$work/prompt" -n 20
check 'is all of the file' test \
    "$(head -n 1 "$work/a")" = 'The rights'
check 'its length, too' bytes a 31
check 'no prompt' sample a "$c" -n 30
check 'no prompt: 30 tokens' bytes a 30
check 'an empty prompt' sample b "$c" -n 30 --prompt ''
check 'is none' same a b
printf '\n' >"$work/line"
check 'none is a new line' sample b "$c" -n 30 --prompt-file "$work/line"
tail -c +2 "$work/b" >"$work/d"
check 'which is not printed' same a d
head -c 64 "$data" >"$work/prompt"
check 'a prompt of 64 tokens' sample a "$c" -n 5 --prompt-file "$work/prompt"
check 'and five more' bytes a 69

# What was learned shows: a text of one sentence, again and again.
for i in {1..400}; do printf 'abcdefgh'; done >"$work/rhyme"
check 'learns a rhyme' \
    "$WEFT" train gpt-neo-tiny --data "$work/rhyme" --steps 60 --batch 4 \
    --seq 32 --save "$work/rhyme.ckpt" -q
check 'says the rhyme' \
    sample a "$work/rhyme.ckpt" --prompt abc -n 40 --temperature 0.3
check 'word by word' test "$(cat "$work/a")" = \
    "$(head -c 43 "$work/rhyme")"

# Tokens of several bytes: greedily through a rhyme learned as such.
check 'tokenize' "$WEFT" tokenize "$work/rhyme" -o "$work/rhyme.bin" \
    --train 262 --save-tokenizer "$work/rhyme.json"
check 'learns it by tokens' \
    "$WEFT" train gpt-neo-tiny --vocab 262 --data "$work/rhyme.bin" \
    --steps 60 --batch 4 --seq 32 --save "$work/rhyme2.ckpt" -q
check 'says it' sample a "$work/rhyme2.ckpt" --prompt abcdefgh -n 6 \
    --temperature 0 --tokenizer "$work/rhyme.json"
check 'in fewer tokens than bytes' test "$(wc -c <"$work/a")" -gt 14
check 'the right ones' test "$(cat "$work/a")" = \
    "$(head -c "$(wc -c <"$work/a")" "$work/rhyme")"

# Documents that end with a token of another name: a text without a prompt
# begins behind it, and ends with it. (Of windows of 15 every kind of token,
# a document has four, is the first in some.)
printf abcdefgh >"$work/doc"
sed 's/<|endoftext|>/<|stop|>/' "$work/rhyme.json" >"$work/stop.json"
mapfile -t docs < <(yes "$work/doc" | head -n 60)
check 'tokenize documents' "$WEFT" tokenize "${docs[@]}" -o "$work/docs.bin" \
    --tokenizer "$work/stop.json" --eot-token '<|stop|>'
check 'learns them' \
    "$WEFT" train gpt-neo-tiny --vocab 262 --data "$work/docs.bin" \
    --steps 60 --batch 4 --seq 15 --save "$work/docs.ckpt" -q
check 'says one' sample a "$work/docs.ckpt" --temperature 0 -n 50 \
    --tokenizer "$work/stop.json" --eot-token '<|stop|>'
check 'and ends' test "$(cat "$work/a")" = abcdefgh
check 'does not know the end by itself' sample b "$work/docs.ckpt" \
    --temperature 0 -n 50 --tokenizer "$work/stop.json" --prompt abcdefgh
check 'and goes on' grep -qF '<|stop|>abcdefgh<|stop|>' "$work/b"

# A signal ends it between two tokens, with the text so far.
"$WEFT" sample "$c" -n 1000000 >"$work/long" 2>"$work/err" &
pid=$!
check 'Ctrl-C: it has begun' await 60 test -s "$work/long"
kill -INT "$pid" 2>/dev/null
check_code 85 'Ctrl-C: exit code' wait "$pid"
check 'Ctrl-C: there is text' test -s "$work/long"
check_says 'Ctrl-C: one line' '^weft: stopped by a signal after' "$work/err"
check 'Ctrl-C: no other' test "$(wc -l <"$work/err")" -eq 1

finish
