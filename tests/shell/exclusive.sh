#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# -o exclusive: the kernel keeps what is written, and owns sizes and times. Whatever reads or asks sees it at once; all of it
# is stored with fsync, the last close and the end of the mount.
# as: user
. "${0%/*}/functions.sh"
mount_volume -o exclusive
cat >"$WORK/exclusive.py" <<'END'
import mmap, os, stat, sys, time
from syscalls import read_file, write_file
os.chdir(sys.argv[1])
# A file that may only be written: what surrounds a part of a page is read all the same.
fd = os.open("w", os.O_WRONLY | os.O_CREAT, 0o200)
os.write(fd, b"a" * 10000); os.fsync(fd); os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.pwrite(fd, b"bb", 5000)
assert os.fstat(fd).st_size == 10000
os.close(fd); os.chmod("w", 0o600)
assert read_file("w") == b"a" * 5000 + b"bb" + b"a" * 4998
# Places of data and holes tell of what is not sent yet.
fd = os.open("sparse", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"x" * 5000, 1 << 20)
assert os.lseek(fd, 1 << 20, os.SEEK_DATA) == 1 << 20 and os.lseek(fd, 1 << 20, os.SEEK_HOLE) == (1 << 20) + 5000
assert os.lseek(fd, 0, os.SEEK_DATA) <= 1 << 20
os.close(fd)
assert 5000 <= os.stat("sparse").st_blocks * 512 <= 16384, os.stat("sparse").st_blocks
# Appending through several descriptors and processes.
a = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT); b = os.open("log", os.O_WRONLY | os.O_APPEND)
if os.fork() == 0:
    for k in range(300):
        os.write(b, b"kid%05d\n" % k)
    os._exit(0)
for k in range(300):
    os.write(a, b"dad%05d\n" % k)
assert os.wait()[1] == 0
lines = read_file("log").split()
assert sorted(lines) == sorted([b"kid%05d" % k for k in range(300)] + [b"dad%05d" % k for k in range(300)])
os.ftruncate(a, 9); os.write(a, b"end"); os.write(b, b"!")
assert read_file("log")[9:] == b"end!" and os.stat("log").st_size == 13
# Mapped, read and written at once; cut and grown.
fd = os.open("m", os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 100000); m = mmap.mmap(fd, 100000)
m[50000:50004] = b"page"; assert os.pread(fd, 4, 50000) == b"page"
os.pwrite(fd, b"wrote", 60000); assert m[60000:60005] == b"wrote"
os.ftruncate(fd, 50002); os.ftruncate(fd, 100000)
assert os.pread(fd, 10, 50000) == b"pa" + bytes(8)
m[99999] = 7; m.flush(); m.close(); os.close(fd)
# Times: those of the write, not of the sending; those that are set stay.
fd = os.open("t", os.O_WRONLY | os.O_CREAT); os.write(fd, b"1"); before = os.fstat(fd)
time.sleep(0.05); os.write(fd, b"2"); after = os.fstat(fd)
assert after.st_mtime_ns > before.st_mtime_ns and after.st_ctime_ns > before.st_ctime_ns
time.sleep(0.05); os.fsync(fd); assert os.fstat(fd).st_mtime_ns == after.st_mtime_ns
os.write(fd, b"3"); os.utime("t", ns=(5, -7)); os.close(fd)
assert os.stat("t").st_mtime_ns == -7
# Set-id bits go with a write and a truncate, and stay when older pages are sent.
for how in (lambda f: os.write(f, b"x"), lambda f: os.ftruncate(f, 1)):
    fd = os.open("s", os.O_RDWR | os.O_CREAT); os.write(fd, b"pages"); os.fchmod(fd, 0o4755); os.fsync(fd)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o4755
    how(fd)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o755
    os.fsync(fd); os.close(fd)
    assert stat.S_IMODE(os.stat("s").st_mode) == 0o755
os.chmod("s", 0o4711)
write_file("cut", b"x" * 70000); write_file("cut", b"short")
END
py "$WORK/exclusive.py" "$MNT"
cp -r /usr/include/linux "$MNT/tree"
state() { (cd "$MNT" && find . -type f -printf '%P %m %s %T@\n' | sort && find . -type f -exec md5sum {} + | sort); }
state >"$WORK/before"
remount_volume -o exclusive
state | cmp - "$WORK/before" || fail "something differs after a remount: $(state | diff - "$WORK/before")"
# The same as everybody else sees it.
remount_volume
state | cmp - "$WORK/before" || fail "something differs without the option: $(state | diff - "$WORK/before")"
umount_volume
# What fsync has acknowledged survives a crash.
mount_volume -o exclusive
py -c '
import os, sys
fd = os.open(sys.argv[1] + "/synced", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"kept" * 30000); os.utime(sys.argv[1] + "/synced", ns=(1, 123456789)); os.fsync(fd)' "$MNT"
crash_volume
mount_volume
[ "$(stat -c '%s %.9Y' "$MNT/synced")" = '120000 0.123456789' ] || fail "after a crash: $(stat "$MNT/synced")"
[ -z "$(tr -d kept <"$MNT/synced")" ] || fail "other bytes after a crash"
umount_volume
fsck_volume
