#!/bin/bash
# weft calibrate describes this machine; runs and comparisons then have
# predictions beside their measurements, and show prints them.
#
# timeout: 600
set -u
. "$(dirname "$0")/../common/train.sh"
. tests/common/results.sh

data=$work/text.txt
make_text "$data"
host=$work/host.json

run() {
    "$WEFT" train gpt-neo-tiny --data "$data" --batch 4 --seq 16 --steps 4 \
        --threads 1 --machine "$host" "$@" >"$work/said"
}

said() {
    grep -q -e "$1" "$work/said"
}

not() {
    ! "$@"
}

check 'calibrate' "$WEFT" calibrate --quick --threads 1 -o "$host"
check 'nothing is left beside it' [ "$(ls "$work" | grep -c host)" = 1 ]
check 'it is JSON with sources' "$python" -c "
import json, sys
m = json.load(open(sys.argv[1]))
assert m['format'] == 'weft-machine-1' and m['source'] and m['cpu']
jobs = [2, 4, 8] if 4 <= m['cores'] < 8 else [2, 4]
assert [l['ranks'] for l in m['links']] == jobs
assert [l.get('ranks', 1) for l in m['levels']] == [1] + jobs
assert any(l['shared_cores'] for l in m['links']) == (m['cores'] < 8)
assert m['links'][1].get('at_work') or not m['links'][1]['shared_cores']
more = m['levels'][2]['kernels']
laws = m['levels'][0]['kernels']
assert all(more['expand'].get(k, 0) >= v for k, v in laws['expand'].items()
           if k not in ('spread', 'misfit'))
assert len(laws) == 28, len(laws)
assert laws['expand']['flop'] > 0 and laws['norm']['misfit'] >= 0
assert all(l['source'] for l in m['levels'] + m['links'])" "$host"

for plan in dp1 tp2 pp2 dp2.tp2; do
    check "$plan" run --plan "$plan" --out "$work/$plan.h5"
    check "$plan: memory to a page" said 'memory of a device .* to a page'
done
check 'streamed' run --out "$work/streamed.h5"
check 'streamed: memory to a page' said 'memory of a device .* to a page'
# Where the device has room behind the plan, what goes beyond would be seen.
check 'with room' run --device-memory 64MiB --out "$work/room.h5"
check 'with room: memory to a page' said 'memory of a device .* to a page'
check 'two clocks' said 'step, CPU time'

for name in dp1 pp2 dp2.tp2 streamed room; do
    file=$work/$name.h5
    check "$name: every operation has a prediction" holds "$file" \
        "(lambda t: (t['predicted_ns'] >= 0).all() and
          (t['predicted_start_ns'] >= 0).all())(f['trace'][:])"
    check "$name: kinds are those of the trace" holds "$file" \
        "(lambda k: k['count'].sum() == len(f['trace']) and
          (k['predicted_wall_ns'] >= 0).all())(f['prediction/kinds'][:])"
    # As RESULTS.md has it: durations, but of messages the rank's share.
    check "$name: kinds are times of streams" holds "$file" \
        "(lambda t, kinds: all(
          (lambda lasts, ran, said, got: got == ran and
            abs(said - lasts) <= 1e-6 * lasts + 1
           if k['kind'] not in (b'send', b'recv') else
            0 < got <= ran and said <= lasts + 1)(
            t['predicted_ns'][t['kind'] == k['kind']].sum(),
            (t['end_ns'] - t['start_ns'])[t['kind'] == k['kind']].sum(),
            k['predicted_wall_ns'], k['measured_wall_ns']) for k in kinds))(
          f['trace'][:], f['prediction/kinds'][:])"
    check "$name: both peaks" holds "$file" \
        "(lambda planned, touched: planned == max(f['ranks']['peak_bytes'])
         and touched == max(f['ranks']['touched_bytes'])
         and abs(touched - planned) < 4096)(
         f['prediction'].attrs['peak_bytes'],
         f['prediction'].attrs['measured_peak_bytes'])"
    check "$name: every rank to a page" holds "$file" \
        "(abs(f['ranks']['touched_bytes'] - f['ranks']['peak_bytes'])
          < 4096).all()"
    # CPU time of one rank was 0.73 to 1.06 of the measured on a machine with
    # some work of others, and more than three times off with a lot of it; that
    # of ranks that share cores, 0.14 to 1.
    times=10
    [ "$name" = dp2.tp2 ] && times=50
    check "$name: the step's time, within $times times" holds "$file" \
        "1 / $times < f['prediction'].attrs['cpu_s'] /
         f['prediction'].attrs['measured_cpu_s'] < $times"
    check "$name: the ledger adds up to the step" holds "$file" \
        "abs(f['prediction/ledger']['predicted_s'].sum() /
         f['prediction'].attrs['wall_s'] - 1) < 0.2"
