#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Who finds the volume in use says by whom and since when, within two seconds, and leaves no trace in the store.
# as: user
. "${0%/*}/functions.sh"

mount_volume
echo data >"$MNT/file"
zerofs flush "$MNT"
mkdir "$WORK/second"

objects()
{
	find "$STORE" -type f ! -name '*.alive' | sort
}

objects >"$WORK/before"
for program in zerofs-mount zerofs; do
	start=$(date +%s%N)
	if [ $program = zerofs ]; then
		expect 1 zerofs put "$STORE" /etc/hostname /x
	else
		expect 1 zerofs-mount "$STORE" "$WORK/second"
	fi
	took=$((($(date +%s%N) - start) / 1000000))
	[ $took -lt 2000 ] || fail "$program took $took ms to say so"
	said "in use by process $PID on $(hostname)"
	said "since 20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
done
! is_mounted "$WORK/second" || fail "it is mounted twice"
objects | cmp - "$WORK/before" || fail "the second one left a trace in the store"

# Reading beside it works.
expect 0 zerofs ls "$STORE"
printed '^file$'
umount_volume
expect 0 zerofs put "$STORE" /etc/hostname /x
