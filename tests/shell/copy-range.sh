#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# copy_file_range(2) and cp: the copy takes no room in the store, holes stay holes, each file counts in full; reflink
# ioctls do not pass FUSE.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/copy.py" <<'END'
import errno, fcntl, os, struct, sys
from syscalls import drop_pages, fails, read_file, write_file
os.chdir(sys.argv[1])
M = 1 << 20
def copy(a, b, n, *offsets):
    done = 0
    while done < n:
        k = os.copy_file_range(a, b, n - done, *(o + done for o in offsets))
        if k == 0:
            break
        done += k
    return done
data = os.urandom(8 * M)
if sys.argv[2] == "make":
    write_file("f", data)
    a, b = os.open("f", os.O_RDWR), os.open("g", os.O_RDWR | os.O_CREAT)
    assert copy(a, b, 9 * M) == 8 * M # both offsets of the files moved, and the end was met
    assert os.lseek(a, 0, os.SEEK_CUR) == 8 * M == os.lseek(b, 0, os.SEEK_CUR)
    assert read_file("g") == data
    os.pwrite(b, b"mine", 5 * M) # the copy is no other name of the file
    assert read_file("f") == data and os.pread(b, 6, 5 * M - 1) == data[5 * M - 1:5 * M] + b"mine" + data[5 * M + 4:5 * M + 5]
    os.pwrite(b, data[5 * M:5 * M + 4], 5 * M)
    assert copy(a, b, M, 12345, 8 * M + 1) == M and os.fstat(b).st_size == 9 * M + 1
    assert read_file("g")[8 * M:] == b"\0" + data[12345:12345 + M]
    fails(errno.EINVAL, os.copy_file_range, a, a, M, 0, 10)
    assert copy(b, b, 3, 0, 2 * M) == 3 and os.pread(b, 4, 2 * M) == data[:3] + data[2 * M + 3:2 * M + 4]
    fails(errno.EBADF, os.copy_file_range, a, os.open("g", os.O_WRONLY | os.O_APPEND), M, 0, 0)
    fails(errno.EBADF, os.copy_file_range, a, os.open("g", os.O_RDONLY), M, 0, 0)
    fails(errno.EISDIR, os.copy_file_range, os.open(".", os.O_RDONLY), b, M, 0, 0)
    # FICLONE, FICLONERANGE, FIDEDUPERANGE: a FUSE kernel answers by itself.
    fails(errno.EOPNOTSUPP, fcntl.ioctl, b, 0x40049409, a)
    fails(errno.EOPNOTSUPP, fcntl.ioctl, b, 0x4020940d, struct.pack("=qQQQ", a, 0, M, 0))
    os.close(a); os.close(b)
    # A sparse file of one terabyte.
    a, b = os.open("big", os.O_RDWR | os.O_CREAT), os.open("big2", os.O_RDWR | os.O_CREAT)
    os.ftruncate(a, 1 << 40)
    os.pwrite(a, data[:M], 1 << 39)
    os.fsync(a)
    assert copy(a, b, 1 << 40) == 1 << 40
    assert os.pread(b, M, 1 << 39) == data[:M] and os.fstat(b).st_size == 1 << 40
    assert os.lseek(b, 0, os.SEEK_DATA) == 1 << 39
    os.fsync(b)
    # A write that must be durable when the call returns.
    a, b = os.open("f", os.O_RDONLY), os.open("sync", os.O_WRONLY | os.O_CREAT | os.O_SYNC)
    copy(a, b, M)
END
py "$WORK/copy.py" "$MNT" make
zerofs flush "$MNT"
size() { du -sk "$STORE" | cut -f1; }
before=$(size)
cp "$MNT/f" "$MNT/h"
cp -a "$MNT/g" "$MNT/i"
zerofs flush "$MNT"
[ $(($(size) - before)) -lt 200 ] || fail "copies of 17 MB took $(($(size) - before)) KiB in the store"
[ "$(stat -c %b "$MNT/f")" -ge 16384 ] && [ "$(stat -c %b "$MNT/h")" -ge 16384 ] || fail "blocks: $(stat -c %b "$MNT"/?)"
[ "$(stat -c %b "$MNT/big2")" -lt 4096 ] || fail "holes were filled: $(stat -c %b "$MNT/big2") blocks"
expect 1 cp --reflink=always "$MNT/f" "$MNT/j"
cp "$MNT/f" "$WORK/f"
cp "$MNT/g" "$WORK/g"
rm "$MNT/f" "$MNT/g" "$MNT/j"
remount_volume
cmp "$MNT/h" "$WORK/f"
cmp "$MNT/i" "$WORK/g"
umount_volume
fsck_volume
