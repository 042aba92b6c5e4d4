#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The store lies below its own mount point: opened before mounting, it is reached all the same.
# as: user
. "${0%/*}/functions.sh"
STORE=$MNT/store
expect 0 zerofs format "$STORE"
mount_volume
[ ! -e "$MNT/store" ] || fail "the mount does not hide what lies below it"
head -c 3000000 /dev/urandom >"$WORK/data"
cp "$WORK/data" "$MNT/data"
timeout 30 zerofs flush "$MNT" || fail "flush hangs or fails"
drop_pages "$MNT/data"
timeout 30 cmp "$WORK/data" "$MNT/data"
timeout 60 zerofs umount "$MNT" || fail "umount hangs or fails"
wait_pid 0
fsck_volume
zerofs get "$STORE" /data | cmp - "$WORK/data"
