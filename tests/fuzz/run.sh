#!/bin/bash
# Runs fuzz targets one after the other: run.sh SECONDS PROGRAM...
#
# A program starts from seeds/<noun> and from good files; what it learns stays
# in build-fuzz/corpus/<noun>, so the next run goes on from there. Half of the
# time inputs are short: up to four times as many (JSON: 67,000 for 19,000 a
# second), and most of what a parser decides is near the beginning. A finding
# is kept in build-fuzz/findings; see it again with
#     build/tests/fuzz/test_replay NOUN FILE
set -u
cd "$(dirname "$0")/../.." || exit 70
seconds=$1
shift
declare -A more=(
    [config]='configs/models tests/configs'
    [json]='configs/models configs/plans'
    [plan]='configs/plans'
    [experiment]='configs/experiments'
)
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export LSAN_OPTIONS="suppressions=$PWD/tests/lint/lsan.supp"
LSAN_OPTIONS="$LSAN_OPTIONS:print_suppressions=0"
export UBSAN_OPTIONS=print_stacktrace=1
mkdir -p build-fuzz/findings
failed=0

# half PROGRAM NOUN BYTES: inputs of at most so many bytes, 0: as its files are.
half() {
    # shellcheck disable=SC2086  # folders, separated by spaces
    nice "$1" -max_total_time=$(((seconds + 1) / 2)) -max_len="$3" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/findings/$2-" \
        "build-fuzz/corpus/$2" "tests/fuzz/seeds/$2" ${more[$2]:-} 2>&1
}

for program in "$@"; do
    noun=${program##*/fuzz_}
    log=build-fuzz/$noun.log
    mkdir -p "build-fuzz/corpus/$noun"
    if half "$program" "$noun" 256 >"$log" && half "$program" "$noun" 0 >>"$log"; then
        verdict=ok
    else
        verdict=FAIL
        failed=1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" |
        awk '{ sum += $1 } END { if (NR > 0) printf "%.0f", sum }')
    cover=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
    printf '%-4s %-12s %10s executions, %s\n' "$verdict" "$noun" \
        "${runs:-?}" "${cover:-no coverage}"
    [ $verdict = ok ] || tail -n 30 "$log" | sed 's/^/        | /'
done
exit $failed
