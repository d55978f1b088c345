#!/bin/bash
# What a results file says of bytes, operations and steps: messages between
# stages are counted, the store's bytes are those that moved, validation
# leaves the trace alone, a resumed run goes on in its file.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"
. tests/common/results.sh

data=$work/text.txt
make_text "$data"

run() {
    "$WEFT" train gpt-neo-tiny --data "$data" --batch 4 --seq 16 --steps 4 \
        --quiet "$@"
}

check 'pp2' run --plan pp2 --out "$work/pp2.h5"
# 4 steps, 64 tokens of 128 floats, one way.
check 'bytes of a pipe' holds "$work/pp2.h5" \
    "list(f['ranks']['sent_pipe']) == [4 * 64 * 128 * 4] * 2"
check 'the world has its own' holds "$work/pp2.h5" \
    "0 < max(f['ranks']['sent_world']) < 4 * 64 * 128 * 4"
check 'who sent to whom adds up' holds "$work/pp2.h5" \
    "(lambda r, t: [t['bytes'][t['from'] == i].sum() for i in (0, 1)] ==
      [sum(int(r[n][i]) for n in r.dtype.names if n.startswith('sent_'))
       for i in (0, 1)])(f['ranks'][:], f['traffic'][:])"
check 'a step sends what its program says' holds "$work/pp2.h5" \
    "4 * f['setup'].attrs['bytes'] ==
     sum(f['ranks']['sent_pipe']) + sum(f['ranks']['sent_tie'])"
check 'a message counts once' holds "$work/pp2.h5" \
    "(lambda k: f['setup'].attrs['messages'] == k.count(b'send') +
      k.count(b'allreduce'))(list(f['trace']['kind']))"
check 'messages meet' holds "$work/pp2.h5" \
    "(lambda t: {(m['rank'], m['peer'], m['tag'])
                 for m in t if m['kind'] == b'send'} ==
      {(m['peer'], m['rank'], m['tag'])
       for m in t if m['kind'] == b'recv'} != set())(f['trace'][:])"
check 'received after it was sent' holds "$work/pp2.h5" \
    "(lambda t: all(r['end_ns'] >= s['start_ns']
                    for r in t if r['kind'] == b'recv'
                    for s in t if s['kind'] == b'send' and
                    (s['rank'], s['peer'], s['tag']) ==
                    (r['peer'], r['rank'], r['tag'])))(f['trace'][:])"
check 'two ranks, six accounts, four steps' holds "$work/pp2.h5" \
    "f['ledger'].shape == (4, 2, 6)"

# The first rank is not the fullest.
echo '{"stages": [1, 3]}' >"$work/uneven.json"
"$WEFT" train gpt-neo-tiny --data "$data" --batch 4 --seq 16 --steps 1 \
    --plan "$work/uneven.json" --out "$work/uneven.h5" >"$work/uneven.log"
head_has_the_fullest() {
    local mib
    mib=$(sed -n 's/^device memory \(.*\) MiB of \1 MiB;.*/\1/p' \
        "$work/uneven.log")
    holds "$work/uneven.h5" "(lambda p: p[1] > 1.1 * p[0] and
        abs($mib - p[1] / 2**20) < 0.01 * $mib)(f['ranks']['peak_bytes'])"
}
check 'the fullest rank in the head' head_has_the_fullest

check 'streamed' run --out "$work/streamed.h5" --val-every 4
# Each matrix crosses twice, the gradient of each once.
check 'bytes of a stream' holds "$work/streamed.h5" \
    "f['ranks']['loaded_bytes'][0] > 1.9 * f['ranks']['drained_bytes'][0] > 0"
check 'no allocation in a step' holds "$work/streamed.h5" \
    "f['ranks']['step_allocs'][0] == 0"
check 'what libraries hold' holds "$work/streamed.h5" \
    "1e4 < f['ranks']['library_bytes'][0] < 1e9"
check 'the trace is one training step' holds "$work/streamed.h5" \
    "(lambda t: max(t['end_ns'][t['kind'] == b'grad_norm']) <=
      min(t['start_ns'][t['kind'] == b'clip']))(f['trace'][:])"

# Validation and checkpoints are no part of the steps' traffic.
same_traffic() {
    holds "$1" "(lambda g: all((f['ranks'][n] == g['ranks'][n]).all()
                 for n in f['ranks'].dtype.names
                 if n.startswith(('sent_', 'received_', 'loaded', 'drained')))
                 and ('traffic' not in f or
                      (f['traffic'][:] == g['traffic'][:]).all()))(
                 h5py.File('$2'))"
}
check 'tp2' run --plan tp2 --out "$work/tp2.h5"
check 'tp2, validated and saved' run --plan tp2 --out "$work/tp2v.h5" \
    --val-every 1 --save "$work/tp2v.ckpt"
check 'tp2: the same traffic' same_traffic "$work/tp2.h5" "$work/tp2v.h5"
check 'streamed, not validated' run --out "$work/alone.h5"
check 'streamed: the same' same_traffic "$work/alone.h5" "$work/streamed.h5"

check_code 85 'stopped' run --out "$work/part.h5" --save "$work/part.ckpt" \
    --stop-after 2
check 'resumed' run --out "$work/part.h5" --resume "$work/part.ckpt"
check 'one file, all steps' holds "$work/part.h5" \
    "list(f['steps/step']) == [0, 1, 2, 3]"

check 'resumed under a plan' run --out "$work/part.h5" \
    --resume "$work/part.ckpt" --plan tp2
check 'both are told' holds "$work/part.h5" \
    "f.attrs['plan'] in ('streamed, then tp2', b'streamed, then tp2')
     and f.attrs['ranks'] == 2"

check 'a tenth of another rate' run --out "$work/rate.h5" --lr 1e-5
check 'at the end of the cosine' holds "$work/rate.h5" \
    "max(f['steps/lr']) <= 1e-5 and min(f['steps/lr']) >= 1e-6"
check_code 64 'a rate that rises' run --lr 1e-5 --min-lr 1e-4
check_code 64 'every so often, but where' run --save-every 2
check_code 64 'null keeps no checkpoint' run --store null \
    --resume "$work/part.ckpt"
check_code 78 'no sequence to validate on' run --val-every 1 \
    --val-fraction 0.0001
check_code 64 'a link needs a store' run --plan dp1 --link-rate 1GB/s
check_code 64 'fast sums have no leaves' run --sums fast --data-leaves 4
check_code 64 'bench is one process' $MPIRUN -np 2 "$WEFT" bench
finish
