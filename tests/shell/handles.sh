#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# name_to_handle_at(2), open_by_handle_at(2): handles hold across renames and remounts, and are stale after the removal.
# as: root
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/handles.py" <<'END'
import ctypes, errno, os, struct, sys
from syscalls import fails, write_file
mnt, what = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def handle(name):
    buf = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
    mount = ctypes.c_int()
    if libc.name_to_handle_at(-100, os.fsencode(name), buf, ctypes.byref(mount), 0) < 0:
        raise OSError(ctypes.get_errno(), name)
    return buf.raw[:8 + struct.unpack_from("=I", buf)[0]]
def open_handle(h, flags=os.O_RDONLY):
    fd = os.open(mnt, os.O_RDONLY)
    r = libc.open_by_handle_at(fd, ctypes.create_string_buffer(h, 136), flags)
    e = ctypes.get_errno()
    os.close(fd)
    if r < 0:
        raise OSError(e, os.strerror(e))
    return r
names = ("f", "d", "d/deep", "d/deep/g", "gone")
os.chdir(mnt)
if what == "make":
    os.makedirs("d/deep")
    for n in ("f", "d/deep/g", "gone"):
        write_file(n, n.encode())
    hs = {n: handle(n) for n in names}
    assert len(set(hs.values())) == len(names)
    with open("../handles", "w") as f:
        print(hs, file=f)
hs = eval(open("../handles").read())
if what == "check": # nothing is in the kernel's caches
    os.rename("f", "d/moved")
    os.unlink("gone")
for n in ("f", "d/deep/g"):
    fd = open_handle(hs[n])
    assert os.read(fd, 100) == n.encode(), n
    os.close(fd)
fd = open_handle(hs["d/deep"], os.O_RDONLY | os.O_DIRECTORY)
assert os.listdir(fd) == ["g"] and os.readlink(f"/proc/self/fd/{fd}") == os.path.join(mnt, "d/deep")
os.close(fd)
if what == "check":
    fails(errno.ESTALE, open_handle, hs["gone"])
    # A number that was never given, and a generation that is another's.
    h = bytearray(hs["f"]); h[11] ^= 1
    fails(errno.ESTALE, open_handle, bytes(h))
    h = bytearray(hs["f"]); h[-1] ^= 1
    fails(errno.ESTALE, open_handle, bytes(h))
    os.unlink("d/deep/g")
    fails(errno.ESTALE, open_handle, hs["d/deep/g"])
END
py "$WORK/handles.py" "$MNT" make
remount_volume
py "$WORK/handles.py" "$MNT" check
umount_volume
fsck_volume