done

"$WEFT" show "$work/dp1.h5" >"$work/said"
check 'show' said 'prediction on .* time'

# A prediction sends something of its own, which is no step's.
check 'dp2.tp2, not predicted' "$WEFT" train gpt-neo-tiny --data "$data" \
    --batch 4 --seq 16 --steps 4 --threads 1 --plan dp2.tp2 -q \
    --out "$work/plain.h5"
check 'predicted or not, the same bytes' "$python" -c "
import h5py, sys
a, b = (h5py.File(p) for p in sys.argv[1:])
names = [n for n in a['ranks'].dtype.names if n.startswith(('sent', 'rec'))]
assert len(names) == 10 and a['ranks']['sent_world'].max() > 0
assert all((a['ranks'][n] == b['ranks'][n]).all() for n in names)
assert (a['traffic'][:] == b['traffic'][:]).all()" \
    "$work/dp2.tp2.h5" "$work/plain.h5"

# Updates of a step that is skipped have not run: no trace of them, and no time.
for plan in tp2 streamed; do
    how=(--plan "$plan")
    [ "$plan" = tp2 ] || how=()
    check "$plan: the last step is skipped" run "${how[@]}" --layers 2 --steps 8 \
        --lr 10 --grad-clip 0 --weight-decay 10 --on-nan skip \
        --out "$work/nan.h5"
    check "$plan: it is said" said 'step  *8/8 .* nan .*skipped'
    check "$plan: its NaN has no sign" not said '-nan'
    check "$plan: updates are predicted, not measured" \
        said '^  update  *[0-9]* .*s  *-  *-$'
    check "$plan: updates have no time" holds "$work/nan.h5" \
        "(lambda t, k: (t['start_ns'] == t['end_ns']).sum() ==
          (t['kind'] == b'update').sum() > 0 and
          (t['end_ns'] == t['start_ns'])[t['kind'] == b'update'].all() and
          (k['measured_wall_ns'] > 0).sum() == len(k) - 1)(
          f['trace'][:], f['prediction/kinds'][:])"
    "$WEFT" report "$work/nan.h5" --perfetto "$work/nan.json" >"$work/said"
    check "$plan: updates are no slices" "$python" -c "
import json, sys
cats = [e['cat'] for e in json.load(open(sys.argv[1]))['traceEvents']
        if e['ph'] == 'X' and e['name'] == 'update']
assert set(cats) == {'predicted'}, set(cats)" "$work/nan.json"
done

# A link that is slow enough decides the step.
check 'throttled' run --link-rate 50MB/s --out "$work/slow.h5"
# At least the bytes at the rate, both: how much more differs where calibration
# and run were not disturbed alike.
check 'a slow link is predicted' holds "$work/slow.h5" \
    "(lambda p, least: p['wall_s'] >= least > 0.05 and
      p['measured_wall_s'] > 0.9 * least)(
      f['prediction'].attrs, f['ranks']['loaded_bytes'][0] / 4 / 50e6)"

cat >"$work/e.json" <<END
{"models": ["gpt-neo-tiny"], "data": "$data",
 "common": {"steps": 3, "batch": 4, "seq": 16},
 "setups": [{"plan": "dp1"}, {"plan": "tp2"}]}
