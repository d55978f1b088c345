#!/bin/sh
# Installs what Weft needs and is missing.
#
#     tests/deps.sh           install through apt, as root or with sudo, what
#                             building and testing needs
#     tests/deps.sh --demo    the same for building and the demo
#     tests/deps.sh --lint    the same for 'make lint'
#     tests/deps.sh --fuzz    the same for 'make fuzz'
#     tests/deps.sh --check   only say what building misses; fails if anything
#     tests/deps.sh --check-unit    the same for the unit and MPI tests
#     tests/deps.sh --check-test    the same for all tests
#
# Does nothing, fast, when all is there. Where there is no apt it says what is
# missing and fails.
set -eu

mode=install
groups='build demo draw unit test'
case "${1:-}" in
'') ;;
--check) mode=check; groups=build ;;
--check-unit) mode=check; groups='build unit' ;;
--check-test) mode=check; groups='build draw unit test' ;;
--demo) groups='build demo draw' ;;
--lint) groups=lint ;;
--fuzz) groups=fuzz ;;
*)
    echo "usage: tests/deps.sh [--demo | --lint | --fuzz | --check |" \
        "--check-unit | --check-test]" >&2
    exit 64
    ;;
esac

have() { command -v "$1" >/dev/null 2>&1; }
lib() { pkg-config --exists "$1" 2>/dev/null; }
# Debian's own Python: another one on the path has other packages.
python() { /usr/bin/python3 -c "import $1" >/dev/null 2>&1; }
# A library that comes with clang.
clang_has() { [ "$(clang -print-file-name="$1" 2>/dev/null)" != "$1" ]; }
blis() {
    arch=$(gcc -print-multiarch 2>/dev/null) || return 1
    [ -e "/usr/include/$arch/blis-openmp/blis.h" ] &&
        [ -e "/usr/lib/$arch/blis-openmp/libblis.so" ]
}

# group, package, and the test that shows it is there.
table='
build gcc                   have gcc
build make                  have make
build pkg-config            have pkg-config
build openmpi-bin           have mpirun
build libopenmpi-dev        have mpicc
build libhdf5-openmpi-dev   lib hdf5-openmpi
build libblis-openmp-dev    blis
build liburing-dev          lib liburing
build libjansson-dev        lib jansson
build libxxhash-dev         lib libxxhash
build libpopt-dev           lib popt
build libpcre2-dev          lib libpcre2-8
demo  bible-kjv             have bible
draw  gnuplot-nox           have gnuplot
draw  python3-h5py          python h5py
unit  libcmocka-dev         lib cmocka
test  python3-pandas        python pandas
test  python3-tables        python tables
test  python3-xarray        python xarray
test  python3-h5netcdf      python h5netcdf
test  hdf5-tools            have h5dump
test  procps                have pgrep
test  zsh                   have zsh
test  groff-base            have groff
lint  clang-format          have clang-format
fuzz  clang                 have clang
fuzz  libomp-14-dev         clang_has libomp.so
fuzz  libclang-rt-14-dev    clang_has libclang_rt.fuzzer-x86_64.a
lint  clang                 have clang
'

missing=$(echo "$table" | while read -r group package test; do
    case " $groups " in
    *" $group "*) [ -z "$group" ] || $test || printf ' %s' "$package" ;;
    esac
done)
missing=${missing# }
[ -n "$missing" ] || exit 0

if [ "$mode" = check ]; then
    echo "weft: missing: $missing (install them, or run 'make deps')" >&2
    exit 1
fi
if ! have apt-get; then
    echo "weft: missing: $missing (Debian's names; there is no apt here:" \
        "install them by hand)" >&2
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    root='env'
elif have sudo; then
    root='sudo'
else
    echo "weft: missing: $missing (run as root: apt-get install $missing)" >&2
    exit 1
fi

echo "weft: installing: $missing"
install() {
    # shellcheck disable=SC2086  # the list is meant to be split
    $root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $missing >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The package lists may be absent or old: fetch them only if it fails so.
if ! install; then
    $root apt-get update -qq >"$log" 2>&1 || {
        cat "$log" >&2
        echo "weft: apt-get update failed" >&2
        exit 1
    }
    install || {
        cat "$log" >&2
        echo "weft: could not install: $missing" >&2
        exit 1
    }
fi
