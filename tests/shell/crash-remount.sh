#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SIGKILL: what was synced is there, the volume mounts again at once and is without damage. Also many times in a row.
# as: user
. "${0%/*}/functions.sh"

mount_volume
head -c 5000000 /dev/urandom >"$WORK/big"
mkdir -p "$MNT/d/e"
cp "$WORK/big" "$MNT/d/big"
echo kept >"$MNT/d/e/kept"
echo gone >"$MNT/removed"
zerofs flush "$MNT"
rm "$MNT/removed"
mv "$MNT/d/e/kept" "$MNT/d/moved"
zerofs flush "$MNT"
echo 'perhaps' >"$MNT/unsynced"
crash_volume
start=$(date +%s)
mount_volume
[ $(($(date +%s) - start)) -lt 10 ] || fail "the new mount waited for a process that is gone"
cmp "$WORK/big" "$MNT/d/big"
[ "$(cat "$MNT/d/moved")" = kept ] || fail "a renamed file differs"
[ ! -e "$MNT/d/e/kept" ] && [ ! -e "$MNT/removed" ] || fail "a removed name came back"
fsck_volume
for round in 1 2 3 4 5; do
	echo "$round" >"$MNT/round"
	sync "$MNT/round" # fsync of this file
	crash_volume
	mount_volume
	[ "$(cat "$MNT/round")" = $round ] || fail "round $round was lost"
done
cmp "$WORK/big" "$MNT/d/big"
umount_volume
fsck_volume