END
"$WEFT" compare "$work/e.json" --machine "$host" --out "$work/cmp.h5" \
    >"$work/said"
check 'compare has the table' said '^prediction .*step time off by'
check 'compare has the columns' holds "$work/cmp.h5" \
    "(f['runs']['predicted_tokens_per_s'] > 0).all() and
     (abs(f['runs']['prediction_error']) < 50).all()"

# --- a step that nobody runs ---------------------------------------------------

project() {
    "$WEFT" project gpt-neo-tiny --machine "$host" --batch 4 --seq 16 \
        --threads 1 "$@" >"$work/projected"
}

# projected_as FILE: what project has just said is what was predicted of that
# run, in three digits: how often each kind of operation, how long, and the
# memory.
projected_as() {
    "$WEFT" show "$1" >"$work/said" || return 1
    "$python" - "$1" "$work/projected" "$work/said" <<'END'
import re, sys
import h5py

UNITS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}

def memory(path):
    text = open(path).read().split("prediction on ")[1]
    return re.search(r"memory of a device +([\d.]+ \w+)", text).group(1)

p = h5py.File(sys.argv[1])["prediction"]
clock = p.attrs["clock"].decode()
of_run = {k["kind"].decode(): k for k in p["kinds"][:]}
seen = 0
for line in open(sys.argv[2]):
    row = re.match(r"  (\w+) +([\d,]+) +([\d.]+) (ns|us|ms|s) ", line)
    if row is None or row[1] not in of_run:
        continue
    kind = of_run[row[1]]
    assert int(row[2].replace(",", "")) == kind["count"], line
    ratio = float(row[3]) * UNITS[row[4]] / kind[f"predicted_{clock}_ns"]
    assert abs(ratio - 1) < 0.01, (line, ratio)
    seen += 1
assert seen >= 10, seen
assert memory(sys.argv[2]) == memory(sys.argv[3])
END
}

# A run's products are predicted at the pace that they had meanwhile, and what
# overlaps with them changes, too. A machine that tells no pace has one.
steady=$work/steady.json
"$python" -c "
import json, sys
m = json.load(open(sys.argv[1]))
for level in m['levels']:
    del level['pace']
json.dump(m, open(sys.argv[2], 'w'))" "$host" "$steady"
host=$steady

for plan in dp1 tp2 pp2 dp2.tp2; do
    check "$plan: run at one pace" run --plan "$plan" --out "$work/$plan.h5"
    check "$plan: project" project --plan "$plan"
    check "$plan: project says what the run's prediction says" \
        projected_as "$work/$plan.h5"
    bytes=$("$python" -c "
import h5py, sys
print(h5py.File(sys.argv[1])['prediction'].attrs['peak_bytes'])" \
        "$work/$plan.h5")
    check "$plan: project: the run's $bytes bytes are enough" \
        project --plan "$plan" --device-memory "$bytes"
    check_code 80 "$plan: project: one byte less is not" \
        project --plan "$plan" --device-memory $((bytes - 1))
done
check 'streamed: run at one pace' run --out "$work/streamed.h5"
check 'streamed: project' project
check "streamed: project says what the run's prediction says" \
    projected_as "$work/streamed.h5"
check_says 'project: ranks and threads' '1 rank x 1 thread, 64 tokens a step' \
    "$work/projected"

check_code 64 'project needs a machine' "$WEFT" project gpt-neo-tiny
check_code 80 'project knows budgets' "$WEFT" project gpt-neo-tiny \
    --machine "$host" --plan dp1 --device-memory 1MiB
check_code 66 'no such machine' run --machine "$work/none.json"
echo '{"format": "weft-machine-1", "nmae": "x"}' >"$work/bad.json"
check_code 78 'a wrong machine' run --machine "$work/bad.json"
check_code 64 'calibrate starts its ranks itself' $MPIRUN -np 2 "$WEFT" \
    calibrate -o "$host"
finish
