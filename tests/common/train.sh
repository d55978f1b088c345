# Shell functions for tests of whole training runs; a test sources this file.
# tests/run.sh sets WEFT, MPIRUN and TMPDIR. Every function that finds
# something wrong says so and counts; a test ends with `finish`.
#
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 70
: "${WEFT:?is set by tests/run.sh}" "${MPIRUN:?}" "${TMPDIR:?}"
work=$TMPDIR
failures=0 checks=0

fail() {
    failures=$((failures + 1))
    echo "FAIL: $*"
}

# check WHAT COMMAND...: the command must end with 0.
check() {
    local what=$1
    shift
    checks=$((checks + 1))
    if "$@" >"$work/check.out" 2>&1; then
        echo "ok    $what"
    else
        fail "$what"
        tail -n 8 "$work/check.out"
    fi
}

# check_code WANTED WHAT COMMAND...: the command must end with this code. Its
# output stays in $work/code.out.
check_code() {
    local wanted=$1 what=$2 code
    shift 2
    checks=$((checks + 1))
    "$@" >"$work/code.out" 2>&1
    code=$?
    if [ "$code" = "$wanted" ]; then
        echo "ok    $what"
    else
        fail "$what: exit code $code, not $wanted"
        tail -n 8 "$work/code.out"
    fi
}

# check_says WHAT PATTERN FILE
check_says() {
    check "$1" grep -q -e "$2" "$3"
}

finish() {
    [ "$checks" -gt 0 ] || fail "nothing was checked"
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
    exit
}

# await SECONDS COMMAND...: until it succeeds.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}

# catches SIGNAL PID...: these processes are there, and each has a handler for
# it: it does not end them as it ends a program that has just been started.
catches() {
    local bit=$((1 << ($(kill -l "$1") - 1))) mask p
    shift
    for p in "$@"; do
        mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$p/status")
        [ $((16#${mask:-0} & bit)) -ne 0 ] || return 1
    done
    [ $# -gt 0 ]
}

# taken PID: no signal to the process waits for being taken; another one of the
# same number would be lost in it.
taken() {
    ! grep -q -E '^(Sig|Shd)Pnd:.*[1-9a-f]' "/proc/$1/status"
}

# not_bound: this test may use all cores that there are, two at least, so a run
# is bound only if the test binds it.
not_bound() {
    [ "$(nproc)" -gt 1 ] && [ "$(nproc)" -eq "$(getconf _NPROCESSORS_ONLN)" ]
}

# make_text FILE: some 68 KB of text, as data.
make_text() {
    local i
    for i in 1 2 3 4 5 6; do
        cat LICENSE
    done >"$1"
}

# make_tokens FILE VOCABULARY: the same as 16-bit tokens below VOCABULARY.
make_tokens() {
    perl -e 'my $v = shift; local $/; print pack("v*",
        map { $_ % $v } unpack("C*", <>))' "$2" LICENSE >"$1"
}

# layout NAME: the options of a set-up by its short name; pp2 in micro-batches
# of one, streamed with hardly more memory than it needs.
layout() {
    case "$1" in
    streamed) echo "--device-memory 3MiB" ;;
    pp2) echo "--plan pp2 --micro-batch 1" ;;
    *) echo "--plan $1" ;;
    esac
}

# same_state A B: two checkpoints agree in every bit of weights, moments and
# attributes (a checksum of each tensor among them). h5diff calls what it
# cannot compare no difference, so that is looked for.
same_state() {
    local out code
    out=$(h5diff -c --exclude-path=/run_config "$1" "$2" 2>&1)
    code=$?
    [ -z "$out" ] || echo "$out"
    [ "$code" = 0 ] && [ -z "$out" ]
}

differs() {
    h5diff -q --exclude-path=/run_config "$1" "$2"
    [ $? = 1 ]
}

# columns FILE.h5...: what every set-up must have the same, step by step, of
# one or several results files in a row. 17 digits tell all doubles apart.
columns() {
    local c f option=()
    for c in steps/{step,loss,grad_norm,lr} validation/{step,loss}; do
        option+=(-d "/$c")
    done
    for f in "$@"; do
        h5dump -y -m %.17g "${option[@]}" "$f" || return 1
    done | awk '
        $1 == "DATASET" && $3 == "{" { column = $2 }
        $1 == "ATTRIBUTE" { column = "" } # units and the like, after the data
        $1 == "DATA" { data = 1; next }
        $1 == "}" { data = 0 }
        data && column != "" {
            gsub(",", " ")
            for (i = 1; i <= NF; i++) { print column, $i }
        }' | sort -s -k 1,1
}

# lines LOG...: step, loss, norm and rate of the lines on the terminal;
# step and validation loss.
lines() {
    sed -n 's/^step/step/p' "$@" | cut -d '|' -f 1-3
}

# same_curve WHOLE PART...: runs, by name, have the same losses on the
# terminal, and in every bit where WHOLE has a results file ($work/NAME.h5,
# $work/NAME.log).
same_curve() {
    local whole=$1 part=() logs=() p
    shift
    for p in "$@"; do
        part+=("$work/$p.h5")
        logs+=("$work/$p.log")
    done
    lines "$work/$whole.log" >"$work/a.txt"
    lines "${logs[@]}" >"$work/b.txt"
    if [ -e "$work/$whole.h5" ]; then
        columns "$work/$whole.h5" >>"$work/a.txt" || return 1
        columns "${part[@]}" >>"$work/b.txt" || return 1
    fi
    [ -s "$work/a.txt" ] && diff "$work/a.txt" "$work/b.txt"
}

# Results files make a run measure its host first, about a second of a core.
with_results=1

# train NAME MODEL LAYOUT OPTION...: eight steps; leaves $work/NAME.ckpt,
# NAME.log and NAME.h5 (the results, unless with_results is empty), returns
# the exit code. Needs $data.
train() {
    local name=$1 model=$2 how=$3
    shift 3
    # shellcheck disable=SC2046  # options are words
    "$WEFT" train "$model" --data "$data" --steps 8 --batch 4 --seq 64 \
        $(layout "$how") --save "$work/$name.ckpt" \
        ${with_results:+--out "$work/$name.h5"} "$@" >"$work/$name.log" 2>&1
    local code=$?
    [ "$code" = 0 ] || cat "$work/$name.log"
    return "$code"
}

# resumed MODEL FROM TO WHOLE: stops after four steps under one set-up, goes on
# under another; must be as WHOLE, which was not stopped.
resumed() {
    local model=$1 from=$2 to=$3 whole=$4
    local half=$model-$from-half on=$model-$from-$to
    if [ ! -e "$work/$half.ckpt" ]; then
        check_code 85 "$model: $from stops after 4 of 8 steps" \
            train "$half" "$model" "$from" --stop-after 4
        check_says "$model: $from says how to go on" \
            "after step 4; go on with --resume $work/$half.ckpt" \
            "$work/$half.log"
        check "$model: $from is not there yet" \
            differs "$work/$half.ckpt" "$work/$whole.ckpt"
    fi
    check "$model: $to goes on" \
        train "$on" "$model" "$to" --resume "$work/$half.ckpt"
    check "$model: $from, then $to: weights and moments" \
        same_state "$work/$whole.ckpt" "$work/$on.ckpt"
    check "$model: $from, then $to: losses" \
        same_curve "$whole" "$half" "$on"
}
