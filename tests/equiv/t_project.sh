#!/bin/bash
# weft project: what describes a set-up to weft train describes it here, with
# the same defaults; what the machine cannot hold, and laws that it has not,
# are said.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"
seed=$PWD/tests/fuzz/seeds/machine/host.json # laws of one thread
host=$seed
options=(
    "--device-memory 12MiB --recompute full --link-latency 1ms --store ram"
    "--vocab 300 --sums fast --micro-batch 2 --layers 1 --link-rate 1GB/s"
    "--plan dp2 --data-leaves 8 --tensor-leaves 2 --batch 6 --seq 32"
)

project() {
    "$WEFT" project gpt-neo-tiny --machine "$host" --threads 1 "$@"
}

# memory FILE: what a device needs, as it was printed.
memory() {
    sed -n 's/^ *memory of a device *\([0-9.]* [KMG]iB\) .*/\1/p' "$1"
}

# --- the same words, the same step --------------------------------------------

for o in "" "${options[@]}"; do
    # shellcheck disable=SC2086  # options are words
    {
        check "project $o" project $o
        cp "$work/check.out" "$work/said"
        check "train $o" "$WEFT" train gpt-neo-tiny --data "$data" --steps 1 \
            --threads 1 --machine "$host" --out "$work/run.h5" $o
        cp "$work/check.out" "$work/run"
    }
    check 'with the same memory' \
        test -n "$(memory "$work/run")" -a \
        "$(memory "$work/run")" = "$(memory "$work/said")"
done
project >"$work/said"
check_says 'by default train'"'"'s tokens' ' 1.02 k tokens a step$' "$work/said"

wall() {
    project "$@" | sed -n 's/^ *step, wall time *1 *\(.*[^ -]\)[ -]*$/\1/p'
}
check 'latency counts' test "$(wall)" != "$(wall --link-latency 100ms)"
check 'recomputing counts' \
    test "$(wall --recompute none)" != "$(wall --recompute full)"
check 'sums count' test "$(wall --plan dp1)" != "$(wall --plan dp1 --sums fast)"

# Two ranks have the two cores, four share them: both clocks have their rate.
project --plan tp2 >"$work/said"
check 'cores of their own' grep -q ' tokens/s, [^ ]* [a-zA-Z]*flop/s$' \
    "$work/said"
project --plan tp4 >"$work/said"
check 'shared cores' perl -ne '
    my %unit = (ns => 1e-9, us => 1e-6, ms => 1e-3, s => 1, "" => 1, k => 1e3);
    if (m{^([\d.]+) (k?) ?tokens/s, .* ([\d.]+) (k?) ?tokens a CPU second$}) {
        ($wall, $cpu) = ($1 * $unit{$2}, $3 * $unit{$4});
    } elsif (/^ *step, (wall|CPU) time *1 *([\d.]+) ([num]?s)/) {
        $tokens{$1} = $2 * $unit{$3} * ($1 eq "CPU" ? $cpu : $wall);
    }
    END {
        exit grep { $_ < 1014 || $_ > 1034 } $tokens{"wall"} // 0,
            $tokens{"CPU"} // 0;
    }' "$work/said"

# --- a machine that is too small ----------------------------------------------

memory_of() {
    sed "s/\"memory\":[0-9]*/\"memory\":$1/" "$seed"
}
memory_of 3000000 >"$work/small.json"
host=$work/small.json
project >"$work/said"
check 'it still predicts' grep -q 'tokens/s' "$work/said"
check_says 'with the store it is too much' \
    '^  memory with the store .* MiB more than the machine has$' "$work/said"
project --plan dp1 >"$work/said"
check_says 'a rank is too much' \
    '^  memory of all ranks .* MiB more than the machine has$' "$work/said"
memory_of 40000000 >"$work/small.json"
project --plan dp1 >"$work/said"
check 'one has room' test "$(grep -c 'more than' "$work/said")" -eq 0
project --plan dp4 >"$work/said"
check_says 'four have not' 'memory of all ranks .* more than' "$work/said"

# --- laws that are not there --------------------------------------------------

host=$seed
project >"$work/said" 2>&1
check 'one thread has laws' \
    test "$(grep -c warning "$work/said")" -eq 0
project --threads 2 >"$work/said" 2>&1
check_says 'two have those of one' \
    'has no laws for 2 threads, those of 1 stand for them' "$work/said"
project --plan dp4 >"$work/said" 2>&1
check 'four ranks share cores as it was measured' \
    test "$(grep -c warning "$work/said")" -eq 0
sed 's/"shared_cores":true/"shared_cores":false/' "$seed" \
    >"$work/apart.json"
host=$work/apart.json
project --plan dp4 >"$work/said" 2>&1
check_says 'no link of shared cores' \
    'no link of ranks that share cores, that of 4 ranks' "$work/said"

# A comparison gives the machine to all its set-ups: those that it says nothing
# of run without a prediction.
cat >"$work/e.json" <<END
{"models": ["gpt-neo-tiny"], "data": "$data",
 "common": {"steps": 2, "batch": 2, "seq": 16},
 "setups": [{"plan": "dp1"}, {"name": "checked", "store": "check"}]}
END
check 'a comparison with a checking store' "$WEFT" compare "$work/e.json" \
    --machine "$host" --out "$work/cmp.h5"
finish
