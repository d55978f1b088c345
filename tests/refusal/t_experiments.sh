#!/bin/bash
# Experiments that are wrong are refused before anything is launched, and
# weft compare overwrites none of its inputs. The work folder is compared by
# checksums after each refusal (common.sh).
# timeout: 900
. "${0%/*}/common.sh"
make_text data.txt
cp "$root/configs/models/gpt-neo-tiny.json" my-model.json
ln -s "$root/configs" configs # wherever the program is
mkdir model
cp my-model.json model/config.json
echo '{"data": 2}' >plan.json

# experiment SETUPS [COMMON [MODELS [DATA]]] >FILE
experiment() {
    printf '{"models": [%s], "data": "%s",\n "common": {%s},\n' \
        "${3-\"gpt-neo-tiny\"}" "${4-data.txt}" \
        "${2-\"steps\": 1, \"batch\": 4, \"seq\": 16}"
    printf ' "setups": [%s]}\n' "$1"
}

# bad CODE WORDS SETUPS [COMMON [MODELS [DATA]]]
bad() {
    local code=$1 words=$2
    shift 2
    experiment "$@" >e.json
    refused "$code" "e.json:$words" compare e.json -o new.h5
}

# --- the output is no input ---------------------------------------------------

experiment '{"plan": "plan.json"}, {"name": "s"}' '"steps": 1, "seq": 16' \
    '"my-model.json", "model"' >own.json
ln -s own.json link.json
lost='would be lost; give another name'
for out in own.json ./own.json "$work/own.json" link.json; do
    refused $USAGE "--out $out is the experiment own.json|$lost" \
        compare own.json -o "$out"
done
refused $USAGE "data.txt is the data|$lost" compare own.json -o data.txt
refused $USAGE "my-model.json|model|$lost" compare own.json -o my-model.json
refused $USAGE "model/config.json|model|$lost" \
    compare own.json -o model/config.json
refused $USAGE "plan.json is the plan|$lost" compare own.json -o plan.json
refused $CANTCREATE 'there is no folder none|create it' \
    compare own.json -o none/x.h5
refused $CANTCREATE 'model: is a folder' compare own.json -o model
refused $CANTCREATE 'empty name' compare own.json -o ''
rm link.json

# --- inputs are looked at first; an older result stays ------------------------

echo 'an older result' >new.h5
refused $NOINPUT 'none.json' compare none.json -o new.h5
one='{"plan": "dp1"}'
common='"steps": 1, "batch": 4, "seq": 16'
tiny='"gpt-neo-tiny"'
missing() {
    local code=$1 words=$2
    shift 2
    experiment "$@" >e.json
    refused "$code" "$words" compare e.json -o new.h5
}
missing $NOINPUT 'e.json:1: models[1]: gpt-neo-tinny|gpt-neo-tiny' "$one" "$common" \
    '"gpt-neo-tiny", "gpt-neo-tinny"'
missing $NOINPUT 'none.txt' "$one" "$common" "$tiny" none.txt
missing $BADFILE 'model: ' "$one" "$common" "$tiny" model
missing $CONFIG 'data.txt: ' "$one" '"seq": 1000000' "$tiny"
missing $NOINPUT 'e.json:3: setups[1].plan: none.json' "$one, {\"plan\": \"none.json\"}"
missing $CONFIG 'e.json:3: setups[1].plan: plan "dq2"' "$one, {\"plan\": \"dq2\"}"

# From another folder than its own.
mkdir elsewhere
away() {
    local words=$1
    shift
    experiment "$@" >elsewhere/e.json
    refused $NOINPUT "elsewhere/e.json:$words|looked for in the current folder" \
        compare elsewhere/e.json -o new.h5
}
away '3: setups[0].plan: none.json: no such file' '{"plan": "none.json"}'
away '1: models[0]: none.json' "$one" "$common" '"none.json"'
away ' data: none.txt: ' "$one" "$common" "$tiny" none.txt
experiment "$one" | sed 's/{"models/{"machine": "none.json", "models/' \
    >elsewhere/e.json
refused $NOINPUT 'elsewhere/e.json: machine: none.json: no such file|looked for' \
    compare elsewhere/e.json -o new.h5
