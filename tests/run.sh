#!/bin/bash
# Runs the tests and says what came of each; see --help.
#
# A verdict cannot be lost. A test passes with exit code 0, skips with 77 if
# tests/skip.list allows it, and fails with anything else, a signal or a
# time-out. Programs in tests/canary must fail, hang, crash or skip; if the
# runner took one of them for a pass, nothing it says would be worth reading,
# so they run first and count as tests. What is listed must also run.
#
# Kinds of tests, each found by its file name:
#     tests/{unit,golden,equiv,fault,fuzz}/test_*.c   one process
#     tests/mpi/test_*.c      under mpirun at 1, 2, 3 and 4 ranks
#     tests/*/t_*.sh          scripts; WEFT, BUILD and TMPDIR are set
#     tests/*/long_*.sh       the same, only with --long
# A line 'timeout: SECONDS' in the first 40 lines of the source changes the
# time a test may take, 'ranks: 1 2 4' the numbers of ranks.
set -u

usage() {
    cat <<'END'
Usage: tests/run.sh [options]
  --build DIR    where the test programs are (default build)
  --only PATTERN run the tests whose name matches, such as 'unit/*'
  --long         long tests too
  --asan         built with sanitizers: canaries must trip them, no scripts
  --list         names of the tests, nothing is run
END
}

cd "$(dirname "$0")/.." || exit 70
build=build only='*' long=0 asan=0 list=0
while [ $# -gt 0 ]; do
    case "$1" in
    --build) build=$2; shift ;;
    --only) only=$2; shift ;;
    --long) long=1 ;;
    --asan) asan=1 ;;
    --list) list=1 ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 64 ;;
    esac
    shift
done

# --- surroundings ---------------------------------------------------------

# What a batch system or a user has set for other programs: tests set their
# own, nproc believes OMP_NUM_THREADS, and srun's tasks would be refused.
unset CDPATH "${!OMP_@}" "${!GOMP_@}" "${!BLIS_@}" "${!SLURM_@}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Containers often forbid the system call behind it; without it Open MPI
# copies twice and says nothing.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_btl_base_warn_component_unused=0
export PMIX_MCA_gds=hash
# Ranks outnumber cores here: waiting threads must not burn them.
export OMP_WAIT_POLICY=passive
export LC_ALL=C
if [ "$asan" = 1 ]; then
    # Open MPI's own leaks are told apart by their frames, which only slow
    # unwinding finds.
    export ASAN_OPTIONS="fast_unwind_on_malloc=0:detect_leaks=1"
    export LSAN_OPTIONS="suppressions=$PWD/tests/lint/lsan.supp"
    LSAN_OPTIONS="$LSAN_OPTIONS:print_suppressions=0"
    export UBSAN_OPTIONS="print_stacktrace=1"
fi
root=$PWD
scratch=$(mktemp -d) || exit 71
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
export WEFT="$root/$build/weft" BUILD="$root/$build"
export MPIRUN="mpirun --map-by :OVERSUBSCRIBE --bind-to none"
logs="$build/tests/log"
mkdir -p "$logs"

# --- one test -------------------------------------------------------------

# marked FILE WORD DEFAULT: the value of a line 'WORD: value' in the source.
marked() {
    local value
    value=$(sed -n "1,40s/^[ #*/]*$2: *\([0-9 ]*[0-9]\).*/\1/p" "$1" |
        head -n 1)
    echo "${value:-$3}"
}

