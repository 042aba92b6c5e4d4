#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Names: 255 bytes of anything but / and NUL; longer ones are refused.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/names.py" <<'END'
import errno, os, sys
from syscalls import fails, read_file, write_file
os.chdir(sys.argv[1])
names = [b"a", b"x" * 255, "ü".encode() * 127 + b"y", "日本語のファイル名".encode(), b"new\nline", b" ", b"\\", b"\xff\xfe\x80",
         b"-rf", b"*", b"...", b".hidden", b"\x01", b"'\"$()`", bytes(range(1, 47)) + bytes(range(48, 256)),
         "e\u0301".encode(), "\u00e9".encode(), b"CON", b"tab\there", b"case", b"CASE", b".zfs"]
if sys.argv[2] == "make":
    for i, n in enumerate(names):
        write_file(n, b"%d" % i)
        os.mkdir(n[:250] + b".dir")
    for n in (b"x" * 256, b"y" * 4000):
        fails(errno.ENAMETOOLONG, write_file, n, b"")
        fails(errno.ENAMETOOLONG, os.mkdir, n)
        fails(errno.ENAMETOOLONG, os.stat, n)
        fails(errno.ENAMETOOLONG, os.rename, b"a", n)
    fails(errno.ENAMETOOLONG, os.link, b"a", b"z" * 256)
    fails(errno.ENAMETOOLONG, os.symlink, b"a", b"z" * 256)
for i, n in enumerate(names):
    assert read_file(n) == b"%d" % i, n
    assert os.path.isdir(n[:250] + b".dir"), n
assert sorted(os.listdir(b".")) == sorted(names + [n[:250] + b".dir" for n in names])
if sys.argv[2] == "remove":
    for n in names:
        os.unlink(n)
        os.rmdir(n[:250] + b".dir")
    assert os.listdir(b".") == []
END
py "$WORK/names.py" "$MNT" make
remount_volume
py "$WORK/names.py" "$MNT" check
py "$WORK/names.py" "$MNT" remove
umount_volume
fsck_volume
