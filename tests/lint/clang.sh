#!/bin/sh
# A second compiler reads all sources: every warning of clang is an error.
# Nothing is compiled to code. The words come from the Makefile.
#
#     tests/lint/clang.sh "$CPPFLAGS" "$MODE" "$WARN" FILE...
#
# omp.h is the compiler's own, and clang's is in a package apart; gcc's declares
# the same functions.
set -eu
cd "$(dirname "$0")/../.."
cppflags=$1 mode=$2 warn=$3
shift 3
if ! command -v clang >/dev/null; then
    echo "lint: FAILED: no clang to read the sources as a second compiler" \
        "(Debian's package clang)" >&2
    exit 1
fi
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
ln -s "$(gcc -print-file-name=include)/omp.h" "$own/omp.h"
# shellcheck disable=SC2086  # flags are words
clang -fsyntax-only -Werror $cppflags -idirafter "$own" $mode $warn "$@"
echo 'lint: clang ok'
