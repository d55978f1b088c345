#!/bin/bash
# weft bench --only ranks, on an experiment of tiny set-ups: what is a pipeline
# is told by the plan, not by the name; what it writes goes where TMPDIR says.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

mkdir -p "$work/configs/experiments"
make_text "$work/text.txt"
cat >"$work/configs/experiments/ranks.json" <<END
{
  "models": ["gpt-neo-tiny"],
  "data": "text.txt",
  "common": {"steps": 3, "batch": 4, "seq": 16},
  "setups": [
    {"name": "one", "plan": "dp1", "threads": 1},
    {"name": "flow", "plan": "pp2.mb1", "threads": 1},
    {"name": "ppp", "plan": "dp2", "threads": 1}
  ]
}
END
cd "$work" || exit 71
bench=("$WEFT" bench --only ranks --rounds 2)

TMPDIR=$work/missing "${bench[@]}" >out.txt 2>&1
check_says 'no folder for temporary files' \
    'missing/weft-bench-.*cannot create.*set TMPDIR' out.txt

mkdir mine
TMPDIR=$work/mine "${bench[@]}" >out.txt 2>&1
if [ "$(nproc)" -lt 2 ]; then
    check_says 'ranks that share cores are not measured' 'share cores' out.txt
else
    check_says 'a pipeline by its plan' \
        '^flow, bubble taken out, against one rank .*goal 85' out.txt
    check_says 'no pipeline by its name' '^ppp against one rank .*goal 80' \
        out.txt
    check_says 'the folder' "wrote $work/mine/weft-bench-" out.txt
    check 'there was no older file' [ "$(grep -c 'older' out.txt)" = 0 ]
fi
check 'nothing is left there' sh -c "[ -z \"\$(ls '$work/mine' | grep weft)\" ]"

# The experiment names its data, --data another.
mv text.txt elsewhere.txt
check_code 66 'no data' "${bench[@]}"
check_says 'it says how to name one' 'data: text.txt: .*--data FILE takes' \
    code.out
TMPDIR=$work/mine "${bench[@]}" --rounds 1 --data elsewhere.txt >out.txt 2>&1
check_says 'another text' 'ranks.json on elsewhere.txt' out.txt

# --- figures that are noise ---------------------------------------------------

# A step of 16 tokens takes a millisecond: of 100 pairs some are off.
"$WEFT" bench gpt-neo-tiny --layers 1 --seq 16 --rounds 100 --only sums \
    >out.txt 2>&1
code=$?
if grep -q 'goal .*INVALID, too noisy' out.txt; then
    check 'noise ends with 70' [ "$code" = 70 ]
    check_says 'and with a line' '^weft: INVALID: 1 figure is too noisy' out.txt
else
    check 'a figure ends with 0' [ "$code" = 0 ]
    check_says 'and a verdict' 'goal .* %: .*reached' out.txt
fi
finish
