#!/bin/bash
# The completion for zsh, in zsh. t_install.sh reads the file without one.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

script=$work/_weft
"$WEFT" help --completion zsh >"$script"
check 'zsh takes the script' zsh -n "$script"

# handed WORD...: what _arguments and its like are handed for the last word,
# without a terminal.
handed() {
    PATH=$(dirname "$WEFT"):$PATH zsh -fc '
        _arguments() {
            print -rl -- "$@"
            [[ ${@[-1]} != *:_weft_models ]] || _weft_models
        }
        _describe() { print -r -- "$1 ${(P)2}" }
        _files() { print -r -- files }
        script=$1
        shift
        words=("$@") CURRENT=$#
        set --
        . $script' - "$script" "$@" \
        >"$work/handed" 2>&1
}

check 'the first word' handed weft ''
check_says 'is a command' '^1:command:_weft_commands$' "$work/handed"
check 'train' handed weft train ''
check_says 'its options' '^--device-memory=\[' "$work/handed"
check_says 'with their choices' ':value:(ram null check)$' "$work/handed"
check_says 'quotes within a text' "the link's\]" "$work/handed"
check_says 'models' '^model .*gpt-neo-tiny' "$work/handed"
check 'nothing but what is handed' \
    test -z "$(grep -n -E '^[^-*1]' "$work/handed" | grep -v -E 'model |files')"
check 'report' handed weft report ''
check_says 'its letters' '^-o+\[' "$work/handed"
finish
