#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# zerofs umount returns when everything is stored: a copy of the store taken then has all of it. Also on a slow store.
# as: user
. "${0%/*}/functions.sh"

expect 0 zerofs format "$STORE"
SOURCE="file://$STORE?delay_ms=300"
mount_volume
mkdir "$MNT/dir"
head -c 9000000 /dev/urandom >"$WORK/big"
cp "$WORK/big" "$MNT/dir/big"
for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"$MNT/dir/$i"; done
zerofs umount "$MNT" || fail "umount failed"
is_gone "$PID" || fail "umount returned before the process had ended"
cp -a "$STORE" "$WORK/copy"
wait_pid 0
rm -rf "$STORE"
mv "$WORK/copy" "$STORE"
SOURCE=$STORE
mount_volume
cmp "$WORK/big" "$MNT/dir/big"
for i in 1 2 3 4 5 6 7 8 9; do [ "$(cat "$MNT/dir/$i")" = $i ] || fail "file $i differs"; done
umount_volume
fsck_volume
