#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The daemon is killed: its mount answers ENOTCONN; mounting over it says what to do, zerofs umount does it, and the next mount
# has what was durable.
# as: user root
. "${0%/*}/functions.sh"
mount_volume
echo durable >"$MNT/file"
zerofs flush "$MNT"
exec 9<"$MNT/file" # an open file in a process that lives on
kill -KILL "$PID"
wait "$PID" 2>/dev/null || true
! cat "$MNT/file" 2>/dev/null || fail "a dead mount answers"
expect 1 zerofs-mount "$STORE" "$MNT"
said "an earlier mount has died; .*zerofs umount $MNT"
[ "$(wc -l <"$WORK/err")" = 1 ] || fail "more than one line: $(cat "$WORK/err")"
expect 1 zerofs status "$MNT"
said 'no process'
expect 1 zerofs flush "$MNT"
expect 0 zerofs umount "$MNT"
! is_mounted "$MNT" || fail "still mounted"
exec 9<&-
expect 0 zerofs-mount "$STORE" "$MNT"
[ "$(cat "$MNT/file")" = durable ] || fail "a durable file was lost"
expect 0 zerofs umount "$MNT"
fsck_volume
