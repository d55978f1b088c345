# What the refusal tests share; they source it. WEFT, MPIRUN and TMPDIR come
# from tests/run.sh.
#
# A refusal is right if the exit code is the documented one, standard error
# is exactly one line "weft: ..." that has the words it must have, nothing was
# written or changed in the work folder, and it ended in time. Under mpirun,
# which adds words of its own, one line of Weft's for all ranks together.
set -u

root=$PWD
work=$TMPDIR/work
mkdir -p "$work" || exit 71
cd "$work" || exit 71
golden=$root/tests/golden
tried=0 failed=0

# As runtime/base/status.h has them.
USAGE=64 BADFILE=65 NOINPUT=66 CANTCREATE=73 IO=74 NUMERIC=76 LOCKED=77
CONFIG=78 CORRUPT=79 BUDGET=80
export USAGE BADFILE NOINPUT CANTCREATE IO NUMERIC LOCKED CONFIG CORRUPT BUDGET

complain() {
    failed=$((failed + 1))
    echo "FAIL: $*"
}

# Names, sizes and contents of all in the work folder.
snapshot() {
    find "$work" \( -type f -exec cksum {} + \) -o -print | sort
}

# judge CODE WORDS NAME GOT: the last program's exit code GOT and its files
# $TMPDIR/err, $TMPDIR/before. WORDS are fixed texts with '|' between.
judge() {
    local code=$1 words=$2 name=$3 got=$4 word line
    tried=$((tried + 1))
    line=$(grep '^weft: ' "$TMPDIR/err")
    if [ "$got" -ne "$code" ]; then
        complain "$name: exit code $got, must be $code: $line"
    fi
    if [ "$(grep -c '^weft: ' "$TMPDIR/err")" -ne 1 ]; then
        complain "$name: not one line:"
        head -n 20 "$TMPDIR/err"
    fi
    while [ -n "$words" ]; do
        word=${words%%|*}
        [[ $line == *"$word"* ]] || complain "$name: no '$word' in: $line"
        [ "$word" != "$words" ] || break
        words=${words#*|}
    done
    if [[ $line == *"  "* || ${#line} -gt 1000 ]]; then
        complain "$name: badly set: $line"
    fi
    if ! snapshot | cmp -s - "$TMPDIR/before"; then
        complain "$name: something was written:"
        snapshot | diff - "$TMPDIR/before" | head -n 5
    fi
}

# refused CODE WORDS COMMAND...: weft COMMAND.
refused() {
    local code=$1 words=$2 got
    shift 2
    snapshot >"$TMPDIR/before"
    timeout -k 2 60 "$WEFT" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    got=$?
    judge "$code" "$words" "weft $*" "$got"
    if [ "$(wc -l <"$TMPDIR/err")" -ne 1 ]; then
        complain "weft $*: more than one line on standard error"
    fi
}

# refused_by RANKS CODE WORDS COMMAND...: the same under mpirun.
refused_by() {
    local ranks=$1 code=$2 words=$3 got
    shift 3
    snapshot >"$TMPDIR/before"
    timeout -k 2 120 $MPIRUN --timeout 100 -np "$ranks" "$WEFT" "$@" \
        >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    got=$?
    judge "$code" "$words" "mpirun -np $ranks weft $*" "$got"
}

# accepted COMMAND...: the counterpart, so that a test sees what it refuses.
accepted() {
    local got
    tried=$((tried + 1))
    timeout -k 2 240 "$WEFT" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    got=$?
    if [ "$got" -ne 0 ] || [ -s "$TMPDIR/err" ]; then
        complain "weft $*: exit code $got, $(head -n 3 "$TMPDIR/err")"
    fi
}

# A text of about 60 kB: enough for every run here.
make_text() {
    local i
    for i in 1 2 3 4 5; do
        cat "$root/LICENSE"
    done >"$1"
}

# le16 N..., le32 N...: little-endian binary numbers.
le16() {
    local n
    for n in "$@"; do
        # shellcheck disable=SC2059  # the format is the data
        printf "$(printf '\\x%02x\\x%02x' $((n & 255)) $((n >> 8 & 255)))"
    done
}

le32() {
    local n
    for n in "$@"; do
        le16 $((n & 65535)) $((n >> 16 & 65535))
    done
}

# llmc MAGIC VERSION COUNT: the header of an llm.c token file.
llmc() {
    le32 "$1" "$2" "$3"
    head -c 1012 /dev/zero
}

finish() {
    echo "$tried tried, $failed failed"
    [ "$failed" -eq 0 ] && [ "$tried" -gt 0 ]
    exit
}
