#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A quota holds within one percent, however it is filled; what needs no more room goes on when nothing is left.
# QUOTA is its size in bytes.
# as: user
. "${0%/*}/functions.sh"
: "${QUOTA:=100000000}"
mount_volume --max-size "$QUOTA"
cat >"$WORK/quota.py" <<'END'
import errno, os, random, sys
quota = int(sys.argv[2])
os.chdir(sys.argv[1])
def fill(name, size):
    """Writes pieces until nothing fits; returns the bytes written."""
    fd, n = os.open(name, os.O_RDWR | os.O_CREAT), 0
    try:
        while True:
            n += os.write(fd, os.urandom(size))
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
    os.close(fd)
    return n
def exact(n, what):
    assert 0.99 * quota <= n <= quota, f"{what}: {n} of {quota} bytes"
def no_space(fd, size, offset):
    """As much as fits may be written."""
    try:
        assert os.pwrite(fd, b"x" * size, offset) < size, "it fitted"
    except OSError as e:
        assert e.errno == errno.ENOSPC, e

exact(fill("big", 1 << 20), "large writes")
fd = os.open("big", os.O_RDWR)
for k in range(50):
    assert os.pwrite(fd, b"over" * 2500, random.randrange(quota * 9 // 10)) == 10000
os.fsync(fd)
no_space(fd, 3 << 20, quota)
# Names need no room.
os.mkdir("d"); os.symlink("a" * 3000, "s"); os.rename("big", "d/big"); os.link("d/big", "l"); open("empty", "w").close()
os.unlink("l"); os.rename("d/big", "big")
st = os.statvfs(".")
assert st.f_blocks == quota // 4096 and st.f_bfree == st.f_bavail <= st.f_blocks // 100, st
assert st.f_files - st.f_ffree == 5, st
os.ftruncate(fd, quota // 2)
exact(quota // 2 + fill("second", 100000), "after a truncate")
os.ftruncate(fd, 0); os.unlink("second")
n, k = 0, 0
try:
    while True:
        with open("small%d" % k, "wb", buffering=0) as f:
            n += f.write(os.urandom((700, 3000, 10000)[k % 3]))
        k += 1
except OSError as e:
    assert e.errno == errno.ENOSPC, e
exact(n, "small files")
for j in range(k + 1):
    os.unlink("small%d" % j)
os.ftruncate(fd, quota * 10)
n, k = 0, 0
try:
    while True:
        n += os.pwrite(fd, os.urandom(4096), k * 40000); k += 1
except OSError as e:
    assert e.errno == errno.ENOSPC, e
exact(n, "a sparse file")
os.fsync(fd)
assert n <= os.fstat(fd).st_blocks * 512 <= n * 1.01, os.fstat(fd)
os.ftruncate(fd, 0)
os.posix_fallocate(fd, 0, quota // 2)
os.fsync(fd)
assert os.fstat(fd).st_blocks * 512 >= quota // 2
os.ftruncate(fd, quota) # a hole behind what is allocated
exact(quota // 2 + fill("second", 1 << 18), "beside an allocated range")
for k in range(30):
    assert os.pwrite(fd, os.urandom(5000), random.randrange(quota // 2 - 5000)) == 5000, "what was allocated"
no_space(fd, 3 << 20, quota // 2 + 100000)
try:
    os.posix_fallocate(fd, 0, quota * 3)
    raise AssertionError("allocated beyond the quota")
except OSError as e:
    assert e.errno == errno.ENOSPC, e
assert os.fstat(fd).st_size == quota
os.unlink("second"); os.unlink("big"); os.close(fd)
END
py "$WORK/quota.py" "$MNT" "$QUOTA"
nothing_used() { [ "$(status_of files used_bytes)" = 0 ]; }
wait_until 20 nothing_used || fail "$(status_of files used_bytes) bytes are still counted"
# What du says: holes, bytes in the inode, allocated ranges.
truncate -s 50M "$MNT/hole"
head -c 1000 /dev/zero | tr '\0' x >"$MNT/inline"
fallocate -l 5M "$MNT/allocated"
dd if=/dev/urandom of="$MNT/sparse" bs=4096 count=1 seek=1000 2>/dev/null
zerofs flush "$MNT"
[ "$(stat -c %b "$MNT/hole")" = 0 ] || fail "a hole has blocks"
[ "$(stat -c %b "$MNT/inline")" = 2 ] || fail "1000 bytes have $(stat -c %b "$MNT/inline") blocks"
allocated() { [ "$(stat -c %b "$MNT/allocated")" = 10240 ]; }
wait_until 5 allocated || fail "5 MiB allocated: $(stat -c %b "$MNT/allocated") blocks"
[ "$(stat -c %b "$MNT/sparse")" = 8 ] || fail "4 KiB behind a hole: $(stat -c %b "$MNT/sparse") blocks"
# A limit below what is there: nothing more, but what is there can be changed and taken away.
remount_volume --max-size 1M
[ "$(df -B1 --output=avail "$MNT" | tail -n 1 | tr -d ' ')" = 0 ] || fail "there is room: $(df -B1 "$MNT")"
dd if=/dev/urandom of="$MNT/sparse" bs=4096 count=1 seek=1000 conv=notrunc 2>/dev/null || fail "overwriting failed"
expect 1 dd if=/dev/urandom of="$MNT/sparse" bs=65536 count=1 seek=1 conv=notrunc
said 'No space left on device'
rm "$MNT/allocated"
dd if=/dev/urandom of="$MNT/sparse" bs=65536 count=1 seek=1 conv=notrunc 2>/dev/null || fail "no room after a removal"
umount_volume
fsck_volume
