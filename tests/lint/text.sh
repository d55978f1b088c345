#!/bin/sh
# Rules about text that neither the compiler nor clang-format checks.
set -eu
cd "$(dirname "$0")/../.."
breaches=$(mktemp)
trap 'rm -f "$breaches"' EXIT

# complain RULE: notes the lines on standard input, if any, as breaches.
complain() {
    sed "s/\$/    <- $1/" >>"$breaches"
}

sources=$(find runtime ws partition benchmarks tests -name '*.[ch]' | sort)
texts="$sources Makefile $(find runtime ws partition benchmarks tests \
    -name '*.sh' -o -name '*.md' | sort)"

# Columns are characters, not bytes.
# shellcheck disable=SC2086  # file names here have no spaces
{
    set +e # grep finds nothing where all is well
    LC_ALL=C.UTF-8 grep -nP '^.{81,}' $sources | complain 'over 80 columns'
    grep -nP '\t' $sources | complain 'a tab'
    grep -nP '[ \t]+$' $texts | complain 'space at the end of the line'
    # It makes isnan() a constant. The bracket keeps this line from finding
    # itself.
    grep -nE -e '-Ofas[t]' $texts | complain 'not allowed'
    # All memory is counted, and can be made to fail, by runtime/base/mem.h.
    grep -nE '(^|[^a-z_>.])(malloc|calloc|realloc|strdup|alloca)\(' \
        $(echo "$sources" | grep -v -e '^tests/' -e '^runtime/base/mem\.c$') |
        complain 'use mem_alloc, mem_resize, mem_strdup'
    # Behaviour comes from the command line and files alone; comm and launch
    # ask only who launched the program, and what libraries already have.
    grep -nE '(^|[^a-z_])(secure_)?getenv\(' \
        $(echo "$sources" | grep -v -e '^tests/' -e '^runtime/comm/' \
            -e '^runtime/app/launch.c$') |
        complain 'no options through the environment'
}

if [ -s "$breaches" ]; then
    cat "$breaches"
    exit 1
fi
echo 'lint: text ok'
