# Shell functions for tests that look into HDF5 results; a test sources this
# file behind train.sh.
#
# shellcheck shell=bash

# A Python that has h5py: Debian's own, where another one comes first.
python=python3
"$python" -c 'import h5py' 2>/dev/null || python=/usr/bin/python3

# holds FILE EXPRESSION: of f, the open file, and config, its /config; says what
# it is where it is not True.
holds() {
    local got
    got=$("$python" -c "
import h5py, json, sys
f = h5py.File(sys.argv[1])
config = json.loads(f['config'][()]) if 'config' in f else {}
print($2)" "$1") && [ "$got" = True ] || {
        echo "$got"
        return 1
    }
}
