#!/bin/bash
# Outputs that cannot be written are refused before the first step, and what
# was there stays as it was.
# timeout: 300
. "${0%/*}/common.sh"
make_text text.txt
t=(train gpt-neo-tiny --data text.txt --seq 32 --batch 4 --steps 2)

# bad CODE WORDS FILE: for both outputs, streamed and by a plan.
bad() {
    local option
    for option in --save --out; do
        refused "$1" "$2" "${t[@]}" "$option" "$3"
        refused "$1" "$2" "${t[@]}" "$option" "$3" --plan dp2
    done
}
bad $CANTCREATE 'none/x.h5|there is no folder none|create it first' none/x.h5
bad $CANTCREATE 'text.txt/x.h5|there is no folder text.txt' text.txt/x.h5
mkdir folder
bad $CANTCREATE 'folder: is a folder' folder
bad $CANTCREATE 'folder/' folder/
mkfifo pipe
bad $CANTCREATE 'pipe: is there and is not a regular file' pipe
bad $CANTCREATE 'empty name' ''
[ -p pipe ] || complain 'the pipe was replaced'
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed
    chmod 500 closed
    bad $CANTCREATE 'closed/x.h5|Permission denied' closed/x.h5
fi

# Inputs are not outputs.
bad $USAGE 'text.txt is --data too' text.txt
bad $USAGE 'text.txt is --data too' ./text.txt
ln -s text.txt link
bad $USAGE 'link is --data too' link
refused $USAGE '--out ./a.h5 is --save too' \
    "${t[@]}" --save a.h5 --out ./a.h5

# Two runs with one output: the second is told.
exec 7>b.h5.tmp
flock -x 7
refused $LOCKED 'b.h5|another run' "${t[@]}" --save b.h5
exec 7>&-
finish
