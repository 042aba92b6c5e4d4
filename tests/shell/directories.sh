#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Deep directories, link counts, removal rules, "." and "..".
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/dirs.py" <<'END'
import errno, os, sys
from syscalls import fails, write_file
os.chdir(sys.argv[1])
if sys.argv[2] == "make":
    base = os.stat(".").st_nlink
    os.mkdir("a"); os.mkdir("b"); write_file("f", b"")
    assert os.stat(".").st_nlink == base + 2
    os.mkdir("a/c")
    assert os.stat("a").st_nlink == 3 and os.stat("a/c").st_nlink == 2
    fails(errno.EEXIST, os.mkdir, "a")
    fails(errno.EEXIST, os.mkdir, "f")
    fails(errno.ENOTEMPTY, os.rmdir, "a")
    fails(errno.ENOTDIR, os.rmdir, "f")
    fails(errno.ENOENT, os.rmdir, "none")
    fails(errno.EISDIR, os.unlink, "a")
    fails(errno.ENOTDIR, os.stat, "f/x")
    fails(errno.ENOTDIR, os.mkdir, "f/x")
    fails(errno.ENOENT, os.mkdir, "none/x")
    fails(errno.EINVAL, os.rmdir, "a/.")
    before = os.stat("a")
    os.rename("a/c", "b/c")
    assert os.stat("a").st_nlink == 2 and os.stat("b").st_nlink == 3
    assert os.stat("b/c/..").st_ino == os.stat("b").st_ino
    assert os.stat("a").st_mtime_ns > before.st_mtime_ns
    # Deeper than any path may be long.
    os.mkdir("deep"); os.chdir("deep")
    for i in range(600):
        os.mkdir("directory%d" % i); os.chdir("directory%d" % i)
    write_file("bottom", b"reached")
    # A directory that is somebody's place can be removed; then nothing can be made in it.
    os.chdir(sys.argv[1]); os.mkdir("here"); os.chdir("here"); os.rmdir("../here")
    fails(errno.ENOENT, write_file, "x", b"")
    fails(errno.ENOENT, os.mkdir, "x")
    fails(errno.ENOENT, os.stat, "x")
    fails(errno.ENOENT, os.rename, sys.argv[1] + "/f", "x")
    fails(errno.ENOENT, os.getcwd)
    assert os.listdir(".") == [] and os.stat(".").st_nlink == 0
    # The same when another process does it, and when another directory takes the name.
    for how in ("remove", "replace"):
        os.mkdir(sys.argv[1] + "/there"); os.mkdir(sys.argv[1] + "/other"); os.chdir(sys.argv[1] + "/there")
        where = os.stat(".").st_ino
        if os.fork() == 0:
            os.chdir(sys.argv[1])
            os.rmdir("there") if how == "remove" else os.rename("other", "there")
            os._exit(0)
        assert os.wait()[1] == 0
        assert os.listdir(".") == [] and os.stat(".").st_ino == where and os.stat(".").st_nlink == 0
        assert os.stat("..").st_ino == os.stat(sys.argv[1]).st_ino
        os.chmod(".", 0o700); fd = os.open(".", os.O_RDONLY); assert os.fstat(fd).st_mode & 0o777 == 0o700; os.close(fd)
        fails(errno.ENOENT, write_file, "x", b""); fails(errno.ENOENT, os.mkdir, "x"); fails(errno.ENOENT, os.symlink, "a", "x")
        fails(errno.ENOENT, os.link, sys.argv[1] + "/f", "x")
        os.chdir(sys.argv[1]); os.rmdir("there" if how == "replace" else "other")
    # What is looked up but not open lives on as well.
    write_file("held", b"12345"); fd = os.open("held", os.O_PATH); os.unlink("held")
    assert os.fstat(fd).st_size == 5 and os.fstat(fd).st_nlink == 0
    with open("/proc/self/fd/%d" % fd, "rb") as f: assert f.read() == b"12345"
    os.close(fd)
else:
    os.chdir("deep")
    for i in range(600):
        os.chdir("directory%d" % i)
    assert open("bottom").read() == "reached"
    for i in reversed(range(600)):
        assert os.stat("..").st_nlink == 3
        os.chdir("..")
END
py "$WORK/dirs.py" "$MNT" make
# When the last user has gone, so has what was removed.
no_orphans() { [ "$(status_of files orphans)" = 0 ]; }
wait_until 10 no_orphans || fail "$(status_of files orphans) orphans are left"
remount_volume
py "$WORK/dirs.py" "$MNT" check
rm -rf "$MNT/deep"
[ ! -e "$MNT/deep" ] || fail "the tree was not removed"
umount_volume
fsck_volume
