#!/bin/bash
# Every byte of a small checkpoint and of a small file of results, and
# thousands of scrambled ones; make check has a sample.
#
# timeout: 1800
set -u
"$BUILD/tests/fault/test_damaged_checkpoint" all &&
    "$BUILD/tests/fault/test_damaged_results" all
