#!/bin/bash
# weft doctor finds what is made wrong on purpose, says so in one line of its
# check, and ends with 71 for problems alone. It leaves nothing behind.
#
# timeout: 400
set -u
. "$(dirname "$0")/../common/train.sh"

cd "$work" || exit 70
mkdir disk
doctor=("$WEFT" doctor --size 1MiB --dir "$work/disk")
cores=$(nproc)
first=$(taskset -cp $$ | sed 's/.*: *//; s/[^0-9].*//') # of those we may use

# finds CODE VERDICT NAME PATTERN COMMAND...: the line of check NAME.
finds() {
    local code=$1 verdict=$2 name=$3 pattern=$4
    shift 4
    check_code "$code" "ends with $code: $name, $pattern" "$@"
    check_says "$name: $verdict, $pattern" \
        "^$verdict  *$name  *.*$pattern" "$work/code.out"
}

# --- as it is -----------------------------------------------------------------

# The machine may be busy or small: warnings are allowed, problems are not.
check_code 0 'a plain run' "${doctor[@]}"
for name in launcher cores threads settings binding matmul products \
    'same bits' 'matmul rate' memory limits 'huge pages' /dev/shm io_uring \
    disk mpi launch copies hdf5 numbers clock hostname user gnuplot models; do
    check "one line about $name" test 1 -eq \
        "$(grep -c -E "^(ok|warning|problem) +$name  " "$work/code.out")"
done
check_says 'it counts' '^25 checks: .* 0 problems$' "$work/code.out"
check_says 'no element differs' 'threads: 0 elements differ' "$work/code.out"
check_says 'it started a job' '^ok  *launch  *2 ranks started' "$work/code.out"
check_code 0 'as JSON' "${doctor[@]}" --json
check_says 'names' '"name": "same bits"' "$work/code.out"
check_says 'a count' '"problems": 0' "$work/code.out"
check 'nothing stays' test -z "$(ls -A disk)"

# --- made wrong ---------------------------------------------------------------

finds 0 warning settings 'OMP_WAIT_POLICY=active.*unset' \
    env OMP_WAIT_POLICY=active "${doctor[@]}"
check_says 'other settings are named' 'OMP_DYNAMIC=true' \
    <(OMP_DYNAMIC=true "${doctor[@]}")
finds 0 warning limits 'open files (-n) 100; repair: ulimit -n' \
    bash -c 'ulimit -n 100 && exec "$@"' - "${doctor[@]}"
finds 0 warning limits '(-v) .* GiB.*ulimit -v unlimited' \
    bash -c 'ulimit -v 30000000 && exec "$@"' - "${doctor[@]}"
finds 0 warning limits '(-f) 19.5 MiB.*ulimit -f unlimited' \
    bash -c 'ulimit -f 20000 && exec "$@"' - "${doctor[@]}" --size 64MiB
if not_bound; then
    finds 0 warning threads '1 started.*unset OMP_THREAD_LIMIT' \
        env OMP_THREAD_LIMIT=1 "${doctor[@]}"
    finds 0 warning cores "1 of $cores usable ($first); repair: start it" \
        taskset -c "$first" "${doctor[@]}"
    finds 0 warning cores 'told by OMP_PROC_BIND .*repair: unset OMP_PROC_BIND' \
        env OMP_PROC_BIND=true "${doctor[@]}"
fi
# Whatever the language, numbers have a point.
finds 0 ok numbers '1.5 is written 1.5 .* de_DE' \
    env LC_ALL=de_DE.UTF-8 "${doctor[@]}"

# --- launchers ----------------------------------------------------------------

mkdir bin
printf '#!/bin/sh\nexit 3\n' >bin/mpirun
chmod +x bin/mpirun
finds 71 problem launch 'no mpirun on the PATH.*openmpi-bin' \
    env PATH=/nonexistent "${doctor[@]}"
check_says 'it ends with one line' '^weft: doctor: 1 problem was found' \
    "$work/code.out"
check_says 'gnuplot is missed, too' '^warning  *gnuplot .*gnuplot-nox' \
    "$work/code.out"
finds 71 problem launch 'ended with code 3' \
    env PATH="$work/bin:/usr/bin:/bin" "${doctor[@]}"
# An mpirun of another MPI: each process is alone, and none starts more.
cat >bin/mpirun <<'END'
#!/bin/sh
while [ "$1" != -np ]; do shift; done
shift 2
exec "$@"
END
finds 71 problem launch 'ended with code 75' \
    env PATH="$work/bin:/usr/bin:/bin" "${doctor[@]}"
check_says 'it says why' 'mpirun is of another MPI' "$work/code.out"
finds 71 problem launcher 'srun started 4 tasks.*--mpi=pmix' \
    env SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0 "${doctor[@]}"
check_says 'MPI says why' '^problem  *mpi  *MPI does not start' "$work/code.out"
check_code 0 'other tasks of srun are silent' \
    env SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=2 "${doctor[@]}"
check 'not a word' test ! -s "$work/code.out"
finds 0 ok launcher 'in a job of Slurm' env SLURM_JOB_ID=7 "${doctor[@]}"

# --- ranks --------------------------------------------------------------------

# At most nine: containers have little memory for messages.
ranks=$((cores + 1)) verdict=warning shared="they share $cores core"
online=$(getconf _NPROCESSORS_ONLN)
if [ "$cores" -lt "$online" ]; then
    ranks=2 shared="bound to $cores of $online cores"
elif [ "$ranks" -gt 9 ]; then
    ranks=2 verdict=ok shared=
fi
finds 0 $verdict binding "$ranks ranks on 1 node.*$shared" \
    $MPIRUN -np "$ranks" "${doctor[@]}"
check_says 'messages are measured' '^ok  *messages  *rank 0 to 1 on the same' \
    "$work/code.out"
check 'one rank speaks' test 1 -eq "$(grep -c 'checks: ' "$work/code.out")"
if not_bound; then
    finds 0 warning binding "bound to 1 of $cores cores; repair: add --bind" \
        mpirun -np 1 --bind-to core "${doctor[@]}"
    finds 0 ok binding '2 ranks on 1 node' \
        $MPIRUN -np 2 "${doctor[@]}"
fi
check_code 71 'ranks end with the code of the first' $MPIRUN -np 2 \
    -x LC_ALL=C -x PATH "${doctor[@]}" --dir /proc

# --- a folder that is none, and none to write to ------------------------------

check_code 66 'no such folder' "${doctor[@]}" --dir "$work/none"
check_says 'one line' '^weft: doctor: --dir .*/none: no such folder' \
    "$work/code.out"
finds 71 problem disk '/proc: no file can be made there.*give another --dir' \
    "$WEFT" doctor --dir /proc
check_says 'no io_uring without a file' '^warning  *io_uring  *not tried' \
    "$work/code.out"
if [ "$(id -u)" -eq 0 ]; then # root may write anywhere
    open=$(mktemp -d /tmp/weft-doctor-XXXXXX)
    trap 'rm -rf "$open"' EXIT
    cp "$WEFT" "$open/weft"
    chmod 755 "$open" "$open/weft"
    finds 71 problem disk 'Permission denied; repair: .*this user may write to' \
        env TMPDIR=/tmp setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$open/weft" doctor --dir "$open"
fi
finish
