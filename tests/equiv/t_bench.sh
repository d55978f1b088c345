#!/bin/bash
# weft bench --only ranks, on an experiment of tiny set-ups: what is a pipeline
# is told by the plan, not by the name; what it writes goes where TMPDIR says.
#
# timeout: 120
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
bench=("$WEFT" bench gpt-neo-tiny --only ranks --rounds 1)

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
fi
check 'nothing is left there' sh -c "[ -z \"\$(ls '$work/mine' | grep weft)\" ]"
finish
