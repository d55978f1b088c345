#!/bin/bash
# A reader of standard output that ends (head, less) ends no run:
# training and comparing go on, save what they should, say once that nobody
# reads, and leave nothing behind. Commands that only print end quietly.
#
# timeout: 240
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"
cd "$work" || exit 70
warning='^weft: warning: nobody reads standard output any more'

# unread NAME COMMAND...: its reader ends after the first line; its exit code.
unread() {
    local name=$1
    shift
    # The second line is written when nobody reads, or at its end.
    "$@" 2>"$name.err" | head -n 1 >"$name.out"
    return "${PIPESTATUS[0]}"
}

none_left() {
    [ -z "$(find . -name '*.tmp*' -o -name '*.lock' -o -name '*.run-*' \
        -o -name '*.part')" ]
}

t=(train gpt-neo-tiny --data "$data" --steps 40 --batch 4 --seq 32)
for plan in '' dp2; do
    name=run$plan
    check "$name: goes on to its end" unread "$name" "$WEFT" "${t[@]}" \
        ${plan:+--plan $plan} --save "$name.ckpt" --out "$name.h5"
    check "$name: the reader had its line" test -s "$name.out"
    check "$name: says so once" \
        test "$(grep -c "$warning" "$name.err")" -eq 1
    check "$name: saved" "$WEFT" show "$name.ckpt" --verify
    check "$name: all steps are in the results" \
        test "$("$WEFT" show "$name.h5" | grep -c 'steps.*40')" -ge 1
    check "$name: nothing is left" none_left
done
check 'both have the same bits' same_state run.ckpt rundp2.ckpt

# Both streams, and a reader that was never there.
"$WEFT" "${t[@]}" --save both.ckpt 2>&1 | head -n 1 >both.out
check 'both streams: saved' same_state run.ckpt both.ckpt
"$WEFT" "${t[@]}" --save none.ckpt 2>none.err | true
check 'no reader: saved' same_state run.ckpt none.ckpt

cat >e.json <<END
{"models": ["gpt-neo-tiny"], "data": "$data",
 "common": {"steps": 2, "batch": 4, "seq": 16},
 "setups": [{"plan": "dp1"}, {"name": "streamed"}]}
END
check 'compare: goes on to its end' unread cmp "$WEFT" compare e.json \
    --out cmp.h5
check 'compare: says so once' test "$(grep -c "$warning" cmp.err)" -eq 1
check_says 'compare: both are in' streamed <("$WEFT" show cmp.h5)
check 'compare: nothing is left' none_left

# What only prints: not a word, and no time for what nobody reads.
for command in 'show gpt2' 'help train' 'sample run.ckpt -n 4000'; do
    seconds=$SECONDS
    # shellcheck disable=SC2086  # words
    "$WEFT" $command 2>quiet.err | head -c 1 >/dev/null
    check "$command: quiet" test ! -s quiet.err
    check "$command: ends" test $((SECONDS - seconds)) -le 20
done

# What it starts has the signal as it was: a program that is killed by it.
mkdir bin
cat >bin/gnuplot <<'END'
#!/bin/sh
awk '/^SigIgn/ { print $2 }' /proc/self/status >>"$SEEN"
exec /usr/bin/gnuplot "$@"
END
chmod +x bin/gnuplot
check 'report' env PATH="$work/bin:$PATH" SEEN="$work/seen" "$WEFT" report \
    run.h5 -o page.html
# Bit 13 - 1 of the mask: SIGPIPE is not ignored.
check 'its children do not inherit that' sh -c 'test -s "$1" || exit 1
    while read -r mask; do
        test $((0x$mask & 0x1000)) -eq 0 || exit 1
    done <"$1"' - seen
finish