# launch SECONDS RANKS LOG COMMAND...: runs it with its own TMPDIR, output to
# LOG; RANKS 0 is without mpirun. Returns the exit code, 124 for a time-out.
launch() {
    local seconds=$1 ranks=$2 log=$3 code
    shift 3
    local tmp
    tmp=$(mktemp -d "$scratch/t.XXXXXX") || return 71
    local start=$SECONDS
    # The braces keep bash's own "Aborted" off the report.
    if [ "$ranks" -gt 0 ]; then
        # mpirun ends its ranks itself; the outer limit is for mpirun.
        {
            TMPDIR=$tmp timeout -k 5 $((seconds + 10)) \
                $MPIRUN --timeout "$seconds" -np "$ranks" "$@" \
                >"$log" 2>&1 </dev/null
            code=$?
        } 2>/dev/null
        [ "$code" -ne 110 ] || code=124
    else
        {
            TMPDIR=$tmp timeout -k 5 "$seconds" "$@" >"$log" 2>&1 </dev/null
            code=$?
        } 2>/dev/null
    fi
    # Killed, and the time was over: it had not obeyed SIGTERM.
    if [ "$code" -eq 137 ] && [ $((SECONDS - start)) -ge "$seconds" ]; then
        code=124
    fi
    rm -rf "$tmp"
    return "$code"
}

# verdict NAME CODE: PASS, SKIP, TIMEOUT or FAIL.
verdict() {
    case "$2" in
    0) echo PASS ;;
    77) if skip_allowed "$1"; then echo SKIP; else echo FAIL; fi ;;
    124) echo TIMEOUT ;;
    *) echo FAIL ;;
    esac
}

# Lines of skip.list: NAME, then why it may skip.
skip_allowed() {
    awk -v name="$1" '$1 == name { found = 1 } END { exit !found }' \
        tests/skip.list
}

passed=0 failed=0 skipped=0 ran=0

# report NAME VERDICT CODE NS LOG
report() {
    local name=$1 what=$2 code=$3 ms=$(($4 / 1000000)) note=''
    case "$what" in
    PASS) passed=$((passed + 1)) ;;
    SKIP) skipped=$((skipped + 1)) ;;
    TIMEOUT) failed=$((failed + 1)); note='  took too long' ;;
    *)
        failed=$((failed + 1))
        note="  exit code $code"
        [ "$code" -ne 77 ] || note='  skipped, but is not in tests/skip.list'
        [ "$code" -ne 127 ] || note='  was not built'
        ;;
    esac
    ran=$((ran + 1))
    printf '%-7s %-42s %4d.%02d s%s\n' "$what" "$name" $((ms / 1000)) \
        $((ms % 1000 / 10)) "$note"
    if [ "$what" != PASS ] && [ -s "$5" ]; then
        tail -n 30 "$5" | sed 's/^/        | /'
    fi
}

# run_test NAME SECONDS RANKS COMMAND...
run_test() {
    local name=$1 seconds=$2 ranks=$3 code=127 start
    shift 3
    local log="$logs/${name//[\/ ]/_}.log"
    start=$(date +%s%N)
    : >"$log"
    # Sanitized programs are about three times as slow.
    [ "$asan" = 0 ] || seconds=$((seconds * 4))
    if [ -x "$1" ]; then
        launch "$seconds" "$ranks" "$log" "$@"
        code=$?
    fi
    report "$name" "$(verdict "$name" "$code")" "$code" \
        $(($(date +%s%N) - start)) "$log"
}

# run_canary NAME SECONDS RANKS WANTED PATTERN PROGRAM: passes if the verdict
# is the wanted one and the output matches.
run_canary() {
    local name=$1 seconds=$2 ranks=$3 wanted=$4 pattern=$5 code=127 got start
    local log="$logs/${name//[\/ ]/_}.log"
    start=$(date +%s%N)
    : >"$log"
    if [ -x "$6" ]; then
        launch "$seconds" "$ranks" "$log" "$6"
        code=$?
    fi
    got=$(verdict "$name" "$code")
    if [ "$code" -ne 127 ] && [ "$got" = "$wanted" ] &&
        grep -q -e "$pattern" "$log"; then
        got=PASS
    else
        echo "canary: $got (exit code $code), must be $wanted" \
            "with output '$pattern'" >>"$log"
        got=FAIL
    fi
    report "$name" "$got" "$code" $(($(date +%s%N) - start)) "$log"
}

