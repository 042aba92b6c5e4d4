#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Waiting for file locks: in order, many at once, interrupted by signals, in a circle.
# as: user
. "${0%/*}/functions.sh"
mount_volume
py "$HERE/locks.py" "$MNT" fifo many_waiters signals signal_storm deadlock ofd_circle
threads=$(ls "/proc/$PID/task" | wc -l)
[ "$threads" -lt 60 ] || fail "$threads threads after 200 waits"
umount_volume
fsck_volume
