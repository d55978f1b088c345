#!/bin/bash
# The main job on a very small experiment, from the command line to the file
# in other people's hands: exit code, tables, a refusal, h5dump, h5py.
#
# timeout: 300
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
weft=${WEFT:-$root/build/weft}
dir=$(mktemp -d) || exit 71
trap 'rm -rf "$dir"' EXIT
# The program looks for configs/models here, too.
cd "$root" || exit 70

fail() {
    echo "t_analysis: $*"
    [ ! -s "$dir/out" ] || cat "$dir/out"
    exit 1
}

# has PATTERN FILE WHAT
has() {
    grep -q -E -e "$1" "$2" || fail "$3: nothing matches '$1'"
}

# --- the job --------------------------------------------------------------

for i in $(seq 1 200); do
    echo "line $i of a text, $((i * i)) is its square and $((i % 7)) is left"
done >"$dir/text.txt"
# As long as names may be, and apart in the last letter only.
long=a_name_as_long_as_names_may_be_which_is_sixty_three_letters_or
cat >"$dir/small.json" <<END
{
  "models": ["gpt-neo-tiny"],
  "data": "$dir/text.txt",
  "common": {"steps": 3, "batch": 4, "seq": 16, "threads": 1},
  "setups": [
    {"plan": "dp1"},
    {"name": "streamed", "device_memory": "4MiB"},
    {"plan": "tp2"},
    {"name": "${long}1", "plan": "dp2"},
    {"name": "${long}2", "plan": "dp2.mb1"},
    {"name": "refused", "plan": "pp3"}
  ]
}
END
"$weft" compare "$dir/small.json" --out "$dir/small.h5" >"$dir/out" 2>&1
code=$?
[ "$code" -eq 0 ] || fail "compare ended with exit code $code"

# --- the tables -----------------------------------------------------------

for name in dp1 streamed tp2 "${long}1" "${long}2"; do
    has "^$name .* bitwise " "$dir/out" "$name agrees with the judge"
done
[ "$(grep -c -w bitwise "$dir/out")" -eq 5 ] || fail "not 5 rows agree"
has '^refused: refused: .*pipe: 3 does not divide 4 layers' "$dir/out" \
    'the refusal and its reason'
has 'nearest plan that works: ' "$dir/out" 'the refusal and its way out'
has 'agree with the judge bit for bit' "$dir/out" 'the last line'
[ ! -e "$dir/small.h5.run.h5" ] || fail 'a temporary run file was left'

"$weft" show "$dir/small.h5" >"$dir/shown" || fail 'show'
for name in "${long}1" "${long}2"; do
    has "^  $name +ok " "$dir/shown" 'show has its whole name'
done

# --- the file -------------------------------------------------------------

h5dump -H "$dir/small.h5" >"$dir/head" || fail 'h5dump cannot open it'
h5dump -d /runs "$dir/small.h5" >"$dir/dump" || fail 'h5dump /runs'
[ "$(grep -c '"bitwise' "$dir/dump")" -eq 5 ] ||
    fail 'not 5 rows of /runs are bitwise'
[ "$(grep -c '"refused' "$dir/dump")" -ge 1 ] ||
    fail 'no row of /runs is refused'
for name in dp1 streamed tp2 "${long}1" "${long}2"; do
    h5dump -y -w 1 -m %.17g -d "/gpt-neo-tiny/$name/steps/loss" \
        "$dir/small.h5" >"$dir/$name.txt" || fail "no losses of $name"
    grep -A 5 'DATA {' "$dir/$name.txt" | grep -E '^ +[0-9]' \
        >"$dir/$name.loss"
    [ "$(wc -l <"$dir/$name.loss")" -eq 3 ] ||
        fail "not 3 losses of $name"
    cmp "$dir/dp1.loss" "$dir/$name.loss" || fail "losses of $name differ"
done

# --- the example script ---------------------------------------------------

shown=0
for python in python3 /usr/bin/python3; do
    "$python" -c 'import h5py' 2>/dev/null || continue
    "$python" benchmarks/analysis/read_comparison.py "$dir/small.h5" \
        >"$dir/out" 2>&1 || fail 'read_comparison.py failed'
    [ "$(grep -c 'largest difference 0$' "$dir/out")" -eq 5 ] ||
        fail 'not 5 curves are the same for h5py'
    has '^  streamed  .* tokens/s \((wall|cpu) time\)' "$dir/out" 'a row'
    has '^  refused  .*pipe: 3 does not divide' "$dir/out" 'the refusal'
    "$python" benchmarks/analysis/read_comparison.py "$dir/text.txt" \
        >/dev/null 2>&1 && fail 'read_comparison.py read a text'
    shown=1
    break
done
if [ "$shown" = 0 ]; then
    echo 'all else is right, but no Python here has h5py:' \
        'benchmarks/analysis/read_comparison.py did not run'
    exit 77
fi
echo ok
