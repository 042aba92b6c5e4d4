#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# 129 names of one hash: the last finds no place and fails with ENOSPC, and nothing else is touched by that. Only a build
# with -Dcookie_hash_bits=8 comes that far.
# as: user
. "${0%/*}/functions.sh"
[ "${COOKIE_HASH_BITS:-56}" = 8 ] || skip "needs a build with 8 bits of hash"
mount_volume
cat >"$WORK/full.py" <<'END'
import errno, os, sys
from syscalls import RENAME_EXCHANGE, fails, read_file, renameat2, write_file
os.mkdir(sys.argv[1] + "/d"); os.chdir(sys.argv[1] + "/d")
there, refused = [], []
for i in range(40000):
    name = "name%d" % i
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)); there.append(name)
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
        refused.append(name)
        if len(refused) > 2000:
            break
# 255 hashes of 128 places each; many are full now.
assert len(refused) > 2000 and len(there) <= 255 * 128, (len(there), len(refused))
no = refused[0]
fails(errno.ENOENT, os.stat, no)
for call in (os.mkdir, lambda n: os.symlink("x", n), lambda n: os.link(there[0], n), lambda n: os.rename(there[0], n), os.mkfifo):
    fails(errno.ENOSPC, call, no)
assert os.path.exists(there[0])
assert sorted(os.listdir(".")) == sorted(there)
# What is there can be replaced, exchanged and opened.
write_file(there[1], b"one"); write_file(there[2], b"two")
renameat2(there[1], there[2], RENAME_EXCHANGE)
assert read_file(there[1]) == b"two" and read_file(there[2]) == b"one"
os.rename(there[1], there[2]); there.remove(there[1])
# Removing makes room: half of each hash is free now.
for name in there[::2]:
    os.unlink(name)
for name in refused[:60]:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
assert sorted(os.listdir(".")) == sorted(there[1::2] + refused[:60])
for name in there[1::2] + refused[:60]:
    assert os.stat(name).st_nlink == 1
END
py "$WORK/full.py" "$MNT"
ls "$MNT/d" >"$WORK/before"
remount_volume
ls "$MNT/d" | cmp - "$WORK/before" || fail "the directory differs after a remount"
rm -rf "$MNT/d"
[ ! -e "$MNT/d" ] || fail "the directory was not removed"
umount_volume
fsck_volume
