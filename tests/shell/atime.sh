#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Access times: relatime without any option, strictatime, noatime, nodiratime; and no request to the store for them.
# as: user
. "${0%/*}/functions.sh"
cat >"$WORK/atime.py" <<'END'
import os, sys, time
from syscalls import drop_pages, read_file, write_file
mnt, mode = sys.argv[1:]
os.chdir(mnt)
DAY = 86400 * 10**9
now = time.time_ns()
def atime_after(path, atime, mtime, flags=0):
    """Reads what nobody has cached, after its times were set. ctime is now."""
    os.utime(path, ns=(atime, mtime))
    time.sleep(0.01)
    if os.path.isdir(path):
        os.listdir(path)
    else:
        drop_pages(path)
        fd = os.open(path, os.O_RDONLY | flags); assert os.read(fd, 10) == b"data"; os.close(fd)
    return os.stat(path).st_atime_ns
def changed(path, atime, mtime, flags=0):
    after = atime_after(path, atime, mtime, flags)
    assert after == atime or abs(after - time.time_ns()) < 5 * 10**9, (path, after)
    return after != atime
write_file("f", b"data"); os.makedirs("d/x", exist_ok=True)
older = now - 3600 * 10**9
# Read before the last change.
assert changed("f", older, older) == (mode != "noatime")
assert changed("d", older, older) == (mode not in ("noatime", "nodiratime"))
# Read after it, lately; what is in the future counts as late (its change time is before it).
future = now + 3600 * 10**9
assert changed("f", future, older) == (mode == "strictatime")
assert changed("d", future, older) == (mode == "strictatime")
# O_NOATIME
assert not changed("f", older, older, os.O_NOATIME)
# Once read, it stays until the next change.
if mode == "relatime":
    first = atime_after("f", older, older)
    drop_pages("f"); read_file("f")
    assert os.stat("f").st_atime_ns == first
    write_file("f", b"data"); drop_pages("f"); read_file("f")
    assert os.stat("f").st_atime_ns > first
END
for mode in relatime strictatime noatime nodiratime; do
	if [ "$mode" = relatime ]; then mount_volume; else mount_volume -o "$mode"; fi
	py "$WORK/atime.py" "$MNT" "$mode" || fail "$mode"
	umount_volume
done
# Many reads, few requests; the times are stored all the same.
mount_volume -o strictatime
mkdir "$MNT/many"
for i in $(seq 300); do echo "$i" >"$MNT/many/$i"; done
zerofs flush "$MNT"
before=$(status_of store create calls)
cat "$MNT"/many/* >/dev/null
drop_pages "$MNT"/many/*
cat "$MNT"/many/* >/dev/null
sleep 1.5
after=$(status_of store create calls)
[ $((after - before)) -le 3 ] || fail "$((after - before)) objects were stored for access times"
stat -c '%n %X' "$MNT"/many/* >"$WORK/before"
remount_volume
stat -c '%n %X' "$MNT"/many/* | cmp - "$WORK/before" || fail "access times were not stored"
umount_volume
fsck_volume
