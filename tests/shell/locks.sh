#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# File locks: POSIX ranges, open file descriptions, BSD locks; what releases them, with the processes that held them killed.
# as: user
. "${0%/*}/functions.sh"
mount_volume
py "$HERE/locks.py" "$MNT" close_read_only close_any fork_inherits_nothing killed_holder exec_keeps ranges ten_thousand \
	ofd bsd unlinked directory
# A mount that only reads has them too.
remount_volume -o ro
py -c '
import fcntl, os, sys
a, b = (os.open(sys.argv[1] + "/f", os.O_RDONLY) for _ in range(2))
fcntl.flock(a, fcntl.LOCK_EX)
fcntl.lockf(b, fcntl.LOCK_SH)
try:
    fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB)
    sys.exit("two exclusive locks")
except BlockingIOError:
    pass' "$MNT"
umount_volume
fsck_volume
