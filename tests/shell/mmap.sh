#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Shared mappings: written by one process, seen by another and by read(2); stored after msync, fsync, and unmounting.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/mapped.py" <<'END'
import mmap, os, sys
from syscalls import read_file
os.chdir(sys.argv[1])
size = 700000
fd = os.open("f", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, size)
m = mmap.mmap(fd, size)
pid = os.fork()
if pid == 0:
    n = mmap.mmap(os.open("f", os.O_RDWR), size)
    for i in range(0, size, 1000):
        n[i:i + 4] = b"kid!"
    n.flush()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert all(m[i:i + 4] == b"kid!" for i in range(0, size, 1000))
m[10:16] = b"parent"
assert os.pread(fd, 6, 10) == b"parent"
os.pwrite(fd, b"written", 5000)
assert m[5000:5007] == b"written"
m[size - 3:] = b"end"
m.flush(); os.fsync(fd)
open(sys.argv[2], "wb").write(m[:])
direct = os.open("f", os.O_RDONLY | os.O_DIRECT)
b = mmap.mmap(-1, 1 << 20)
assert os.readv(direct, [b]) == size and b[:size] == m[:]
# A mapping outlives its descriptor and the name.
g = os.open("g", os.O_RDWR | os.O_CREAT); os.ftruncate(g, 8192); k = mmap.mmap(g, 8192); os.close(g); os.unlink("g")
k[4096] = 7; k.flush(); assert k[4096] == 7
END
py "$WORK/mapped.py" "$MNT" "$WORK/want"
cmp "$MNT/f" "$WORK/want"
cat >"$WORK/nosync.py" <<'END'
import mmap, os, sys
fd = os.open(sys.argv[1] + "/h", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 300000)
m = mmap.mmap(fd, 300000)
m[:] = b"h" * 300000
END
py "$WORK/nosync.py" "$MNT"
cp /bin/ls "$MNT/ls" # running a program is mapping it
"$MNT/ls" / >/dev/null
remount_volume
cmp "$MNT/f" "$WORK/want"
[ "$(tr -d h <"$MNT/h" | wc -c)" = 0 ] && [ "$(stat -c %s "$MNT/h")" = 300000 ] || fail "a mapping was not stored"
umount_volume
fsck_volume
