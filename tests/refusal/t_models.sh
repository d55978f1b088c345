#!/bin/bash
# Wrong model configurations: names, JSON, keys, types, sizes.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt
good=$root/configs/models/gpt-neo-tiny.json

# with SED FILE: the good configuration, edited.
with() {
    sed "$1" "$good" >"$2"
    if cmp -s "$good" "$2"; then
        complain "sed '$1' changed nothing"
    fi
}

# bad CODE WORDS SED: refused by train, and by show in the same words.
bad() {
    with "$3" m.json
    refused "$1" "$2" train m.json --data text.txt
    local line
    line=$(cat "$TMPDIR/err")
    refused "$1" "$2" show m.json
    [ "$line" = "$(cat "$TMPDIR/err")" ] || complain "show differs for: $3"
}

cp "$good" same.json
accepted show same.json
refused $NOINPUT 'gpt-neo-tinyy|did you mean "gpt-neo-tiny"' \
    train gpt-neo-tinyy --data text.txt
refused $NOINPUT 'gpt-neo-tinyy|did you mean "gpt-neo-tiny"|no file, no folder' \
    show gpt-neo-tinyy
refused $NOINPUT 'wobble|no such model|gpt-j-6b' train wobble --data text.txt
refused $NOINPUT './none.json|no such file' train ./none.json --data text.txt
refused $NOINPUT 'none.json|no such file' show none.json
mkdir empty
refused $NOINPUT './empty|has no config.json' train ./empty --data text.txt
refused $NOINPUT 'empty: this folder has no config.json' convert empty -o x.h5
refused $NOINPUT 'no model given' train '' --data text.txt

# Syntax: file, line and column.
bad $BADFILE 'm.json:3:' '2s/,$//'
bad $BADFILE 'm.json:' '$d'
bad $BADFILE 'm.json:' '$s/$/ x/'
bad $BADFILE 'm.json:|hidden_size' 's/"hidden_size": 128,/&&/'
: >m.json
refused $BADFILE 'm.json:' train m.json --data text.txt
head -c 3000 /dev/zero | tr '\0' '[' >m.json
refused $BADFILE 'm.json:' train m.json --data text.txt
cp text.txt m.json
refused $BADFILE 'm.json:2:' train m.json --data text.txt
echo '[1]' >m.json
refused $CONFIG 'm.json' train m.json --data text.txt

# Keys and types.
bad $CONFIG 'm.json:|: hiden_size|did you mean "hidden_size"' \
    's/hidden_size/hiden_size/'
bad $CONFIG 'm.json:|: model_type|gpt_neo|"gpt_nea"' 's/"gpt_neo"/"gpt_nea"/'
bad $CONFIG 'm.json:|: hidden_size|128' 's/"hidden_size": 128/"hidden_size": "128"/'
bad $CONFIG 'm.json:|: hidden_size|128.5' 's/"hidden_size": 128/"hidden_size": 128.5/'
bad $CONFIG 'm.json:|: num_layers|true' 's/"num_layers": 4/"num_layers": true/'
bad $CONFIG 'm.json:|: activation_function|relu|gelu_new' 's/gelu_new/relu/'
bad $CONFIG 'm.json:|: tie_word_embeddings' \
    's/"tie_word_embeddings": true/"tie_word_embeddings": 1/'

# Sizes.
bad $CONFIG 'm.json:|: hidden_size: 0|1 to' 's/"hidden_size": 128/"hidden_size": 0/'
bad $CONFIG 'm.json:|: num_layers: -4|1 to' 's/"num_layers": 4/"num_layers": -4/'
bad $CONFIG 'm.json:|: num_layers: 1000000|1 to' \
    's/"num_layers": 4/"num_layers": 1000000/'
bad $BADFILE 'm.json:' \
    's/"vocab_size": 256/"vocab_size": 99999999999999999999/'
bad $CONFIG 'm.json:|: vocab_size: 1099511627776|1 to' \
    's/"vocab_size": 256/"vocab_size": 1099511627776/'
bad $CONFIG 'm.json|num_heads 5|hidden_size 128|nearest|is 4' \
    's/"num_heads": 4/"num_heads": 5/'
bad $CONFIG 'm.json:|: attention_types|adds up to 4|num_layers is 6' \
    's/"num_layers": 4/"num_layers": 6/'
bad $CONFIG 'm.json|window_size: 0' 's/"window_size": 32/"window_size": 0/'
sed 's/"rotary_dim": [0-9]*/"rotary_dim": 3/' \
    "$root/configs/models/gpt-j-tiny.json" >m.json
refused $CONFIG 'm.json|rotary_dim|3 dimensions|even' \
    train m.json --data text.txt
refused $CONFIG 'gpt-neo-tiny|5 layers|1 to 4' \
    train gpt-neo-tiny --data text.txt --layers 5

# A file that is neither.
echo '{"colour": 3}' >m.json
refused $CONFIG 'm.json|no model|no plan' show m.json
echo '{"models": ["gpt-neo-tiny"], "data": "x", "setups": []}' >e.json
refused $CONFIG 'e.json: is an experiment|weft compare' show e.json
finish
