#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Positions of a directory stream: telldir, seekdir and rewinddir stay true while entries come and go, in one stream and
# from one stream to another. ENTRIES is how many entries there are.
# as: user
. "${0%/*}/functions.sh"
: "${ENTRIES:=6000}"
mount_volume
cat >"$WORK/stream.py" <<'END'
import ctypes, os, random, sys
libc = ctypes.CDLL(None, use_errno=True)
class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16), ("type", ctypes.c_uint8),
                ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir, libc.rewinddir, libc.closedir):
    f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def entry(d):
    e = libc.readdir(d)
    return os.fsdecode(e.contents.name) if e else None
def rest(d):
    names = []
    while (n := entry(d)) is not None:
        names.append(n)
    return names

n = int(sys.argv[2])
os.mkdir(sys.argv[1] + "/d"); os.chdir(sys.argv[1] + "/d")
random.seed(7)
stays = {"stays%d" % i for i in range(n)}
for s in stays:
    os.close(os.open(s, os.O_WRONLY | os.O_CREAT))
goes = ["goes%d" % i for i in range(n // 4)]
for g in goes:
    os.mkdir(g)
d = libc.opendir(b".")
order, places = [], []
while True:
    at = libc.telldir(d)
    name = entry(d)
    if name is None:
        break
    places.append(at); order.append(name)
assert set(order) == stays | set(goes) | {".", ".."} and len(order) == len(set(order))
assert order[:2] == [".", ".."], order[:2]
assert len(set(places)) == len(places), "two entries at one position"
# Back to any position: the same entry comes.
for k in random.sample(range(len(order)), 300):
    libc.seekdir(d, places[k])
    assert entry(d) == order[k]
# Half of what goes has gone, others came: positions of what stays are as they were, in a new stream too.
for g in goes[::2]:
    os.rmdir(g)
for i in range(n // 4):
    os.symlink("x", "comes%d" % i)
other = libc.opendir(b".")
for stream in (d, other):
    for k in random.sample(range(len(order)), 300):
        libc.seekdir(stream, places[k])
        wanted = next((x for x in order[k:] if x in stays), None)
        got = entry(stream)
        while got is not None and got not in stays:
            got = entry(stream)
        assert got == wanted, (got, wanted)
middle = len(order) // 2
libc.seekdir(other, places[middle])
tail = rest(other)
assert len(tail) == len(set(tail)) and set(order[middle:]) & stays == set(tail) & stays
# Rewinding shows what there is now.
libc.rewinddir(d)
now = rest(d)
assert len(now) == len(set(now)) and sorted(now) == sorted(os.listdir(".") + [".", ".."])
assert {"comes%d" % i for i in range(n // 4)} <= set(now) and not set(goes[::2]) & set(now)
assert [x for x in now if x in stays] == [x for x in order if x in stays], "the order has changed"
libc.closedir(d); libc.closedir(other)
with open(sys.argv[3], "w") as f:
    f.write("\n".join(now))
END
py "$WORK/stream.py" "$MNT" "$ENTRIES" "$WORK/order"
remount_volume
# Also after that: positions are for ever.
ls -aU "$MNT/d" >"$WORK/now"
printf '\n' >>"$WORK/order"
cmp "$WORK/now" "$WORK/order" || fail "the order has changed with a remount"
[ "$(ls -lU "$MNT/d" | wc -l)" = "$(($(wc -l <"$WORK/now") - 1))" ] || fail "with attributes there are others"
umount_volume
fsck_volume
