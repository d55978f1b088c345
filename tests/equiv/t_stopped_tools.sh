#!/bin/bash
# Commands that measure or draw are stopped: one line, exit code 85, and
# nothing is left of what they had begun; early, and while ranks or gnuplot
# are at work for them.
#
# timeout: 400
set -u
. "$(dirname "$0")/../common/train.sh"
set -m # background jobs get signals as a terminal would send them

# stopped NAME SIGNAL [GO]: the process $pid, which writes to the folder NAME, is
# sent the signal, and the file GO is made then.
stopped() {
    local name=$1 code
    kill "-$2" "$pid"
    [ -z "${3:-}" ] || : >"$3"
    wait "$pid"
    code=$?
    [ "$code" = 85 ] && [ "$(wc -l <"$work/$name.err")" -eq 1 ] ||
        cat "$work/$name.err"
    check "$name: exit code $code is 85" test "$code" = 85
    check_says "$name: says so" '^weft: stopped by a signal' "$work/$name.err"
    check "$name: one line" test "$(wc -l <"$work/$name.err")" -eq 1
    check "$name: nothing is left" test -z "$(ls -A "$work/$name")"
}

# start NAME COMMAND...: with a folder of that name to write to.
start() {
    local name=$1
    shift
    mkdir "$work/$name"
    "$@" >"$work/$name.out" 2>"$work/$name.err" &
    pid=$!
}

# --- calibrate ----------------------------------------------------------------

# calibrate NAME
calibrate() {
    start "$1" "$WEFT" calibrate --quick --threads 1 -o "$work/$1/host.json"
    check "$1: begins" await 60 test -e "$work/$1/host.json.lock"
}

for signal in TERM USR1; do
    calibrate "early-$signal"
    stopped "early-$signal" "$signal"
done

# While ranks are at work: they have the part on their command line.
ranks_catch() {
    local p
    mapfile -t p < <(pgrep -f -- \
        "^[^ ]*weft calibrate --add-links $work/links/")
    [ ${#p[@]} -eq 2 ] && catches USR1 "${p[@]}"
}
calibrate links
check 'links: two ranks begin' await 120 ranks_catch
sleep 0.5
stopped links INT

# Before its ranks can hear of it.
calibrate ranks-early
check 'ranks-early: a job begins' await 120 \
    pgrep -f -- "--add-links $work/ranks-early/"
stopped ranks-early TERM

# --- bench --------------------------------------------------------------------

start steps env TMPDIR="$work/steps" "$WEFT" bench gpt-j-mini --seq 256 \
    --rounds 64 --device-memory 16MiB
check 'steps: begins' await 60 catches TERM "$pid"
sleep 1
stopped steps TERM

mkdir -p "$work/home/configs/experiments"
make_text "$work/home/text.txt"
cat >"$work/home/configs/experiments/ranks.json" <<END
{
  "models": ["gpt-neo-tiny"],
  "data": "text.txt",
  "common": {"steps": 100000, "batch": 4, "seq": 16},
  "setups": [
    {"name": "one", "plan": "dp1", "threads": 1},
    {"name": "two", "plan": "dp2", "threads": 1}
  ]
}
END
mkdir "$work/ranks"
cd "$work/home" || exit 71
TMPDIR=$work/ranks "$WEFT" bench --only ranks --rounds 1 \
    >"$work/ranks.out" 2>"$work/ranks.err" &
pid=$!
check 'ranks: a job begins' await 60 pgrep -f -- "train .*$work/ranks/weft-bench"
sleep 1
kill -TERM "$pid"
wait "$pid"
check 'ranks: exit code 85' test "$?" = 85
check_says 'ranks: says so last' '^weft: stopped by a signal (Term' \
    <(tail -n 1 "$work/ranks.err")
check 'ranks: nothing is left' test -z "$(ls -A "$work/ranks")"
cd "$OLDPWD" || exit 71

# --- report -------------------------------------------------------------------

make_text "$work/text.txt"
check 'a run' "$WEFT" train gpt-neo-tiny --data "$work/text.txt" --batch 4 \
    --seq 16 --steps 2 --quiet --out "$work/r.h5"
gnuplot=$(command -v gnuplot)
mkdir "$work/bin"
# It draws when the signal has been sent.
cat >"$work/bin/gnuplot" <<END
#!/bin/sh
[ "\$2" = --version ] || echo >>"$work/drawing"
until [ "\$2" = --version ] || [ -e "$work/go" ]; do sleep 0.02; done
exec '$gnuplot' "\$@"
END
chmod +x "$work/bin/gnuplot"
for signal in TERM INT; do
    rm -f "$work/drawing" "$work/go"
    start "page-$signal" env PATH="$work/bin:$PATH" "$WEFT" report \
        "$work/r.h5" -o "$work/page-$signal/page.html"
    check "page-$signal: draws" await 60 test -e "$work/drawing"
    stopped "page-$signal" "$signal" "$work/go"
    check "page-$signal: draws no more" \
        test "$(wc -l <"$work/drawing")" -eq 1
done

finish
