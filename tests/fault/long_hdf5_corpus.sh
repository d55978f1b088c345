#!/bin/bash
# The files that the HDF Group tests its own tools with, damaged ones of its CVE
# list among them: every command that reads HDF5 refuses each in one line that
# names the file, and none ends by a signal or hangs.
#
# They are those of Debian's source package hdf5, or of the folder HDF5_CORPUS,
# searched for what begins as HDF5 files do; also for a later release's source,
# or a collection of findings of fuzzers.
#
# timeout: 1200
set -u
. "$(dirname "$0")/../common/train.sh"

# The lists of this machine's own archives, with sources, away from its own.
apt_get() {
    apt-get -qq -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" \
        -o Dir::Etc::sourcelist="$work/sources.list" \
        -o Dir::Etc::sourceparts="$work/sources" -o APT::Sandbox::User= "$@"
}

fetch() {
    mkdir -p "$work/lists/partial" "$work/cache" "$work/sources" "$1"
    sed 's/^deb /deb-src /' /etc/apt/sources.list >"$work/sources.list"
    sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources \
        >"$work/sources/debian.sources"
    apt_get update && cd "$1" && apt_get source --download-only hdf5 &&
        tar xzf hdf5_*.orig.tar.gz
} 2>/dev/null

corpus=${HDF5_CORPUS:-$work/corpus}
if [ -z "${HDF5_CORPUS:-}" ] && ! (fetch "$corpus"); then
    echo 'no source package hdf5 in reach: set HDF5_CORPUS to a folder'
    exit 77
fi

# refuses FILE COMMAND...: ends with the code for a bad file and one line.
refuses() {
    local file=$1
    shift
    timeout -s KILL 10 "$WEFT" "$@" >/dev/null 2>"$work/said"
    [ $? = 65 ] && [ "$(wc -l <"$work/said")" = 1 ] &&
        grep -qF "$file" "$work/said"
}

signature=$'\x89HDF'
while IFS= read -r -d '' file; do
    [ "$(head -c 4 "$file" | tr -d '\0')" = "$signature" ] || continue
    name=${file#"$corpus"/}
    check "show $name" refuses "$file" show "$file"
    check "report $name" refuses "$file" report "$file" -o "$work/o.html"
    check "sample $name" refuses "$file" sample "$file" --prompt a
    check "convert $name" refuses "$file" convert "$file" --to hf -o "$work/hf"
done < <(find "$corpus" -type f -print0)
[ ! -e "$work/o.html" ] && [ ! -e "$work/hf" ] || fail 'something was written'
finish
