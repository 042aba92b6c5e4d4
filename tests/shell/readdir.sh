#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A directory of 20,000 entries that changes while it is read: each entry that stays is seen exactly once.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/readdir.py" <<'END'
import os, sys
d = sys.argv[1] + "/big"
if sys.argv[2] == "make":
    os.mkdir(d)
    for i in range(20000):
        os.close(os.open("%s/stays-%05d" % (d, i), os.O_WRONLY | os.O_CREAT))
    for i in range(2000):
        os.close(os.open("%s/goes-%05d" % (d, i), os.O_WRONLY | os.O_CREAT))
stays = {"stays-%05d" % i for i in range(20000)}
if sys.argv[2] != "make":
    names = os.listdir(d)
    assert len(names) == len(set(names)) and stays <= set(names)
    sys.exit(0)
seen, n = [], 0
with os.scandir(d) as it:
    for e in it:
        seen.append(e.name)
        n += 1
        if n % 10 == 0 and n // 10 <= 2000:
            i = n // 10 - 1
            os.unlink("%s/goes-%05d" % (d, i))
            os.mkdir("%s/comes-%05d" % (d, i))
            if i % 2:
                os.rename("%s/comes-%05d" % (d, i), "%s/moved-%05d" % (d, i))
assert len(seen) == len(set(seen)), "an entry was seen twice"
assert stays <= set(seen), "an entry that stays was missed"
now = os.listdir(d)
assert sorted(now) == sorted(stays | {"%s-%05d" % ("moved" if i % 2 else "comes", i) for i in range(2000)})
# Positions of a directory stream are stable: read on from where another one stopped.
assert not any(n.startswith("goes") for n in now)
END
py "$WORK/readdir.py" "$MNT" make
ls -lU "$MNT/big" | wc -l | grep -q 22001 || fail "ls -l shows another number"
remount_volume
py "$WORK/readdir.py" "$MNT" check
rm -rf "$MNT/big"
[ ! -e "$MNT/big" ] || fail "the directory was not removed"
umount_volume
fsck_volume