rm -r elsewhere

outside="data.txt (text, one token a byte): token |outside the vocabulary"
missing $CONFIG "e.json:1: models[0]: $outside" '{"plan": "pp2"}' \
    "$common, \"vocab\": 100"
sed 's/"vocab_size": 256/"vocab_size": 90/' my-model.json >small.json
grep -q '"vocab_size": 90' small.json || complain 'no smaller vocabulary'
missing $CONFIG "e.json:1: models[1]: $outside" "$one" "$common" \
    '"gpt-neo-tiny", "small.json", "model"'
# Without a judge nothing is compared, whatever else would be refused.
nobody="the set-up 'judge', which the others must agree with, cannot run: "
missing $CONFIG "e.json:1: models[0]: $nobody|300|positions" \
    '{"plan": "pp2"}' '"batch": 4, "seq": 300'
missing $CONFIG "e.json:1: models[0]: $nobody|layers|9" '{"plan": "pp2"}' \
    "$common, \"layers\": 9"
missing $CONFIG "e.json:1: models[0]: ${nobody/judge/dp1}|device_memory" \
    '{"plan": "dp1", "device_memory": "1MiB"}, {"plan": "pp2"}'
sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 64/' \
    my-model.json >short.json
missing $CONFIG "e.json:1: models[1]: $nobody|65|positions" '{"plan": "pp2"}' \
    '"batch": 4, "seq": 65' '"gpt-neo-tiny", "short.json"'
echo '{"dta": 2}' >wrong.json
missing $CONFIG 'e.json:3: setups[1].plan: wrong.json:1: dta: unknown key' \
    "$one, {\"plan\": \"wrong.json\"}"
missing $CONFIG 'e.json:2: common.plan: plan "dq2"' '{}' "$common, \"plan\": \"dq2\""

# --- keys ---------------------------------------------------------------------

bad $CONFIG '3: setups[2].stor: unknown key|did you mean "store"' \
    "$one, {\"plan\": \"dp2\"}, {\"stor\": \"ram\"}"
bad $CONFIG '3: setups[0].stepz: unknown key|known are' '{"stepz": 3}'
bad $CONFIG '2: common.stepz: unknown key|did you mean "steps"' "$one" '"stepz": 1'
for key in steps batch seq layers lr min_lr warmup beta1 beta2 eps \
    weight_decay grad_clip seed data_leaves tensor_leaves val_fraction \
    val_every val_batches; do
    bad $CONFIG "3: setups[1].$key: must be the same|\"common\"" \
        "$one, {\"$key\": 1}"
done
for key in data out save save_every resume init stop_after launched_at quiet \
    log_every; do
    case $key in
    data) words='key of its own at the top' ;;
    *) words='belongs ' ;;
    esac
    [ $key = stop_after ] && words='"steps" in "common"'
    bad $CONFIG "3: setups[0].$key: |$words" "{\"$key\": \"x.h5\"}"
    bad $CONFIG "2: common.$key: |$words" "$one" "\"$key\": \"x.h5\""
done
bad $CONFIG '2: common.name: belongs in an object of "setups"' "$one" '"name": "a"'
cat >e.json <<'END'
{"models": ["gpt-neo-tiny"], "data": "data.txt", "setup": [{"plan": "dp1"}]}
END
refused $CONFIG 'e.json:1: setup: unknown key|"setups"' compare e.json -o new.h5
cat >e.json <<'END'
{"models": ["gpt-neo-tiny"], "data": "data.txt", "steps": 5, "setups": [{}]}
END
refused $CONFIG 'e.json:1: steps: |"common"' compare e.json -o new.h5

