#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What this version does not do is refused as such, and programs find their way around it.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/unsupported.py" <<'END'
import errno, os, sys
from syscalls import fails, write_file
os.chdir(sys.argv[1])
write_file("f", b"data" * 100000)
fails(errno.EOPNOTSUPP, os.open, ".", os.O_TMPFILE | os.O_RDWR)
END
py "$WORK/unsupported.py" "$MNT"
cp --reflink=auto "$MNT/f" "$MNT/h"
cmp "$MNT/f" "$MNT/h"
expect 1 cp --reflink=always "$MNT/f" "$MNT/i"
umount_volume
fsck_volume
