#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A store that is older than what this machine has seen is refused; --accept-rollback opens it.
# as: user
. "${0%/*}/functions.sh"
mount_volume
echo old >"$MNT/file"
umount_volume
cp -a "$STORE" "$WORK/old"
mount_volume
echo new >"$MNT/file"
umount_volume
rm -rf "$STORE"
cp -a "$WORK/old" "$STORE"
got=0
zerofs get "$STORE" /file >"$WORK/out" 2>"$WORK/err" || got=$?
[ $got != 0 ] || fail "a rolled-back store was opened"
said 'accept-rollback'
got=0
zerofs-mount "$STORE" "$MNT" >"$WORK/out" 2>"$WORK/err" || got=$?
[ $got != 0 ] || fail "a rolled-back store was mounted"
said 'accept-rollback'
expect 0 zerofs get --accept-rollback "$STORE" /file
printed '^old$'
mount_volume --accept-rollback
[ "$(cat "$MNT/file")" = old ] || fail "other data"
echo newer >"$MNT/file"
umount_volume
# From then on it is the volume's newest place.
expect 0 zerofs get "$STORE" /file
printed '^newer$'
fsck_volume