for key in '"store": "ram"' '"link_rate": "50MB/s"' '"link_latency": "1ms"'; do
    name=${key#\"}
    name=${name%%\"*}
    bad $CONFIG "3: setups[1].$name: is for streaming|plan tp2|without a plan" \
        "$one, {\"plan\": \"tp2\", $key}"
    bad $CONFIG "3: setups[0].$name: is for streaming|plan pp2" "{$key}" \
        "$common, \"plan\": \"pp2\""
done

# --- values -------------------------------------------------------------------

bad $CONFIG '3: setups[1].link_rate: 1 B/s is too slow|64.0 kB/s and more' \
    "$one, {\"link_rate\": \"1B/s\"}"
bad $CONFIG '2: common.link_rate: 1 B/s is too slow' '{}' \
    "$common, \"link_rate\": \"1B/s\""
bad $CONFIG '2: common.min_lr: 0.1 is above lr 0.01|0 to 0.01' "$one" \
    "$common, \"lr\": 0.01, \"min_lr\": 0.1"
bad $CONFIG '2: common.val_every: 2 needs tokens|val-fraction is 0' "$one" \
    "$common, \"val_every\": 2, \"val_fraction\": 0"
bad $CONFIG '3: setups[1].threads: ' "$one, {\"threads\": [1]}"
bad $CONFIG '3: setups[1].plan: ' "$one, {\"plan\": 2}"
bad $CONFIG '3: setups[1].sums: ' "$one, {\"sums\": \"exakt\"}"
bad $CONFIG '3: setups[1].name: ' "$one, {\"name\": 2}"
bad $CONFIG '3: setups[1]: ' "$one, 3"
bad $CONFIG '2: common.steps: ' "$one" '"steps": "many"'
bad $CONFIG '2: common.lr: ' "$one" '"lr": -1'
bad $CONFIG "3: setups[1].link_rate: 'fast'" "$one, {\"link_rate\": \"fast\"}"
bad $CONFIG "2: common.val_fraction: '2'" "$one" '"val_fraction": 2'
for part in state/8x state/0 state/ state/-1 state state/99999999; do
    bad $CONFIG "3: setups[1].device_memory: '$part' is not possible|state/8" \
        "$one, {\"device_memory\": \"$part\"}"
done
bad $CONFIG "2: common.device_memory: 'state/8x'" "$one" \
    '"device_memory": "state/8x"'

# --- names and lists ----------------------------------------------------------

bad $CONFIG "3: setups[2]: a second set-up named 'dp1'|\"name\"" "$one, {}, $one"
bad $CONFIG "3: setups[1]: 'a_b' and 'a b' have one name|'a_b' (all but" \
    '{"name": "a b"}, {"name": "a_b", "plan": "dp1"}'
bad $CONFIG "3: setups[0]: 'judge'" '{"name": "judge"}'
bad $CONFIG '3: setups[0]: |0 characters' '{"name": ""}'
bad $CONFIG '3: setups[0]: |64 characters' \
    "{\"name\": \"$(printf '%064d' 0)\"}"
bad $CONFIG '3: setups: needs 1 to|has 0' ''
bad $CONFIG '1: models: needs 1 to|has 0' "$one" "$common" ''
bad $CONFIG "1: models[1]: 'gpt-neo-tiny' is there twice" "$one" "$common" \
    "$tiny, $tiny"
bad $CONFIG '1: models[0]: ' "$one" "$common" '7'
# In the results a model is a group, beside a table and the experiment.
mkdir runs aa
cp my-model.json runs/config.json
cp my-model.json aa/m.json
cp my-model.json aa_m.json
cp -r runs config
for model in runs config; do
    bad $CONFIG "1: models[1]: '$model' is a part of every|'./$model'" \
        "$one" "$common" "$tiny, \"$model\""
done
bad $CONFIG "1: models[1]: 'aa_m.json' and 'aa/m.json' have one name|'./aa_m" \
    "$one" "$common" '"aa/m.json", "aa_m.json"'
bad $CONFIG "3: setups[1]: '_a' and '.a' have one name" \
    '{"name": ".a"}, {"name": "_a", "plan": "dp1"}'
printf '{"models": ["gpt-neo-tiny"],\n "data": "data.txt"\n "setups": []}\n' \
    >e.json
refused $BADFILE 'e.json:3:' compare e.json -o new.h5
printf '[]\n' >e.json
refused $CONFIG 'e.json' compare e.json -o new.h5

# --- what is refused does not touch the others --------------------------------

# run SETUPS: what is known of set-up dp4 without its times.
run() {
    experiment "$one, {\"plan\": \"dp4\"}, {\"plan\": \"tp3\"}$1" \
        '"steps": 1, "batch": 8, "seq": 16' >e.json
    accepted compare e.json -o new.h5
    grep -e ': sums in ' -e 'refused' "$TMPDIR/out" | head -n 3
}
run '' >alone.txt
run ', {"plan": "dp7.pp9"}, {"plan": "dp16"}, {"plan": "tp7"},
    {"plan": "dp5", "device_memory": "1MiB"}' >beside.txt
[ "$(grep sums alone.txt)" = \
    'gpt-neo-tiny: sums in 4 data and 4 tensor leaves' ] ||
    complain "leaves: $(cat alone.txt)"
[ "$(grep sums alone.txt)" = "$(grep sums beside.txt)" ] ||
    complain "refused set-ups changed leaves: $(cat beside.txt)"
grep -q 'dp7.pp9: refused' beside.txt || complain 'nothing was refused'
rm -f alone.txt beside.txt new.h5

# --- and what is right runs ---------------------------------------------------

# A file of somebody else's beside the output stays.
echo mine >new.h5.run.h5
experiment "$one, {\"device_memory\": \"state/1\"},
    {\"name\": \"fast\", \"sums\": \"fast\"}" >e.json
accepted compare e.json -o new.h5
grep -q '^1 set-up agrees with the judge bit for bit, 1 with fast sums differ' \
    "$TMPDIR/out" || complain "closing line: $(tail -n 1 "$TMPDIR/out")"
[ "$(cat new.h5.run.h5)" = mine ] || complain 'a foreign file was removed'
[ "$(echo new.h5*)" = 'new.h5 new.h5.run.h5' ] ||
    complain "left over: $(echo new.h5*)"
rm -f new.h5 new.h5.run.h5

# What "common" says of the store is for what is streamed.
experiment '{"plan": "tp2"}, {}' "$common, \"store\": \"check\",
    \"link_rate\": \"50MB/s\", \"link_latency\": \"10us\"" >e.json
accepted compare e.json -o new.h5
grep -q '^2 set-ups agree with the judge bit for bit' "$TMPDIR/out" ||
    complain "store in common: $(tail -n 1 "$TMPDIR/out")"
h5dump -a /gpt-neo-tiny/streamed/cmdline new.h5 |
    grep -q -e '--store check.*--link-rate 50MB/s.*--link-latency 10us' ||
    complain 'the streamed set-up did not get what "common" says'

# What promises no equal bits is not held to them; how far off it is, is said.
experiment '{"store": "null"}, {"name": "r", "reference_kernels": true}' >e.json
accepted compare e.json -o new.h5
grep -q '^0 set-ups.*, 1 with store null differs by.*, 1 with other kernels' \
    "$TMPDIR/out" || complain "no promise: $(tail -n 1 "$TMPDIR/out")"

# A NaN is as good as another one.
experiment '{}, {"plan": "tp2"}' '"steps": 60, "batch": 2, "seq": 8, "lr": 10,
    "min_lr": 10, "grad_clip": 0, "weight_decay": 10, "warmup": 0,
    "on_nan": "skip"' >e.json
accepted compare e.json -o new.h5
grep -q '^2 set-ups agree with the judge bit for bit' "$TMPDIR/out" ||
    complain "NaN: $(tail -n 1 "$TMPDIR/out")"
h5dump -d /gpt-neo-tiny/judge/steps/grad_norm new.h5 | grep -q nan ||
    complain 'no norm was NaN'
rm -f new.h5

# A whole number is that number, also where a double has no such.
experiment '{}, {"plan": "tp2"}' "$common, \"seed\": 9007199254740993" >e.json
accepted compare e.json -o new.h5
h5dump -a /gpt-neo-tiny/tp2/cmdline new.h5 |
    grep -q -e '--seed 9007199254740993 ' || complain 'another seed'

# Streaming needs no decision, and who makes one has made it.
experiment '{"name": "s"}, {"name": "m", "micro_batch": 1, "recompute": "full"},
    {"name": "p", "plan": "dp1", "micro_batch": 1, "recompute": "full"}' >e.json
accepted compare e.json -o new.h5
for row in 's 0' 'm 2' 'p 2'; do
    grep -q "^${row% *}  *1*  *${row#* }  *[0-9]" "$TMPDIR/out" ||
        complain "decisions, not $row: $(cat "$TMPDIR/out")"
done

# A model that no machine has the memory for does not hold up the others.
sed 's/"hidden_size": 128/"hidden_size": 65536/; s/"num_heads": 4/"num_heads": 512/' \
    my-model.json >huge.json
experiment '{"plan": "dp1"}, {"plan": "tp2"}' "$common" '"huge.json", "gpt-neo-tiny"' \
    >e.json
accepted compare e.json -o new.h5
grep -q '^tp2: refused: huge needs .*memory' "$TMPDIR/out" ||
    complain "no refusal: $(cat "$TMPDIR/out")"
grep -q '^1 set-up agrees' "$TMPDIR/out" || complain 'the other model did not run'
rm -f new.h5
missing $CONFIG 'e.json:1: models[0]: |huge needs|memory' '{"plan": "dp1"}' \
    "$common" '"huge.json"'

# A long path is a model, too; its end is its name.
deep=$(printf 'folder-%02d/' 1 2 3 4 5 6 7 8 9)
mkdir -p "$deep"
cp my-model.json "$deep/config.json"
experiment '{"plan": "dp1"}' "$common" "\"$deep\"" >e.json
accepted compare e.json -o new.h5
h5ls new.h5 | grep -q '^folder-04_folder.*_folder-09_  *Group' ||
    complain "a long path: $(h5ls new.h5)"
rm -rf new.h5 folder-01

# Who is killed is a row, and the others run.
# Of the second the link takes minutes a step: it is there to be killed.
experiment '{"plan": "dp1"}, {"name": "s", "link_rate": "100KB/s"},
    {"plan": "tp2"}' '"steps": 300, "batch": 4, "seq": 16' >e.json
"$WEFT" compare e.json -o new.h5 >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null &
comparing=$!
for ((i = 0; i < 1200; i++)); do
    sleep 0.05
    grep -q '^gpt-neo-tiny dp1: ' "$TMPDIR/out" || continue
    child=$(pgrep -f "train gpt-neo-tiny --data .*--out $PWD/new.h5.run|train gpt-neo-tiny .*--out new.h5.run" | head -n 1)
    [ -z "$child" ] || break
done
kill -KILL "$child"
wait $comparing
[ $? -eq 75 ] || complain "killed: $(cat "$TMPDIR/err")"
grep -q '^s: failed: exit code 75: .*killed by signal 9' "$TMPDIR/out" ||
    complain "killed: $(cat "$TMPDIR/out")"
grep -q '^gpt-neo-tiny tp2: loss' "$TMPDIR/out" || complain 'the others did not run'
ls new.h5?* 2>/dev/null && complain 'files are left'
rm -f new.h5

# What fails on the way leaves its reason.
experiment '{}, {"plan": "tp2"}' '"steps": 60, "batch": 2, "seq": 8, "lr": 10,
    "min_lr": 10, "grad_clip": 0, "weight_decay": 10, "warmup": 0,
    "on_nan": "stop"' >stop.json
"$WEFT" compare stop.json -o new.h5 >"$TMPDIR/out" 2>"$TMPDIR/err"
[ $? -eq $NUMERIC ] || complain "a set-up failed: $(cat "$TMPDIR/err")"
why=$(head -n 1 "$TMPDIR/err")
grep -q "'judge'.*did not run" "$TMPDIR/err" || complain 'no word of the judge'
h5dump -d /runs new.h5 | tr -d '\n' |
    grep -q -F "exit code $NUMERIC: $(echo "${why#weft: }" | cut -c 1-30)" ||
    complain "no reason is kept: $why"
rm -f new.h5

experiment "$one" "$common" '"./runs", "aa/m.json", "./aa_m.json"' >e.json
accepted compare e.json -o new.h5
h5ls new.h5 >"$TMPDIR/groups"
for group in __runs aa_m.json __aa_m.json; do
    grep -q "^$group  *Group" "$TMPDIR/groups" ||
        complain "no $group: $(cat "$TMPDIR/groups")"
done
finish
