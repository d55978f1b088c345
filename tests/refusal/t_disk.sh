#!/bin/bash
# A full disk and a read-only one, made of memory in a mount namespace of our
# own. One line, exit code, no crash; an older checkpoint stays.
# timeout: 300
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

# room KILOBYTES: empties the disk but for c.h5 and old.h5, then leaves so
# much.
room() {
    local left
    rm -f "$disk/fill" "$disk/r.h5" "$disk/old.h5.part"
    left=$(($(stat -f -c '%a * %S / 1024' "$disk") - $1))
    head -c $((left * 1024)) /dev/zero >"$disk/fill"
}

mount -t tmpfs -o size=16m tmpfs "$disk" || exit 71

# Checkpoints: the old one stays, no left-over.
accepted "${t[@]}" --steps 1 --save "$disk/c.h5" -q
before=$(cksum <"$disk/c.h5")
for free in 0 100 3000; do
    room $free
    refused $IO "$disk/c.h5" "${t[@]}" --steps 2 --save "$disk/c.h5"
    ! grep -q '^step' "$TMPDIR/out" || complain 'trained, then found no room'
    [ "$before" = "$(cksum <"$disk/c.h5")" ] || complain 'c.h5 has changed'
    [ ! -e "$disk/c.h5.tmp" ] || complain 'c.h5.tmp is left'
done
refused $IO "$disk/c.h5|are free there" \
    "${t[@]}" --steps 2 --save "$disk/c.h5" --plan dp1
# A limit of the size of files is an error like a full disk, not a signal.
rm -f "$disk/fill"
(
    ulimit -f 100
    refused $IO "$disk/c.h5|ulimit -f" "${t[@]}" --steps 2 --save "$disk/c.h5"
    refused $IO "$disk/new.h5|cannot be written" \
        convert "$golden/gptj_full_rotary" -o "$disk/new.h5"
    finish
) >"$TMPDIR/limited" || complain "$(cat "$TMPDIR/limited")"
tried=$((tried + 2))
rm "$disk/c.h5"

# Results: full at once, or after some steps.
room 0
refused $IO "$disk/r.h5|No space left" \
    "${t[@]}" --steps 3 --out "$disk/r.h5" -q
for free in 12 264 300; do
    room $free
    refused $IO "$disk/r.h5|full" "${t[@]}" --steps 3 --out "$disk/r.h5" -q
done
rm -f "$disk/fill"

# An older file of the name stays, wherever the new one ends: before it has
# a layout, after that, at its end.
accepted "${t[@]}" --steps 2 --out "$disk/old.h5" -q
before=$(cksum <"$disk/old.h5")
for free in 0 12 264 270 290 320; do
    room $free
    snapshot >"$TMPDIR/before"
    timeout -k 2 60 "$WEFT" "${t[@]}" --steps 3 --out "$disk/old.h5" -q \
        >"$TMPDIR/out" 2>"$TMPDIR/err" </dev/null
    code=$?
    rm -f "$disk/fill"
    case $code in
    $IO | $CANTCREATE)
        judge $code "$disk/old.h5" "old.h5, $free kB free" $code
        [ "$before" = "$(cksum <"$disk/old.h5")" ] ||
            complain "$free kB free: old.h5 has changed"
        [ ! -e "$disk/old.h5.part" ] ||
            accepted show "$disk/old.h5.part" ;;
    *) complain "$free kB free: exit code $code" ;;
    esac
    left=$(find "$disk" -name '*.tmp' -o -name '*.lock')
    [ -z "$left" ] || complain "$free kB free: $left is left"
done
room 700
accepted "${t[@]}" --steps 3 --out "$disk/old.h5" -q
[ "$before" != "$(cksum <"$disk/old.h5")" ] || complain 'old.h5 is not replaced'
[ ! -e "$disk/old.h5.part" ] || complain 'old.h5.part is left'
rm -f "$disk/fill" "$disk/old.h5"

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
