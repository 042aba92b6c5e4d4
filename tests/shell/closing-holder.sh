#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A holder that is just closing is waited for, with one message.
# as: user
. "${0%/*}/functions.sh"

expect 0 zerofs format "$STORE"
SOURCE="file://$STORE?delay_ms=400"
mount_volume
head -c 2000000 /dev/urandom >"$WORK/data"
cp "$WORK/data" "$MNT/data"
if [ "$(id -u)" = 0 ]; then umount "$MNT"; else fusermount3 -u "$MNT"; fi
first=$PID
! is_gone "$first" || fail "the holder closed too soon for this test"
SOURCE=$STORE
mount_volume
is_gone "$first" || fail "mounted while the holder was still closing"
grep -q "waiting for process $first" "$LOG" || fail "no word about waiting"
[ "$(grep -c 'waiting for process' "$LOG")" = 1 ] || fail "more than one message"
cmp "$WORK/data" "$MNT/data" || fail "the data of the first mount differ"
umount_volume
fsck_volume
