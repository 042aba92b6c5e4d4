#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# truncate, holes, what is read from them, SEEK_DATA and SEEK_HOLE, true block counts.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/truncate.py" <<'END'
import errno, os, sys
from syscalls import drop_pages, fails, read_file, write_file
os.chdir(sys.argv[1])
M = 1 << 20
if sys.argv[2] == "make":
    write_file("short", b"0123456789")
    os.truncate("short", 4); os.truncate("short", 12)
    write_file("cut", os.urandom(3 * M)); os.truncate("cut", M + 1); os.truncate("cut", 2 * M)
    fd = os.open("sparse", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"A" * 65536, 5 * M)
    os.pwrite(fd, b"B" * 65536, 40 * M)
    os.ftruncate(fd, 100 * M)
    os.close(fd)
    fd = os.open("huge", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"end", (1 << 50) + 1)
    os.ftruncate(fd, (1 << 62))
    os.close(fd)
    fd = os.open("zeros", os.O_RDWR | os.O_CREAT)
    os.write(fd, bytes(4 * M)); os.close(fd)
for name in ("short", "cut", "sparse"):
    drop_pages(name)
assert read_file("short") == b"0123" + bytes(8)
d = read_file("cut")
assert len(d) == 2 * M and d[M + 1:] == bytes(M - 1)
fd = os.open("sparse", os.O_RDONLY)
assert os.pread(fd, 65536, 5 * M) == b"A" * 65536 and os.pread(fd, M, 7 * M) == bytes(M)
hole = os.lseek(fd, 5 * M, os.SEEK_HOLE)
assert 5 * M + 65536 <= hole <= 6 * M, hole
assert os.lseek(fd, 0, os.SEEK_DATA) == 5 * M
assert os.lseek(fd, 6 * M, os.SEEK_DATA) == 40 * M
assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
fails(errno.ENXIO, os.lseek, fd, 50 * M, os.SEEK_DATA)
assert os.lseek(fd, 50 * M, os.SEEK_HOLE) == 50 * M
fails(errno.ENXIO, os.lseek, fd, 100 * M, os.SEEK_HOLE)
st = os.fstat(fd)
assert st.st_size == 100 * M and 131072 <= st.st_blocks * 512 <= 400000, st.st_blocks
fd = os.open("huge", os.O_RDONLY)
assert os.pread(fd, 5, (1 << 50)) == b"\0end\0" and os.fstat(fd).st_size == 1 << 62
assert os.lseek(fd, 0, os.SEEK_DATA) // 262144 == (1 << 50) // 262144
assert os.stat("zeros").st_size == 4 * M
if sys.argv[2] == "check": # until they are sealed they count as written
    assert os.stat("zeros").st_blocks == 0, "zeros take space"
END
py "$WORK/truncate.py" "$MNT" make
remount_volume
py "$WORK/truncate.py" "$MNT" check
# Cut to nothing: the space comes back. A cut or a removal of 2^62 bytes takes no time.
rm "$MNT/huge"
truncate -s 0 "$MNT/sparse"
[ "$(du -k "$MNT/sparse" | cut -f1)" = 0 ] || fail "an empty file takes space"
umount_volume
fsck_volume
