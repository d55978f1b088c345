#!/bin/bash
# From a comparison on the command line to the page and the trace: every
# set-up is named, the refused one has its reason, other people's parsers read
# both, outputs that would harm an input are refused.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"
. tests/common/results.sh

data=$work/text.txt
make_text "$data"
cat >"$work/small.json" <<END
{
  "models": ["gpt-neo-tiny"],
  "data": "$data",
  "common": {"steps": 3, "batch": 4, "seq": 16, "threads": 1},
  "setups": [
    {"plan": "dp1"},
    {"name": "streamed & <small>", "device_memory": "4MiB"},
    {"plan": "tp2.pp2"},
    {"name": "never", "plan": "pp3"}
  ]
}
END
check 'compare' "$WEFT" compare "$work/small.json" --out "$work/c.h5"
check 'a run' "$WEFT" train gpt-neo-tiny --data "$data" --batch 4 --seq 16 \
    --steps 3 --plan dp2 --quiet --out "$work/r.h5"

page=$work/page.html trace=$work/trace.json
check 'report' "$WEFT" report "$work/c.h5" "$work/r.h5" -o "$page" \
    --perfetto "$trace" --keep "$work/keep" --png "$work/png"
check 'nothing but the page beside it' test ! -e "$page.tmp"
check 'scripts are kept' test -s "$work/keep/m1-loss.gp"
check 'equal curves take turns' \
    test "$(grep -c 'dt (0.001,' "$work/keep/m1-loss.gp")" -eq 4
check 'drawings as PNG' test -s "$work/png/m1-memory.png"
check 'a kept script draws by itself' sh -c \
    "cd '$work/keep' && rm m1-loss.svg && gnuplot m1-loss.gp && test -s m1-loss.svg"

# The page as XML, its data as JSON, against the file as h5py reads it.
check 'page, data and file agree' "$python" - "$page" "$work/c.h5" <<'END'
import json, sys
import xml.etree.ElementTree as xml
import h5py

page = xml.parse(sys.argv[1]).getroot()
data = json.loads(page.find(".//script").text)
file = h5py.File(sys.argv[2])
rows = {r["name"].decode(): r for r in file["runs"][:]}
shown = {s["name"]: s for s in data["setups"] if s["file"] == 0}
assert list(rows) == list(shown) and len(rows) == 4, shown.keys()
for name, row in rows.items():
    s = shown[name]
    assert s["status"] == row["status"].decode()
    for key in ("tokens_per_s", "loss_last", "first_step_s", "pipe_bytes"):
        assert s[key] == (row[key] if row[key] == row[key] else None), key
    for key in ("peak_bytes", "decisions", "messages", "devices"):
        assert s[key] == (row[key] if row[key] >= 0 else None), key
    if row["group"]:
        run = file[row["group"].decode()]
        assert s["loss"] == list(run["steps/loss"][:])
        assert s["largest_loss_difference"] == 0
        sent = {(t["from"], t["to"]): t["bytes"] for t in s["traffic"]}
        have = run["traffic"][:] if "traffic" in run else []
        assert sent == {(t["from"], t["to"]): t["bytes"] for t in have}
text = "".join(page.itertext())
for name in rows:
    assert name in text, name
assert "pipe: 3 does not divide 4 layers" in text
assert "All 4 curves lie on one line" in text
assert len(page.findall(".//svg")) == 6 + 4
END

check 'the trace: slices nest, arrows meet' "$python" - "$trace" <<'END'
import collections, json, sys
events = json.load(open(sys.argv[1]))["traceEvents"]
tracks = collections.defaultdict(list)
for e in events:
    if e["ph"] == "X":
        tracks[e["pid"], e["tid"]].append((e["ts"], e["ts"] + e["dur"]))
assert tracks
for track in tracks.values():
    track.sort()
    for (_, end), (start, _) in zip(track, track[1:]):
        assert start >= end - 1e-6
starts = [e["id"] for e in events if e["ph"] == "s"]
assert len(starts) == len(set(starts)) > 0
assert set(starts) == {e["id"] for e in events if e["ph"] == "f"}
END

check 'the same page again' "$WEFT" report "$work/c.h5" "$work/r.h5" \
    -o "$work/again.html"
check 'bit for bit' cmp "$page" "$work/again.html"
check 'one set-up' "$WEFT" report "$work/c.h5" --setup tp2.pp2 \
    -o "$work/one.html"
check 'and no other' sh -c "! grep -q never '$work/one.html'"
check 'two set-ups' "$WEFT" report "$work/c.h5" --setup tp2.pp2 \
    --setup 'streamed & <small>' -o "$work/two.html"
check 'both and no third' "$python" - "$work/two.html" <<'END'
import json, sys
import xml.etree.ElementTree as xml
data = json.loads(xml.parse(sys.argv[1]).getroot().find(".//script").text)
names = {s["name"] for s in data["setups"]}
assert names == {"tp2.pp2", "streamed & <small>"}, names
END

