#!/bin/bash
# Commands that are stopped: a comparison keeps what an older one has, and its
# own rows beside it; tokenize leaves nothing unfinished; a terminal that is
# closed lets training save, and nohup holds it off.
#
# timeout: 400
set -u
. "$(dirname "$0")/../common/train.sh"
set -m # background jobs get signals as a terminal would send them

data=$work/text.txt
make_text "$data"

# ended NAME CODE: the process $pid.
ended() {
    local code
    wait "$pid"
    code=$?
    [ "$code" = "$2" ] || tail -n 5 "$work/$1.log"
    check "$1: exit code $code is $2" test "$code" = "$2"
    check "$1: nothing is left beside the files" none_left
}

none_left() {
    [ -z "$(find "$work" -name '*.tmp*' -o -name '*.lock' -o -name '*.run-*')" ]
}

# --- compare ------------------------------------------------------------------

# experiment NAME KEYS: dp1 and a second set-up with these keys.
experiment() {
    cat >"$work/$1.json" <<END
{
  "models": ["gpt-neo-tiny"],
  "data": "$data",
  "common": {"steps": 2, "batch": 4, "seq": 16},
  "setups": [{"plan": "dp1"}, {"name": "second"$2}]
}
END
}
experiment quick ''
experiment slow ', "link_rate": "2MB/s"' # a step takes some seconds
cmp=$work/cmp.h5

# stop_compare NAME: in its second set-up.
stop_compare() {
    "$WEFT" compare "$work/slow.json" --out "$cmp" >"$work/$1.log" 2>&1 &
    pid=$!
    check "$1: begins" await 60 grep -q '^gpt-neo-tiny dp1: ' "$work/$1.log"
    sleep 0.3
    kill -INT "$pid"
    ended "$1" 85
    check "$1: says nothing of options it has not" \
        sh -c "! grep -q -e --save '$work/$1.log'"
}

stop_compare fresh
check_says 'fresh: says where its rows are' "so far are in $cmp\$" \
    "$work/fresh.log"
check_says 'fresh: its row is there' 'dp1' <("$WEFT" show "$cmp")

check 'a whole one replaces it' \
    "$WEFT" compare "$work/quick.json" --out "$cmp"
check 'and is all there is' test ! -e "$cmp.part"
before=$(cksum <"$cmp")
stop_compare again
check_says 'again: says what became of both' \
    "$cmp is as it was, the set-ups so far are in $cmp.part" "$work/again.log"
check 'again: the older one is as it was' test "$before" = "$(cksum <"$cmp")"
check_says 'again: its row is there' 'dp1' <("$WEFT" show "$cmp.part")
rm -f "$cmp.part"

# --- tokenize -----------------------------------------------------------------

seq 1 3000000 >"$work/long.txt"
echo old >"$work/t.bin"
for signal in INT TERM HUP; do
    rm -f "$work/t.log"
    "$WEFT" tokenize "$work/long.txt" -o "$work/t.bin" --train 20000 \
        --save-tokenizer "$work/t.json" >"$work/t.log" 2>&1 &
    pid=$!
    check "$signal: begins" await 60 test -e "$work/t.bin.lock"
    kill "-$signal" "$pid"
    ended t 85
    check_says "$signal: says so" 'stopped by a signal' "$work/t.log"
    check "$signal: the old file stays" grep -q old "$work/t.bin"
    check "$signal: no tokenizer" test ! -e "$work/t.json"
done

# --- a closed terminal --------------------------------------------------------

t=(train gpt-neo-tiny --data "$data" --steps 100000 --batch 4 --seq 16)
for plan in '' '--plan dp2'; do
    rm -f "$work/hup.log" # or the one before would be read
    # shellcheck disable=SC2086  # two words or none
    "$WEFT" "${t[@]}" $plan --save "$work/hup.ckpt" >"$work/hup.log" 2>&1 &
    pid=$!
    check "hup $plan: begins" await 60 grep -q '^step  *3/' "$work/hup.log"
    kill -HUP "$pid"
    ended hup 85
    check "hup $plan: saved" "$WEFT" show "$work/hup.ckpt" --verify
    rm "$work/hup.ckpt"
done

nohup "$WEFT" "${t[@]}" >"$work/nohup.log" 2>&1 &
pid=$!
check 'nohup: begins' await 60 grep -q '^step  *3/' "$work/nohup.log"
kill -HUP "$pid"
sleep 0.5
check 'nohup: goes on' kill -0 "$pid"
kill -TERM "$pid"
ended nohup 85

finish