# --- the list -------------------------------------------------------------

# Rows: name|what|seconds|ranks|rest, in the order in which they run.
list_tests() {
    local c="$build/tests/canary" s n base
    echo "canary/pass|canary|20|0|PASS|.|$c/pass"
    echo "canary/fail|canary|20|0|FAIL|.|$c/fail"
    echo "canary/many_failures|canary|20|0|FAIL|.|$c/many_failures"
    echo "canary/abort|canary|20|0|FAIL|internal check failed|$c/abort"
    echo "canary/hang|canary|2|0|TIMEOUT|.|$c/hang"
    echo "canary/skip|canary|20|0|FAIL|.|$c/skip"
    echo "canary/rank_fails|canary|20|2|FAIL|.|$c/rank_fails"
    echo "canary/rank_hangs|canary|3|2|TIMEOUT|.|$c/rank_hangs"
    if [ "$asan" = 1 ]; then
        echo "canary/leak|canary|60|0|FAIL|LeakSanitizer|$c/leak"
        echo "canary/overrun|canary|60|0|FAIL|AddressSanitizer|$c/overrun"
        echo "canary/overflow|canary|60|0|FAIL|runtime error|$c/overflow"
        echo "canary/rank_leaks|canary|60|2|FAIL|LeakSanitizer|$c/rank_leaks"
    fi
    for s in tests/{unit,golden,equiv,fault,fuzz}/test_*.c; do
        [ -e "$s" ] || continue
        base=${s#tests/}
        base=${base%.c}
        echo "$base|test|$(marked "$s" timeout 120)|0|$build/tests/$base"
    done
    for s in tests/mpi/test_*.c; do
        [ -e "$s" ] || continue
        base=${s#tests/}
        base=${base%.c}
        for n in $(marked "$s" ranks '1 2 3 4'); do
            echo "$base@$n|test|$(marked "$s" timeout 120)|$n|$build/tests/$base"
        done
    done
    [ "$asan" = 0 ] || return 0
    for s in tests/*/t_*.sh tests/*/long_*.sh; do
        [ -e "$s" ] || continue
        base=${s#tests/}
        case "$base" in
        */long_*) [ "$long" = 1 ] || continue ;;
        esac
        echo "${base%.sh}|test|$(marked "$s" timeout 600)|0|$s"
    done
}

wanted() {
    # shellcheck disable=SC2053  # the right side is a pattern
    [[ $1 == $only ]]
}

rows=()
while IFS= read -r row; do
    if wanted "${row%%|*}"; then
        rows+=("$row")
    fi
done < <(list_tests)

if [ "$list" = 1 ]; then
    for row in "${rows[@]}"; do
        echo "${row%%|*}"
    done
    exit 0
fi

# --- the run --------------------------------------------------------------

for row in "${rows[@]}"; do
    IFS='|' read -r name what seconds ranks a b c <<<"$row"
    if [ "$what" = canary ]; then
        run_canary "$name" "$seconds" "$ranks" "$a" "$b" "$c"
    else
        run_test "$name" "$seconds" "$ranks" "$a"
    fi
done

# Entries of the skip list that name no test hide nothing and are removed.
if [ "$only" = '*' ] && [ "$asan" = 0 ]; then
    all=$(long=1 list_tests | cut -d '|' -f 1)
    while read -r name _; do
        case "$name" in '' | '#'*) continue ;; esac
        if ! grep -q -x -F -e "$name" <<<"$all"; then
            echo "FAIL    tests/skip.list names '$name', which is no test"
            failed=$((failed + 1))
        fi
    done <tests/skip.list
fi

code=0
if [ "$ran" -ne "${#rows[@]}" ] || [ "$ran" -eq 0 ]; then
    echo "FAIL    ran $ran of ${#rows[@]} tests"
    code=1
fi
[ "$failed" -eq 0 ] || code=1
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
exit "$code"
