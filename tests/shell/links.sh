#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Hard links and symbolic links.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/links.py" <<'END'
import errno, os, sys
from syscalls import fails, read_file, write_file
os.chdir(sys.argv[1])
long = "x" * 4095
if sys.argv[2] == "make":
    write_file("f", b"one"); os.mkdir("d")
    os.link("f", "d/g")
    before = os.stat("f")
    assert before.st_nlink == 2 and os.stat("d/g").st_ino == before.st_ino
    write_file("d/g", b"two, longer")
    assert read_file("f") == b"two, longer"
    fails(errno.EEXIST, os.link, "f", "d/g")
    fails(errno.EPERM, os.link, "d", "e")
    fails(errno.ENOENT, os.link, "none", "e")
    for i in range(300):
        os.link("f", "d/%d" % i)
    assert os.stat("f").st_nlink == 302
    os.unlink("f")
    assert os.stat("d/g").st_nlink == 301 and os.stat("d/g").st_ctime_ns > before.st_ctime_ns
    os.symlink("d/g", "s"); os.symlink("nowhere", "dangling"); os.symlink("loop", "loop"); os.symlink("d", "dl")
    os.symlink(long, "long"); os.symlink("ü/ß", "utf8")
    fails(errno.ELOOP, os.stat, "loop")
    fails(errno.ENOENT, os.stat, "dangling")
    fails(errno.EEXIST, os.symlink, "x", "s")
    fails(errno.ENAMETOOLONG, os.symlink, "x" * 4096, "toolong")
    fails(errno.EINVAL, os.readlink, "d")
    os.link("dangling", "dangling2", follow_symlinks=False)
    assert os.lstat("dangling2").st_nlink == 2
    write_file("dangling", b"made through the link")
    assert read_file("nowhere") == b"made through the link"
assert os.readlink("s") == "d/g" and read_file("s") == b"two, longer" and os.lstat("s").st_size == 3
assert os.readlink("long") == long and os.lstat("long").st_size == 4095 and os.readlink("utf8") == "ü/ß"
assert read_file("dl/17") == b"two, longer" and os.stat("d/17").st_nlink == 301
assert os.stat("dl").st_ino == os.stat("d").st_ino != os.lstat("dl").st_ino
END
py "$WORK/links.py" "$MNT" make
remount_volume
py "$WORK/links.py" "$MNT" check
umount_volume
fsck_volume
