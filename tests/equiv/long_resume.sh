#!/bin/bash
# Stop under one set-up, go on under another: all pairs of set-ups, on both
# model families. t_resume.sh has the few that every change should pass.
#
# timeout: 900
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"

for model in gpt-neo-tiny gpt-j-tiny; do
    check "$model: dp1" train "$model-whole" "$model" dp1
    for from in streamed tp2 pp2 dp2 dp1 dp4 tp2.pp2; do
        for to in streamed tp2 pp2 dp2; do
            resumed "$model" "$from" "$to" "$model-whole"
        done
    done
done

finish
