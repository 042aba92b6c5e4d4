#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# zerofs-mount in the background: it returns when the mount works, its status says whether; status, flush, umount; signals.
# as: user root
. "${0%/*}/functions.sh"
requires_fuse

daemon_pid()
{
	zerofs status --json "$MNT" | sed 's/.*"pid": *\([0-9]*\).*/\1/'
}

expect 0 zerofs-mount --create "$STORE" "$MNT"
is_mounted "$MNT" || fail "it returned before the mount worked"
[ ! -s "$WORK/err" ] || fail "it printed $(cat "$WORK/err")"
grep " $MNT " /proc/self/mountinfo | grep -q ' fuse.zerofs ' || fail "the type is not fuse.zerofs"
grep " $MNT " /proc/self/mountinfo | grep -q " file://$STORE " || fail "the source is not the address"
if [ "$(id -u)" != 0 ]; then
	grep " $MNT " /proc/self/mountinfo | grep -q 'nosuid,nodev' || fail "suid or devices are on"
fi
[ "$(stat -c '%a %u %g' "$MNT")" = "755 $(id -u) $(id -g)" ] || fail "the root directory is $(stat -c '%a %u %g' "$MNT")"
echo data >"$MNT/file"
expect 0 zerofs status "$MNT"
printed '^state  *ok, writer'
expect 0 zerofs status "$STORE"
expect 0 zerofs flush "$MNT"
[ "$(status_of files dirty_bytes)" = 0 ] || fail "something is dirty after a flush"
expect 0 df "$MNT"

# A second signal is not needed; the store has everything when the process is gone.
pid=$(daemon_pid)
echo more >"$MNT/other"
kill -TERM "$pid"
wait_until 30 is_gone "$pid" || fail "SIGTERM did not end it"
! is_mounted "$MNT" || fail "still mounted after SIGTERM"
[ "$(zerofs get "$STORE" /other)" = more ] || fail "SIGTERM lost a file"

expect 1 zerofs status "$STORE"
said 'no process'
expect 1 zerofs flush "$STORE"
expect 1 zerofs umount "$MNT"
said 'not the mount point'
expect 1 zerofs-mount "$WORK/nothing" "$MNT"

expect 0 zerofs-mount "$STORE" "$MNT"
pid=$(daemon_pid)
expect 0 zerofs umount "$MNT"
is_gone "$pid" || fail "umount returned before the process had ended"

# The old ways.
expect 0 zerofs-mount "$STORE" "$MNT"
pid=$(daemon_pid)
echo last >"$MNT/third"
if [ "$(id -u)" = 0 ]; then umount "$MNT"; else fusermount3 -u "$MNT"; fi
wait_until 30 is_gone "$pid" || fail "the process outlived its mount"
[ "$(zerofs get "$STORE" /third)" = last ] || fail "unmounting lost a file"
