#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# rename(2) and renameat2(2): replacing, into other directories, NOREPLACE, EXCHANGE, what is refused.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/rename.py" <<'END'
import errno, os, sys
from syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, fails, read_file, renameat2, write_file
os.chdir(sys.argv[1])
for d in ("a", "b", "a/sub", "a/sub/deep", "full", "full/x", "empty"):
    os.mkdir(d)
write_file("a/f", b"f"); write_file("b/g", b"g"); os.link("b/g", "b/g2")
ino = os.stat("a/f").st_ino
keep = os.open("b/g", os.O_RDONLY)
os.rename("a/f", "b/g")
assert read_file("b/g") == b"f" and os.stat("b/g").st_ino == ino and not os.path.exists("a/f")
assert os.read(keep, 9) == b"g" and os.fstat(keep).st_nlink == 1 and read_file("b/g2") == b"g"
os.close(keep)
os.rename("b/g", "b/g")
os.link("b/g", "b/same"); os.rename("b/g", "b/same")
assert os.path.exists("b/g") and os.path.exists("b/same"), "two links of one file: rename does nothing"
fails(errno.ENOENT, os.rename, "none", "x")
fails(errno.ENOENT, os.rename, "b/g", "none/x")
fails(errno.EISDIR, os.rename, "b/g", "a")
fails(errno.ENOTDIR, os.rename, "a", "b/g")
fails(errno.ENOTEMPTY, os.rename, "a", "full")
fails(errno.EINVAL, os.rename, "a", "a/sub/deep/a")
fails(errno.EINVAL, os.rename, "a", "a/x")
os.rename("a/sub", "empty")
assert os.path.isdir("empty/deep") and os.stat("a").st_nlink == 2
assert os.stat("empty/..").st_ino == os.stat(".").st_ino
fails(errno.EEXIST, renameat2, "b/g", "b/g2", RENAME_NOREPLACE)
assert read_file("b/g2") == b"g"
renameat2("b/g", "b/new", RENAME_NOREPLACE)
assert read_file("b/new") == b"f" and not os.path.exists("b/g")
fails(errno.ENOENT, renameat2, "b/new", "b/none", RENAME_EXCHANGE)
renameat2("b/new", "b/g2", RENAME_EXCHANGE)
assert read_file("b/new") == b"g" and read_file("b/g2") == b"f"
# A file and a directory change places: link counts and ".." follow.
renameat2("b/new", "empty/deep", RENAME_EXCHANGE)
assert os.path.isdir("b/new") and read_file("empty/deep") == b"g"
assert os.stat("b").st_nlink == 3 and os.stat("empty").st_nlink == 2
assert os.stat("b/new/..").st_ino == os.stat("b").st_ino
fails(errno.EINVAL, renameat2, "b", "b/new", RENAME_EXCHANGE)
fails(errno.EINVAL, renameat2, "b/new", "b", RENAME_EXCHANGE)
# Names that many processes fight for: one file at the end, none lost on the way.
for i in range(8):
    write_file("r%d" % i, b"%d" % i)
kids = []
for i in range(8):
    pid = os.fork()
    if pid == 0:
        for n in range(200):
            os.rename("r%d" % i, "winner")
            write_file("r%d" % i, b"%d" % i)
            assert len(read_file("winner")) == 1 # also when it is replaced between looking up and opening
            assert os.stat("winner").st_size == 1
        os._exit(0)
    kids.append(pid)
assert all(os.waitpid(p, 0)[1] == 0 for p in kids)
END
py "$WORK/rename.py" "$MNT"
ls -R "$MNT" >"$WORK/before"
remount_volume
ls -R "$MNT" | cmp - "$WORK/before"
umount_volume
fsck_volume
