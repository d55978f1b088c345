#!/bin/bash
# A full disk and a read-only one, made of memory in a mount namespace of our
# own. One line, exit code, no crash; an older checkpoint stays.
# timeout: 60
if [ "${1:-}" != inside ]; then
    mkdir -p "$TMPDIR/disk"
    if ! unshare -rm mount -t tmpfs tmpfs "$TMPDIR/disk" 2>/dev/null; then
        echo 'cannot mount a tmpfs in a namespace of our own: not tested'
        exit 77
    fi
    exec unshare -rm "$0" inside
fi
. "${0%/*}/common.sh"
make_text text.txt
disk=$TMPDIR/disk
t=(train gpt-neo-tiny --data text.txt --seq 16 --batch 1 --data-leaves 1)

# room KILOBYTES: empties the disk but for c.h5, then leaves so much.
room() {
    local left
    rm -f "$disk/fill" "$disk/r.h5"
    left=$(($(stat -f -c '%a * %S / 1024' "$disk") - $1))
    head -c $((left * 1024)) /dev/zero >"$disk/fill"
}

mount -t tmpfs -o size=16m tmpfs "$disk" || exit 71

# Checkpoints: the old one stays, no left-over.
accepted "${t[@]}" --steps 1 --save "$disk/c.h5" -q
before=$(cksum <"$disk/c.h5")
code=$CANTCREATE # not a byte: it cannot even be made
for free in 0 100 3000; do
    room $free
    refused $code "$disk/c.h5" "${t[@]}" --steps 2 --save "$disk/c.h5" -q
    code=$IO
    [ "$before" = "$(cksum <"$disk/c.h5")" ] || complain 'c.h5 has changed'
    [ ! -e "$disk/c.h5.tmp" ] || complain 'c.h5.tmp is left'
done
rm "$disk/c.h5"

# Results: full at once, or after some steps.
room 0
refused $CANTCREATE "$disk/r.h5|No space left" \
    "${t[@]}" --steps 3 --out "$disk/r.h5" -q
for free in 12 264 300; do
    room $free
    refused $IO "$disk/r.h5|full" "${t[@]}" --steps 3 --out "$disk/r.h5" -q
done
room 600
accepted "${t[@]}" --steps 3 --out "$disk/r.h5" -q
rm -f "$disk/fill"

room 0
refused $CANTCREATE "$disk/g.h5|No space left" convert "$golden/gptj_full_rotary" -o "$disk/g.h5"
rm -f "$disk/fill"

# Read-only: said before anything runs.
mount -o remount,ro "$disk" || exit 71
for option in --save --out; do
    refused $CANTCREATE "$disk/x.h5|Read-only" "${t[@]}" $option "$disk/x.h5"
done
finish
