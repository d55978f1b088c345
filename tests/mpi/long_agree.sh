#!/bin/bash
# Every allocation of a run on two ranks fails once on each of them; make check
# has a sample.
#
# timeout: 5400
set -u
$MPIRUN --timeout 5300 -np 2 "$BUILD/tests/mpi/test_agree" all
