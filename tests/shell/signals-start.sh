#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A signal, or the death of the parent, at any time while a mount is made: no dead mount stays, and the next one works.
# as: user root
. "${0%/*}/functions.sh"
expect 0 zerofs format "$STORE"

# While it starts: whenever the signal comes, it either works and ends well or does not work, and nothing is left behind.
for ms in 1 5 10 20 40 60 80 110; do
	zerofs-mount -f "$STORE" "$MNT" >>"$LOG" 2>&1 </dev/null &
	PID=$!
	sleep "0.$(printf '%03d' "$ms")"
	kill -TERM "$PID" 2>/dev/null || true
	wait_until 20 is_gone "$PID" || fail "a signal after $ms ms did not end it"
	! is_mounted "$MNT" || fail "a signal after $ms ms left a mount"
	ended=0
	wait "$PID" || ended=$?
	case $ended in
	0 | 1 | 143) ;; # 143: before it had said what it does with signals
	*) fail "a signal after $ms ms ended it with $ended" ;;
	esac
done

# The same in the background: the parent is killed while the daemon starts.
SOURCE="file://$STORE?delay_ms=20"
for ms in 20 200 500; do
	zerofs-mount "$SOURCE" "$MNT" >>"$LOG" 2>&1 </dev/null &
	PID=$!
	sleep "0.$(printf '%03d' "$ms")"
	if kill -KILL "$PID" 2>/dev/null && ! wait "$PID"; then
		sleep 1
		! is_mounted "$MNT" || fail "a daemon whose parent was killed after $ms ms goes on"
	else
		zerofs umount "$MNT"
	fi
done

mount_volume
umount_volume
fsck_volume
