#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# fallocate(2): allocate, keep size, punch, zero range; every other combination is refused, as ext4 does, and collapse and
# insert, which do not pass FUSE kernels.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/fallocate.py" <<'END'
import errno, os, sys
from syscalls import (FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO, drop_pages, fails,
                      fallocate, read_file)
os.chdir(sys.argv[1])
M = 1 << 20
if sys.argv[2] == "make":
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    fallocate(fd, 0, 0, 2 * M)
    assert os.fstat(fd).st_size == 2 * M and os.fstat(fd).st_blocks * 512 >= 2 * M
    fallocate(fd, FALLOC_KEEP_SIZE, 2 * M, M)
    assert os.fstat(fd).st_size == 2 * M
    os.pwrite(fd, b"x" * 2 * M, 0)
    fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 1000, 500000)
    assert os.fstat(fd).st_size == 2 * M
    fallocate(fd, FALLOC_ZERO, M, 10)
    fallocate(fd, FALLOC_ZERO, 2 * M - 5, 10)
    assert os.fstat(fd).st_size == 2 * M + 5
    fallocate(fd, FALLOC_ZERO | FALLOC_KEEP_SIZE, 2 * M, M)
    assert os.fstat(fd).st_size == 2 * M + 5
    fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 10 * M, M)
    good = (0, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, FALLOC_ZERO, FALLOC_ZERO | FALLOC_KEEP_SIZE)
    for mode in range(256):
        if mode not in good:
            fails(errno.EOPNOTSUPP, fallocate, fd, mode, 0, 4096)
    for mode in good:
        fails(errno.EINVAL, fallocate, fd, mode, 0, 0)
        fails(errno.EINVAL, fallocate, fd, mode, 0, -1)
        fails(errno.EINVAL, fallocate, fd, mode, -1, 1)
        fails(errno.EFBIG, fallocate, fd, mode, 2**63 - 1, 1)
        fails(errno.EFBIG, fallocate, fd, mode, 2**62, 2**62)
        fails(errno.EBADF, fallocate, os.open("f", os.O_RDONLY), mode, 0, 10)
    fallocate(os.open("f", os.O_WRONLY | os.O_APPEND), 0, 0, 10)
    os.close(fd)
    # Allocating over data changes nothing.
    fd = os.open("g", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"precious" * 1000)
    fallocate(fd, 0, 0, 100000)
    os.close(fd)
    fd = os.open("whole", os.O_RDWR | os.O_CREAT)
    os.write(fd, os.urandom(2 * M)); os.fsync(fd)
    fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 2 * M); os.close(fd)
for name in ("f", "g", "whole"):
    drop_pages(name)
want = bytearray(b"x" * 2 * M + bytes(5))
want[1000:501000] = bytes(500000); want[M:M + 10] = bytes(10); want[2 * M - 5:] = bytes(10)
assert read_file("f") == bytes(want)
assert read_file("g") == b"precious" * 1000 + bytes(92000)
assert read_file("whole") == bytes(2 * M)
if sys.argv[2] == "check": # exact when the records were folded
    assert os.stat("whole").st_blocks == 0
END
py "$WORK/fallocate.py" "$MNT" make
remount_volume
py "$WORK/fallocate.py" "$MNT" check
umount_volume
fsck_volume