check_code 64 'an input is no output' "$WEFT" report "$work/c.h5" \
    -o "$work/c.h5"
check_says 'and is named' 'c.h5 is the input' "$work/code.out"
check_code 73 'no such folder' "$WEFT" report "$work/c.h5" -o "$work/no/x.html"
check_code 65 'a text is no result' "$WEFT" report "$data" -o "$work/x.html"
check_code 78 'no such set-up' "$WEFT" report "$work/c.h5" --setup dp1 \
    --setup TP2-pp2 -o "$work/x.html"
check_says 'each name once, and the nearest' \
    'no set-up has this name, did you mean "tp2.pp2"; there is' \
    "$work/code.out"
check 'no name twice' sh -c "sed -n 's/.*; there is //p' '$work/code.out' |
    tr -d ' ' | tr ',' '\n' | sort | uniq -d | grep -c . | grep -qx 0"
mkdir "$work/bin"
check_code 66 'no gnuplot' env PATH="$work/bin" "$WEFT" report "$work/c.h5" \
    -o "$work/x.html"
check_says 'names its package' "package gnuplot-nox" "$work/code.out"
check 'nothing was left' test ! -e "$work/x.html"
check_code 64 'not on ranks' $MPIRUN -np 2 "$WEFT" report "$work/c.h5" \
    -o "$work/x.html"

# --- the examples for other people's tools ---------------------------------

example=benchmarks/analysis
check 'pandas' sh -c \
    "'$python' $example/runs_pandas.py '$work/c.h5' >'$work/pandas.txt'"
check_says 'pandas: a row' 'tp2.pp2 .*4 ' "$work/pandas.txt"
check_says 'pandas: the refusal' 'never: refused: .*pp3' "$work/pandas.txt"
check 'xarray' sh -c "'$python' $example/steps_xarray.py '$work/c.h5' \
    gpt-neo-tiny/tp2.pp2 >'$work/xarray.txt'"
check_says 'xarray: a step' 'step 2: loss [0-9.]* nat' "$work/xarray.txt"
check 'xarray: by its own name' "$python" $example/steps_xarray.py \
    "$work/c.h5" 'gpt-neo-tiny/streamed & <small>'
check 'xarray: by its group' "$python" $example/steps_xarray.py \
    "$work/c.h5" gpt-neo-tiny/streamed____small_
check 'xarray: a run' "$python" $example/steps_xarray.py "$work/r.h5"

# What is no number is not passed over, nor is it a difference of 0.
cp "$work/c.h5" "$work/nan.h5"
"$python" - "$work/nan.h5" <<'END'
import h5py, sys
with h5py.File(sys.argv[1], "r+") as file:
    steps = file["gpt-neo-tiny/tp2.pp2/steps"]
    steps["loss"][1] = steps["compute_s"][1] = float("nan")
END
check 'a loss that is no number' sh -c \
    "'$python' $example/read_comparison.py '$work/nan.h5' >'$work/nan.txt'"
check_says 'is no difference of 0' '^  tp2.pp2 .* difference nan$' \
    "$work/nan.txt"
check_says 'and of the others it is' '^  dp1 .* difference 0$' "$work/nan.txt"
check 'a time that is no number' sh -c "'$python' $example/steps_xarray.py \
    '$work/nan.h5' gpt-neo-tiny/tp2.pp2 >'$work/nan.txt'"
check_says 'makes no share' '^compute  *nan %' "$work/nan.txt"
check_says 'the others are' '^optimizer  *[0-9.]* %' "$work/nan.txt"

# wrong PATTERN SCRIPT ARGUMENT...: one line that says it, no traceback.
wrong() {
    local pattern=$1 script=$2
    shift 2
    check_code 1 "$script $*" "$python" "$example/$script" "$@"
    check_says "$script $*: says so" "$pattern" "$work/code.out"
    check "$script $*: one line" test "$(wc -l <"$work/code.out")" -eq 1
}
wrong 'r.h5: not a comparison' runs_pandas.py "$work/r.h5"
wrong 'r.h5: not a comparison' read_comparison.py "$work/r.h5"
wrong 'c.h5: is a comparison; give one of gpt-neo-tiny/dp1, gpt-neo-tiny/str' \
    steps_xarray.py "$work/c.h5"
wrong 'c.h5: no set-up gpt-neo-tiny/tp9; give one of .*gpt-neo-tiny/tp2.pp2$' \
    steps_xarray.py "$work/c.h5" gpt-neo-tiny/tp9
wrong 'c.h5: gpt-neo-tiny/never did not run; give one of' steps_xarray.py \
    "$work/c.h5" gpt-neo-tiny/never
wrong 'r.h5: is no comparison, leave no out' steps_xarray.py "$work/r.h5" no
for script in runs_pandas.py read_comparison.py steps_xarray.py; do
    wrong 'text.txt: cannot be read as HDF5' $script "$data"
    wrong 'none.h5: cannot be read as HDF5' $script "$work/none.h5"
done
finish
