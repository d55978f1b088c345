#!/bin/bash
# Wrong command lines.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt

refused $USAGE "no command 'trane'|did you mean train" trane
refused $USAGE 'MODEL --data FILE|argument is missing' train
refused $USAGE '1 argument' show
refused $USAGE "unexpected argument 'b'" show a b
refused $USAGE '--data FILE is missing' train gpt-neo-tiny

t=(train gpt-neo-tiny --data text.txt)
refused $USAGE "unknown option '--stesp'|did you mean --steps" "${t[@]}" \
    --stesp 3
refused $USAGE "unknown option '--learning-rate'" "${t[@]}" --learning-rate 1
refused $USAGE "'--steps' needs a value" "${t[@]}" --steps
refused $USAGE "'--steps'|'x'|whole number" "${t[@]}" --steps x
refused $USAGE "'--steps'|'1.5'" "${t[@]}" --steps 1.5
refused $USAGE "'--steps'|'0'|1 to 1000000000" "${t[@]}" --steps 0
refused $USAGE "'--batch'|'-1'|1 to 1000000" "${t[@]}" --batch -1
refused $USAGE "'--batch'|'99999999999999999999'" "${t[@]}" --batch \
    99999999999999999999
refused $USAGE "'--lr'|'nan'" "${t[@]}" --lr nan
refused $USAGE "'--lr'|'inf'" "${t[@]}" --lr inf
refused $USAGE "'--lr'|'11'|10" "${t[@]}" --lr 11
refused $USAGE "'--lr'|'1e-3x'" "${t[@]}" --lr 1e-3x
refused $USAGE "'--val-fraction'|'1'|0.9" "${t[@]}" --val-fraction 1
refused $USAGE "'--sums'|'exakt'|exact, fast" "${t[@]}" --sums exakt
refused $USAGE "'--store'|'disk'|ram, null, check" "${t[@]}" --store disk
refused $USAGE "'--device-memory'|'64XiB'" "${t[@]}" --device-memory 64XiB
refused $USAGE "'--device-memory'|'-1MiB'" "${t[@]}" --device-memory -1MiB
refused $USAGE "'--link-rate'|'fast'" "${t[@]}" --link-rate fast
refused $USAGE '--link-rate 1 B/s is too slow|64.0 kB/s and more' \
    "${t[@]}" --link-rate 1
refused $USAGE '--link-rate 1 B/s is too slow|64.0 kB/s and more' \
    project gpt-neo-tiny --machine none.json --link-rate 1
refused $NOINPUT 'none.json' \
    project gpt-neo-tiny --machine none.json --link-rate 64kB/s
p=(project gpt-neo-tiny --machine none.json)
refused $USAGE 'project: --store is for streaming|--plan out' \
    "${p[@]}" --plan dp2 --store ram
refused $USAGE 'project: --link-latency is for streaming|--plan out' \
    "${p[@]}" --plan dp2 --link-latency 1ms
refused $USAGE 'project: --sums fast has no leaves' \
    "${p[@]}" --sums fast --data-leaves 2
refused $USAGE 'project: --store check|leave it out' "${p[@]}" --store check
refused $USAGE 'project: --store null|leave it out' "${p[@]}" --store null
refused $USAGE "unknown option '--steps'" "${p[@]}" --steps 3
refused $USAGE "unknown option '--reference-kernels'" "${p[@]}" \
    --reference-kernels
refused $USAGE '--machine has no laws for --reference-kernels|leave one' \
    "${t[@]}" --machine none.json --reference-kernels
refused $USAGE '--machine has no laws for --store check|leave one' \
    "${t[@]}" --machine none.json --store check
refused $USAGE '--machine has no laws for --store null|leave one' \
    "${t[@]}" --machine none.json --store null
refused $USAGE "'--link-latency'|100|0 to 10" "${t[@]}" --link-latency 100s
refused $USAGE "'--link-latency'|'3 weeks'" "${t[@]}" --link-latency '3 weeks'
refused $USAGE "'--data-leaves'|'65'|0 to 64" "${t[@]}" --data-leaves 65
refused $USAGE '--init|--resume|one of them' "${t[@]}" --init a --resume b

b=(bench --only ranks)
refused $USAGE 'bench: --only ranks|leave gpt-neo-tiny out' "${b[@]}" \
    gpt-neo-tiny
refused $USAGE 'bench: --only ranks|leave --seq out' "${b[@]}" --seq 16
refused $USAGE 'bench: --only ranks|leave --layers out' "${b[@]}" --layers 1
refused $USAGE 'bench: --only ranks|leave --threads out' "${b[@]}" --threads 1
refused $USAGE 'bench: --only ranks|leave --device-memory out' \
    "${b[@]}" --device-memory 1MiB
refused $USAGE '--only sums does not run' bench --only sums \
    --device-memory 1MiB
refused $USAGE 'bench: --data is for --only ranks' bench --data text.txt

refused $USAGE '-o CKPT.h5 is missing' convert "$golden/gptj_full_rotary"
refused $USAGE "unknown option '--verfy'|--verify" show gpt-neo-tiny --verfy
refused $USAGE '--verify says nothing about a model' show gpt-neo-tiny --verify
refused $USAGE 'add --model' show dp2 --batch 3

# Control characters of an argument neither break the line nor get out.
refused $USAGE "'--steps'" "${t[@]}" --steps $'1\n2\e[31m'
if grep -q $'\e' "$TMPDIR/err"; then
    complain 'an escape sequence came through'
fi

# What cannot be printed was not done.
if [ -c /dev/full ]; then
    tried=$((tried + 1))
    "$WEFT" show gpt-neo-tiny >/dev/full 2>"$TMPDIR/err"
    [ $? -eq $IO ] || complain 'show >/dev/full must fail'
fi
finish
