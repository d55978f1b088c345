#!/bin/bash
# Stopping: a signal makes a run save at its next step and end with 85, under
# a single process, under a job that weft starts itself, and under the user's
# own mpirun; what was saved goes on to the same bits; a second Ctrl-C ends it
# at once; nothing is left running.
#
# timeout: 600
set -u
. "$(dirname "$0")/../common/train.sh"
set -m # background jobs get signals as a terminal would send them

data=$work/text.txt
make_text "$data"
model=gpt-neo-tiny
# Many more steps than there is time for.
common=(train "$model" --data "$data" --steps 100000 --batch 4 --seq 64)
# A step that takes many seconds, whatever the machine.
slow=(--batch 64 --seq 256 --reference-kernels --threads 1)

# The runs of a test have its folder on their command line.
running() {
    pgrep -f -- "$work/$1\\.ckpt"
}

none_running() {
    ! running "$1"
}

# start NAME COMMAND...: in the background; its process is $pid.
start() {
    local name=$1
    shift
    "$@" --save "$work/$name.ckpt" --out "$work/$name.h5" \
        >"$work/$name.log" 2>&1 &
    pid=$!
}

started() {
    check "$1: begins" await 60 grep -q "^step  *$2/" "$work/$1.log"
}

# ended NAME CODE SECONDS: the process has ended with the code in that time,
# and nothing of it is left.
ended() {
    local name=$1 code from=$SECONDS
    wait "$pid"
    code=$?
    [ "$code" = "$2" ] || cat "$work/$name.log"
    check "$name: exit code $code is $2" test "$code" = "$2"
    check "$name: ends in time" test $((SECONDS - from)) -le "$3"
    check "$name: nothing is left running" await 30 none_running "$name"
}

# twice NAME: two signals in its first step; the second is not sent before the
# first has been heard, or both would be one.
twice() {
    local name=$1
    check "$name: begins" await 60 grep -q '^device memory' "$work/$name.log"
    kill -INT "$pid"
    check "$name: the first is heard" \
        await 60 grep -q 'once more ends it' "$work/$name.log"
    sleep 0.5
    check "$name: it does not end it" kill -0 "$pid"
    kill -INT "$pid"
    ended "$name" 130 20
    check "$name: nothing was saved" test ! -e "$work/$name.ckpt"
}

# stops NAME COMMAND...: starts it, sends it $signal in its third step.
stops() {
    local name=$1
    start "$@"
    started "$name" 3
    kill "-$signal" "$pid"
    ended "$name" 85 60
    check "$name: says it once" \
        test "$(grep -c 'stopped by a signal' "$work/$name.log")" -eq 1
}

# goes_on NAME: what was saved is what an uninterrupted run has after as many
# steps, and goes on to the same bits.
goes_on() {
    local name=$1 done
    done=$(sed -n 's/^saved .* after step \([0-9]*\)$/\1/p' "$work/$name.log")
    check "$name: saved in time" test "${done:-0}" -ge 3
    check_says "$name: says how to go on" \
        "after step $done; go on with --resume $work/$name.ckpt" \
        "$work/$name.log"
    [ -n "$done" ] || return
    start "$name-whole" "$WEFT" "${common[@]}" --plan dp1 \
        --stop-after $((done + 2))
    ended "$name-whole" 85 60
    start "$name-on" "$WEFT" "${common[@]}" --device-memory 3MiB \
        --resume "$work/$name.ckpt" --stop-after 2
    ended "$name-on" 85 60
    check "$name: goes on to the same bits" \
        same_state "$work/$name-whole.ckpt" "$work/$name-on.ckpt"
    check "$name: and the same losses" \
        same_curve "$name-whole" "$name" "$name-on"
}

# --- one process ------------------------------------------------------------

signal=INT
stops single "$WEFT" "${common[@]}" --device-memory 3MiB
goes_on single

signal=TERM
stops single-term "$WEFT" "${common[@]}"
check_says 'single-term: saved' '^saved' "$work/single-term.log"

"$WEFT" "${common[@]}" >"$work/unsaved.log" 2>&1 &
pid=$!
started unsaved 2
kill -INT "$pid"
ended unsaved 85 60
check_says 'unsaved: says so' 'no checkpoint was asked for' \
    "$work/unsaved.log"

# The link makes steps last for minutes: only the second signal can end it.
start twice "$WEFT" "${common[@]}" --link-rate 100KB/s
twice twice

# --- a job that weft starts -------------------------------------------------

signal=INT
stops job "$WEFT" "${common[@]}" --plan dp2
goes_on job

start job-twice "$WEFT" "${common[@]}" "${slow[@]}" --plan dp2
twice job-twice

# A signal while the job is being started: it stops, before its first step or
# after it.
start job-early "$WEFT" "${common[@]}" --plan dp2
check 'job-early: is being started' \
    await 60 pgrep -f -- "mpirun.*$work/job-early"
kill -INT "$pid"
ended job-early 85 60

# Whoever kills weft itself does not leave its ranks behind.
start job-killed "$WEFT" "${common[@]}" --plan dp2
started job-killed 2
kill -KILL "$pid"
ended job-killed 137 20

# --- the user's own mpirun ---------------------------------------------------

signal=USR1
# shellcheck disable=SC2086  # words
stops own $MPIRUN -np 2 "$WEFT" "${common[@]}" --plan tp2
goes_on own

finish
