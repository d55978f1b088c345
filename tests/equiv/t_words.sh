#!/bin/bash
# What Weft says besides results: once, by the right name, with a repair that
# is true, and not under --quiet.
#
# timeout: 400
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"
root=$PWD
cd "$work" || exit 70
short=(--data "$data" --seq 16 --batch 4 --steps 1)
cores=$(nproc)
first=$(taskset -cp $$ | sed 's/.*: *//; s/[^0-9].*//') # of those we may use

# says TIMES PATTERN COMMAND...: the command ends well and says so many lines.
says() {
    local times=$1 pattern=$2
    shift 2
    check_code 0 "$* ends well" "$@"
    check "$times times '$pattern'" \
        test "$times" -eq "$(grep -c -e "$pattern" code.out)"
}

# --- dropout ------------------------------------------------------------------

config='"resid_pdrop": 0.25, "embd_pdrop": 0, "attn_pdrop": 0'
echo "{\"model_type\": \"gpt2\", \"vocab_size\": 256, \"n_positions\": 64,
    \"n_embd\": 32, \"n_layer\": 2, \"n_head\": 4, $config}" >own.json
note='^own.json: resid_pdrop 0.25: ignored, Weft trains without dropout$'
says 1 "$note" "$WEFT" train own.json "${short[@]}" --save own.h5
says 1 "$note" "$WEFT" train own.json "${short[@]}" --plan dp2
says 0 dropout "$WEFT" train own.json "${short[@]}" -q
says 0 pdrop "$WEFT" show own.json
says 0 pdrop "$WEFT" convert own.h5 --to hf -o hf
says 0 pdrop "$WEFT" sample own.h5 --tokens 1
check 'a named model asks for dropout' grep -q '_pdrop": 0.1' \
    "$root/configs/models/gpt2.json"
says 0 pdrop "$WEFT" show gpt2

# The shelf beside the program, from another folder: no '..' in its path.
mkdir -p tree/build tree/configs/models
cp "$WEFT" tree/build/weft
cp own.json tree/configs/models/broken.json
sed -i 's/"n_head": 4/"n_head": 5/' tree/configs/models/broken.json
check_code 78 'a broken model of the shelf' tree/build/weft show broken
check_says 'its path' "^weft: $(realpath tree)/configs/models/broken.json: " \
    code.out

# --- what binds ---------------------------------------------------------------

if not_bound; then
    bound=("$WEFT" train own.json "${short[@]}" -q)
    says 1 "bound to 1 of $cores cores; start it without taskset" \
        taskset -c "$first" "${bound[@]}"
    says 1 "bound to 1 of $cores cores; start it without taskset" \
        taskset -c "$first" "${bound[@]}" --plan dp2
    says 1 "bound to 1 of $cores cores; unset OMP_PROC_BIND" \
        env OMP_PROC_BIND=true "${bound[@]}"
    says 0 'bound to' env OMP_PROC_BIND=false "${bound[@]}"
fi

# --- srun without PMIx ----------------------------------------------------------

slurm=(env SLURM_JOB_ID=5 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=4
    SLURM_PROCID=2)
for plan in "--plan dp4" "--plan dp1" ""; do
    # shellcheck disable=SC2086  # words
    check_code 78 "srun starts four, each alone: $plan" \
        "${slurm[@]}" "$WEFT" train own.json "${short[@]}" $plan --save no.h5
    check_says 'with the repair' '^weft: srun started 4 .*--mpi=pmix' code.out
    check 'one line' test "$(wc -l <code.out)" -eq 1
done
check 'nothing was trained' test ! -e no.h5

# --- a tokenizer that does more than tokens ---------------------------------------

tok=$root/tests/golden/tokenizer/gpt2.json
says 0 'left out' "$WEFT" tokenize "$data" -o plain.bin --tokenizer "$tok"
more='"processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
    {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {}}]'
cut='"direction": "Right", "max_length": 8, "strategy": "LongestFirst",
    "stride": 0'
sed "s/\"truncation\": null/\"truncation\": {${cut//$'\n'/ }}/
    s/\"unk_token\": null/\"unk_token\": \"<|endoftext|>\"/
    s/\"post_processor\": null/\"post_processor\": {\"type\": \"Sequence\", ${more//$'\n'/ }}/" "$tok" >more.json
left='^more.json: left out: truncation, the tokens that post_processor adds; '
says 1 "$left" "$WEFT" tokenize "$data" -o more.bin --tokenizer more.json
check 'the ids are those of the text' cmp plain.bin more.bin
sed 's/"post_processor": null/"post_processor": {"type": "ByteLevel"}/' \
    "$tok" >level.json
says 0 'left out' "$WEFT" tokenize "$data" -o level.bin --tokenizer level.json

# --- a rank that is killed ----------------------------------------------------------

long=(train own.json --data "$data" --seq 16 --batch 4 --steps 1000000
    --plan dp2 --save "$work/killed.h5")
"$WEFT" "${long[@]}" >killed.log 2>&1 &
pid=$!
ranks() {
    pgrep -f -- "^[^ ]*build/weft train .*$work/killed.h5 --launched-at"
}
check 'two steps' await 60 grep -q '^step  *2/' killed.log
victim=$(for p in $(ranks); do
    tr '\0' '\n' <"/proc/$p/environ" | grep -q '^OMPI_COMM_WORLD_RANK=1$' &&
        echo "$p"
done)
check 'rank 1 is found' kill -KILL "$victim"
wait "$pid"
code=$?
check "killed: exit code $code is 75" test "$code" -eq 75
check_says 'rank and signal' \
    '^weft: rank 1 on .* was ended by signal 9 (Killed); ' killed.log
check 'one line' test "$(grep -c '^weft: ' killed.log)" -eq 1
no_ranks() {
    ! ranks
}
check 'nothing is left running' await 30 no_ranks

# --- a signal in a long step ----------------------------------------------------------

answer='^weft: stopping after this step, and saving; .* once more ends it'
# answers NAME TIMES OPTION...: says it at once, long before the step ends.
answers() {
    local name=$1 times=$2
    shift 2
    set -m
    "$WEFT" train gpt-neo-tiny --data "$data" --batch 64 --seq 256 \
        --steps 1000 --reference-kernels --threads 1 --save "$name.h5" "$@" \
        >"$name.log" 2>&1 &
    pid=$!
    set +m
    check "$name: begins" await 60 catches INT "$pid"
    [ "$times" -eq 0 ] ||
        check "$name: is at work" await 60 grep -q '^device memory' "$name.log"
    kill -INT "$pid"
    check "$name: it is taken" await 60 taken "$pid"
    [ "$times" -eq 0 ] ||
        check "$name: an answer" await 60 grep -q -e "$answer" "$name.log"
    sleep 0.5
    check "$name: it was heard" \
        test "$times" -eq "$(grep -c -e "$answer" "$name.log")"
    check "$name: the step goes on" kill -0 "$pid"
    kill -INT "$pid"
    wait "$pid"
    check "$name: once more" test $? -eq 130
}
answers one 1
answers job 1 --plan dp2
answers quiet 0 -q
check 'no word under -q' test ! -s quiet.log
finish
