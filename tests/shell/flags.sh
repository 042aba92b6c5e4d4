#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The flags of files as chattr(1) and lsattr(1) know them: immutable and append-only are root's to set and hold for
# everybody, no-dump and no-atime are the owner's and pass on to what is made in a directory. Other ioctls are refused.
# as: user
# as: root
. "${0%/*}/functions.sh"
requires chattr lsattr
mount_volume
cat >"$WORK/flags.py" <<'END'
import ctypes, errno, fcntl, os, struct, subprocess, sys
from syscalls import (FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fails, fallocate, write_file)
os.chdir(sys.argv[1])
GETFLAGS, SETFLAGS, GETVERSION = 0x80086601, 0x40086602, 0x80087601
FSGETXATTR, FSSETXATTR = 0x801c581f, 0x401c5820
IMMUTABLE, APPEND, NODUMP, NOATIME = 0x10, 0x20, 0x40, 0x80
def ioctl(name, request, *fields):
    fd = os.open(name, os.O_RDONLY)
    try:
        return fcntl.ioctl(fd, request, struct.pack("=IIIIIQ", *(list(fields) + [0] * (6 - len(fields)))))
    finally:
        os.close(fd)
def flags(name):
    return struct.unpack("=I", ioctl(name, GETFLAGS)[:4])[0]
def chattr(what, name):
    return subprocess.run(["chattr", what, name], stderr=subprocess.DEVNULL).returncode
write_file("f", b"content")
os.mkdir("d")
assert flags("f") == flags("d") == 0
assert chattr("+dA", "f") == 0 and flags("f") == NODUMP | NOATIME
assert subprocess.check_output(["lsattr", "-d", "f"]).split()[0].replace(b"-", b"") == b"dA"
assert struct.unpack("=I", ioctl("f", FSGETXATTR)[:4])[0] == 0x80 | 0x40
ioctl("f", FSSETXATTR, 0x80)
assert flags("f") == NODUMP
fails(errno.EOPNOTSUPP, ioctl, "f", SETFLAGS, 0x4) # compression
fails(errno.EOPNOTSUPP, ioctl, "f", FSSETXATTR, 0x8000)
assert flags("f") == NODUMP
assert ioctl("f", GETVERSION)[:4] == ioctl("f", GETVERSION)[:4] != ioctl("d", GETVERSION)[:4]
fails(errno.ENOTTY, ioctl, "f", 0x5401) # a terminal
fails(errno.ENOTTY, ioctl, "d", 0x40087602)
fails(errno.ENOTTY, ioctl, "f", 0x12345678)
# What does not want an access time does not get one.
os.utime("f", (5, 6))
chattr("+A", "f")
open("f").read()
assert os.stat("f").st_atime == 5
# Handed down.
assert chattr("+dA", "d") == 0
write_file("d/f", b""); os.mkdir("d/d")
assert flags("d/f") == flags("d/d") == NODUMP | NOATIME
for flag in ("+i", "+a"):
    if os.getuid():
        assert chattr(flag, "f") != 0 and flags("f") == NODUMP | NOATIME
if os.getuid():
    fails(errno.EPERM, ioctl, "f", SETFLAGS, IMMUTABLE)
    sys.exit(0)

# ---- as root: nobody may, root neither ----
write_file("imm", b"content"); os.link("imm", "imm2"); os.mkdir("immd"); write_file("immd/f", b"")
held = os.open("imm", os.O_RDWR)
assert chattr("+i", "imm") == 0 == chattr("+i", "immd")
assert flags("imm") == IMMUTABLE
refused = [
    (os.open, "imm", os.O_WRONLY), (os.open, "imm", os.O_RDONLY | os.O_TRUNC), (os.truncate, "imm", 1),
    (os.pwrite, held, b"x", 0), (os.ftruncate, held, 0), (fallocate, held, 0, 0, 10),
    (fallocate, held, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 1),
    (os.unlink, "imm"), (os.rename, "imm", "other"), (os.link, "imm", "other"), (os.chmod, "imm", 0o600),
    (os.chown, "imm", 1, 1), (os.utime, "imm", (1, 1)), (os.utime, "imm"), (os.setxattr, "imm", "user.x", b""),
    (write_file, "immd/new", b""), (os.mkdir, "immd/new"), (os.unlink, "immd/f"), (os.rename, "immd/f", "g"),
    (os.rename, "f", "immd/f2"), (os.link, "f", "immd/f2"), (os.symlink, "x", "immd/s"), (os.rmdir, "immd"),
    (os.rename, "immd", "immd2"), (os.mkfifo, "immd/p"), (os.open, "immd", os.O_TMPFILE | os.O_RDWR),
    (os.copy_file_range, held, held, 1, 0, 3), (os.rename, "f", "imm2"),
]
for call, *args in refused:
    fails(errno.EPERM, call, *args)
assert open("imm", "rb").read() == b"content" and os.stat("imm").st_nlink == 2
write_file("immd/f", b"its bytes are its own")
os.close(held)
assert chattr("-i", "imm") == 0 == chattr("-i", "immd")
os.unlink("imm2"); os.rmdir("immd/d") if os.path.exists("immd/d") else None

write_file("log", b"one\n"); os.mkdir("spool"); write_file("spool/f", b"")
assert chattr("+a", "log") == 0 == chattr("+a", "spool")
refused = [
    (os.open, "log", os.O_WRONLY), (os.open, "log", os.O_WRONLY | os.O_APPEND | os.O_TRUNC), (os.truncate, "log", 0),
    (os.unlink, "log"), (os.rename, "log", "other"), (os.link, "log", "other"), (os.chmod, "log", 0o600),
    (os.utime, "log", (1, 1)), (os.setxattr, "log", "user.x", b""),
    (os.unlink, "spool/f"), (os.rename, "spool/f", "g"), (os.rename, "f", "spool/f"),
]
for call, *args in refused:
    fails(errno.EPERM, call, *args)
with open("log", "ab") as f:
    f.write(b"two\n"); f.flush()
    fails(errno.EPERM, os.ftruncate, f.fileno(), 0)
    fails(errno.EPERM, fallocate, f.fileno(), FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 0, 1)
    fallocate(f.fileno(), FALLOC_KEEP_SIZE, 0, 100000)
os.utime("log")
assert open("log", "rb").read() == b"one\ntwo\n"
write_file("spool/g", b"more"); os.mkdir("spool/d")
assert flags("spool/g") == 0
END
py "$WORK/flags.py" "$MNT"
remount_volume
[ "$(lsattr -d "$MNT/f" | cut -d' ' -f1 | tr -d -)" = dA ] || fail "the flags are lost: $(lsattr -d "$MNT/f")"
if [ "$(id -u)" = 0 ]; then
	expect 1 rm -f "$MNT/log"
	said "Operation not permitted"
	chattr -a "$MNT/log" "$MNT/spool"
fi
rm -r "$MNT"/*
umount_volume
fsck_volume
