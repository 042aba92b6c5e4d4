#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What this version does not do is refused as such, and programs find their way around it.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/unsupported.py" <<'END'
import errno, os, sys
from syscalls import fails, read_file, write_file
os.chdir(sys.argv[1])
write_file("f", b"data" * 100000)
fails(errno.EOPNOTSUPP, os.open, ".", os.O_TMPFILE | os.O_RDWR)
a, b = os.open("f", os.O_RDONLY), os.open("g", os.O_WRONLY | os.O_CREAT)
n = 0
while n < 400000: # the kernel copies by itself
    n += os.copy_file_range(a, b, 400000 - n)
assert read_file("g") == b"data" * 100000
END
py "$WORK/unsupported.py" "$MNT"
cp --reflink=auto "$MNT/f" "$MNT/h"
cmp "$MNT/f" "$MNT/h"
expect 1 cp --reflink=always "$MNT/f" "$MNT/i"
umount_volume
fsck_volume
