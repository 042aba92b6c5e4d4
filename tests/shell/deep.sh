#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Limits of trees: LEVELS directories one in another, moved and removed; paths of 4,095 bytes; more links and subdirectories
# than 65,000 with MANY.
# as: user
. "${0%/*}/functions.sh"
: "${LEVELS:=2500}" "${MANY:=3000}"
mount_volume
cat >"$WORK/deep.py" <<'END'
import errno, os, resource, sys, time
from syscalls import fails, read_file, write_file
mnt, levels, many = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.chdir(mnt)
# A chain, made and walked by one step each.
os.mkdir("top"); os.mkdir("other"); os.chdir("top")
for i in range(levels):
    os.mkdir("d"); os.chdir("d")
write_file("bottom", b"reached")
here = os.open(".", os.O_RDONLY)
os.chdir(mnt)
top = os.open("top", os.O_RDONLY)
# It may not be moved below itself, however deep; nor may anything become its own ancestor by an exchange.
a = time.time()
fails(errno.EINVAL, os.rename, "../top", "new", src_dir_fd=top, dst_dir_fd=here)
fails(errno.EINVAL, os.rename, "d", "new", src_dir_fd=top, dst_dir_fd=here)
os.rename("top", "other/moved")
os.mkdir("sub", dir_fd=here)
os.rename("sub", "below", src_dir_fd=here, dst_dir_fd=top)
os.rename("below", "sub", src_dir_fd=top, dst_dir_fd=here)
took = time.time() - a
assert took < 5, "moving took %.1f s" % took
assert os.stat("sub/..", dir_fd=here).st_ino == os.fstat(here).st_ino
os.rmdir("sub", dir_fd=here)
os.close(here); os.close(top)
# The longest path that the system takes, and one more.
os.mkdir("p"); os.chdir("p")
name = "n" * 254
for i in range(15):
    os.mkdir(name); os.chdir(name)
os.chdir(mnt)
path = "p/" + (name + "/") * 15
last = "f" * (4095 - len(path) - 255 - 1 - 1)
path += "x" * 255; os.mkdir(path)
assert len(path + "/" + last) == 4094 or len(path + "/" + last) == 4095, len(path + "/" + last)
path += "/" + last + "f" * (4095 - len(path + "/" + last))
write_file(path, b"long"); assert read_file(path) == b"long" and len(path) == 4095
fails(errno.ENAMETOOLONG, write_file, path + "f", b"")
# Links and subdirectories: counted truly.
os.mkdir("links"); os.chdir("links"); write_file("0", b"linked")
for i in range(1, many):
    os.link("0", "%d" % i)
assert os.stat("0").st_nlink == many == os.stat("%d" % (many - 1)).st_nlink
os.chdir(mnt); os.mkdir("dirs"); os.chdir("dirs")
for i in range(many):
    os.mkdir("%d" % i)
assert os.stat(".").st_nlink == many + 2
for i in range(0, many, 2):
    os.rmdir("%d" % i); os.unlink("../links/%d" % i)
assert os.stat(".").st_nlink == many - (many + 1) // 2 + 2
assert os.stat("../links/1").st_nlink == many // 2
END
py "$WORK/deep.py" "$MNT" "$LEVELS" "$MANY"
[ "$(find "$MNT/other" | wc -l)" = $((LEVELS + 3)) ] || fail "find sees $(find "$MNT/other" | wc -l) of $((LEVELS + 3))"
remount_volume
[ "$(find "$MNT/other" | wc -l)" = $((LEVELS + 3)) ] || fail "find sees another number after a remount"
[ "$(find "$MNT/dirs" -mindepth 1 | wc -l)" = $((MANY / 2)) ] || fail "another number of subdirectories"
zerofs flush "$MNT"
zerofs fsck "$STORE" >"$WORK/fsck" 2>&1 || fail "fsck: $(cat "$WORK/fsck")"
rm -rf "$MNT/other" "$MNT/p" "$MNT/links" "$MNT/dirs" || fail "not all could be removed"
[ "$(ls -A "$MNT")" = '' ] || fail "something is left: $(ls -A "$MNT")"
umount_volume
fsck_volume
