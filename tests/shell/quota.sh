#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# --max-size: df shows it, writers get ENOSPC, nothing breaks, and removing makes room again.
# as: user
. "${0%/*}/functions.sh"
mount_volume --max-size 8MiB
[ "$(df -B1 --output=size "$MNT" | tail -n 1 | tr -d ' ')" = 8388608 ] || fail "df shows another size: $(df -B1 "$MNT")"
head -c 6000000 /dev/urandom >"$MNT/first" || fail "no room for 6 of 8 MiB"
expect 1 sh -c "head -c 6000000 /dev/urandom >'$MNT/second'"
said 'No space left on device'
[ "$(stat -c %s "$MNT/second")" -lt 3000000 ] || fail "the quota was exceeded"
used=$(status_of files used_bytes)
[ "$used" -le 8388608 ] || fail "$used bytes are in use"
expect 1 fallocate -l 50M "$MNT/third"
rm "$MNT/first"
head -c 5000000 /dev/urandom >"$WORK/new"
cp "$WORK/new" "$MNT/new" || fail "no room after a removal"
remount_volume --max-size 8MiB
cmp "$WORK/new" "$MNT/new"
# Overwriting needs no more room for ever.
for i in 1 2 3 4; do
	dd if=/dev/urandom of="$MNT/new" bs=100000 count=20 conv=notrunc 2>/dev/null || fail "overwriting failed in round $i"
done
umount_volume
fsck_volume
