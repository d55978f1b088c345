#!/bin/bash
# Folders that `weft convert --to hf` writes load in transformers and give the
# loss that Weft states, for every golden model, whole and in shards. Runs where
# PYTHON (python3 unless set) has torch, transformers and h5py; t_convert.sh and
# golden/test_saved.c check the files without them.
#
# timeout: 900
set -u
. "$(dirname "$0")/../common/train.sh"

python=${PYTHON:-python3}
if ! "$python" -c 'import torch, transformers, h5py, numpy' 2>/dev/null; then
    echo "$python has no torch, transformers, h5py and numpy: set PYTHON"
    exit 77
fi
check 'losses agree' "$python" tests/golden/check_transformers.py \
    --weft "$WEFT"
finish
