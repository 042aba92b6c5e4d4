#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# O_APPEND by several processes: no record is lost, torn or overwritten.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/append.py" <<'END'
import os, sys
kids = []
for k in range(6):
    pid = os.fork()
    if pid == 0:
        fd = os.open(sys.argv[1] + "/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for i in range(400):
            line = b"%d %d " % (k, i)
            line += bytes([97 + k]) * (20 + (i * 37) % 300) + b"\n"
            assert os.write(fd, line) == len(line)
            if i % 100 == 0:
                os.fsync(fd)
        os._exit(0)
    kids.append(pid)
assert all(os.waitpid(p, 0)[1] == 0 for p in kids)
END
cat >"$WORK/check.py" <<'END'
import sys
seen = [0] * 6
for line in open(sys.argv[1] + "/log", "rb"):
    k, i, rest = line.split()
    k, i = int(k), int(i)
    assert i == seen[k] and rest == bytes([97 + k]) * (20 + (i * 37) % 300), (k, i, seen[k])
    seen[k] += 1
assert seen == [400] * 6, seen
END
py "$WORK/append.py" "$MNT"
py "$WORK/check.py" "$MNT"
remount_volume
py "$WORK/check.py" "$MNT"
umount_volume
fsck_volume
