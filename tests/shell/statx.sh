#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# statx(2): the birth time, in nanoseconds and for ever; and that all else is what stat(2) says. Kernels before 6.6 do not
# ask for it.
# as: user
# as: root
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/statx.py" <<'END'
import ctypes, os, struct, sys, time
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
BTIME = 0x800
def statx(name, mask=0xfff):
    buf = ctypes.create_string_buffer(256)
    r = libc.statx(-100, name.encode(), 0x100, mask, buf)
    assert r == 0, os.strerror(ctypes.get_errno())
    f = struct.unpack_from("=IIQIIIHHQQQQ", buf)
    times = [s * 10**9 + n for s, n in (struct.unpack_from("=qI", buf, 64 + 16 * i) for i in range(4))]
    return dict(zip(("mask", "blksize", "attributes", "nlink", "uid", "gid", "mode", "_", "ino", "size", "blocks", "known"), f),
                atime=times[0], btime=times[1], ctime=times[2], mtime=times[3],
                rdev=os.makedev(*struct.unpack_from("=II", buf, 128)))
if sys.argv[2] == "make":
    began = time.time_ns() - 10**9
    with open("f", "wb") as f:
        f.write(b"x" * 5000)
    os.mkdir("d"); os.symlink("f", "l"); os.mkfifo("p")
    if os.getuid() == 0:
        os.mknod("null", 0o20666, os.makedev(1, 3))
        os.mknod("far", 0o60600, os.makedev(259, 300000))
    if not statx("f")["mask"] & BTIME:
        print("this kernel asks for no birth time")
        sys.exit(77)
    births = {n: statx(n)["btime"] for n in os.listdir(".")}
    for n, t in births.items():
        assert began <= t <= time.time_ns() + 10**9, (n, t)
    assert len(set(births.values())) > 1 and any(t % 1000 for t in births.values())
    time.sleep(0.01)
    os.utime("f", ns=(-1, -(10**10) * 10**9 + 7)); os.chmod("f", 0o600); os.rename("f", "g"); os.link("g", "f")
    with open("g", "ab") as f:
        f.write(b"y")
    assert statx("f")["btime"] == births["f"]
    with open("../births", "w") as f:
        print(births, file=f)
for n, t in eval(open("../births").read()).items():
    x, st = statx(n), os.lstat(n)
    assert x["btime"] == t and x["mask"] & BTIME, n
    assert (x["mode"], x["ino"], x["nlink"], x["uid"], x["gid"], x["size"], x["blocks"], x["rdev"], x["blksize"]) == \
        (st.st_mode, st.st_ino, st.st_nlink, st.st_uid, st.st_gid, st.st_size, st.st_blocks, st.st_rdev, st.st_blksize), n
    assert (x["atime"], x["mtime"], x["ctime"]) == (st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns), n
END
got=0
py "$WORK/statx.py" "$MNT" make || got=$?
[ "$got" != 77 ] || skip "this kernel asks for no birth time"
[ "$got" = 0 ] || exit 1
[ "$(stat -c %W "$MNT/g")" -gt 1000000000 ] || fail "stat(1) sees no birth time"
remount_volume
py "$WORK/statx.py" "$MNT" check
umount_volume
fsck_volume
