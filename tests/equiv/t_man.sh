#!/bin/bash
# The manual as a page: groff has nothing to complain of, and all is on it.
#
# timeout: 300
set -u
. "$(dirname "$0")/../common/train.sh"

"$WEFT" help --man >"$work/weft.1"
check 'groff sets it' sh -c \
    "groff -Tutf8 -wall -man '$work/weft.1' >'$work/man.txt' 2>'$work/man.err'"
check 'and has nothing to say' test ! -s "$work/man.err"
sed -i 's/\x1b\[[0-9;]*m//g; s/.\x08//g' "$work/man.txt"
check_says 'it has an option' '--device-memory SIZE' "$work/man.txt"
check_says 'it has the exit codes' '79 *checksum mismatch' "$work/man.txt"
check 'but not our own option' \
    test "$(grep -c launched "$work/man.txt")" -eq 0
finish
