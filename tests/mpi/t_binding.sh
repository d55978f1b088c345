#!/bin/bash
# A rank that mpirun bound to fewer cores than there are, and than it could
# use, says so; a rank that is not bound does not.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

data=$work/text.txt
make_text "$data"
run=("$WEFT" train gpt-neo-tiny --data "$data" --steps 1 --batch 2 --seq 32)

if ! not_bound; then
    echo "one core, or some of many: nothing can be bound by mpirun alone"
    exit 77
fi

# bound WHAT WARNS COMMAND...
bound() {
    local what=$1 warns=$2
    shift 2
    check "$what" "$@"
    cp "$work/check.out" "$work/bound.out"
    check "$what: $warns warnings" test "$warns" -eq \
        "$(grep -c "warning: this process is bound to 1 of $(nproc) cores; add --bind-to none" "$work/bound.out")"
}

bound 'one rank on one core' 1 mpirun -np 1 --bind-to core "${run[@]}"
bound 'two threads on one core' 1 \
    mpirun -np 1 --bind-to core "${run[@]}" --threads 2
bound 'one thread on one core, as asked for' 0 \
    mpirun -np 1 --bind-to core "${run[@]}" --threads 1
bound 'not bound' 0 mpirun -np 1 --bind-to none "${run[@]}"
bound 'no mpirun' 0 "${run[@]}"

finish
