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
            local all="$*" last=${@[-1]##*:}
            [[ $last != _weft_(models|models_plans|experiments) ]] || $last
            [[ $all != *:PLAN:_weft_plans* ]] || _weft_plans
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
    test -z "$(grep -n -E '^[^-*1]' "$work/handed" | grep -v -E '^[0-9]*:(model |plan |files)')"
check_says 'plans' '^plan .*uneven.1f1b' "$work/handed"
check_says 'and files' '^files$' "$work/handed"
check 'compare' handed weft compare ''
check_says 'experiments' '^experiment .*fullwidth' "$work/handed"
check_says 'and files' '^files$' "$work/handed"
check 'show' handed weft show ''
check_says 'show: models' '^model .*gpt-neo-tiny' "$work/handed"
check_says 'show: plans' '^plan .*uneven.1f1b' "$work/handed"
check 'report' handed weft report ''
check_says 'its letters' '^-o+\[' "$work/handed"
finish
