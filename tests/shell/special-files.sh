#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Named pipes and sockets; device nodes as root.
# as: user root
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/special.py" <<'END'
import errno, os, socket, stat, sys
from syscalls import fails
os.chdir(sys.argv[1])
if sys.argv[2] == "make":
    os.mkfifo("fifo", 0o640)
    pid = os.fork()
    if pid == 0:
        with open("fifo", "wb") as f:
            f.write(b"through the pipe")
        os._exit(0)
    assert open("fifo", "rb").read() == b"through the pipe"
    os.waitpid(pid, 0)
    s = socket.socket(socket.AF_UNIX); s.bind("socket"); s.listen()
    c = socket.socket(socket.AF_UNIX); c.connect("socket")
    fails(errno.EEXIST, os.mkfifo, "fifo")
    os.mknod("regular", stat.S_IFREG | 0o600)
    if os.getuid() == 0:
        try:
            os.mknod(sys.argv[3], stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            print("no right to make devices here"); sys.exit(77)
        for name, ma, mi in (("null", 1, 3), ("large", 4095, 1048575), ("small", 0, 1), ("mixed", 259, 70000)):
            os.mknod(name, stat.S_IFCHR | 0o620, os.makedev(ma, mi))
        os.mknod("block", stat.S_IFBLK | 0o600, os.makedev(8, 17))
    else:
        fails(errno.EPERM, os.mknod, "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
assert stat.S_ISFIFO(os.stat("fifo").st_mode) and stat.S_IMODE(os.stat("fifo").st_mode) == 0o640
assert stat.S_ISSOCK(os.stat("socket").st_mode) and stat.S_ISREG(os.stat("regular").st_mode)
if os.getuid() == 0:
    for name, ma, mi in (("null", 1, 3), ("large", 4095, 1048575), ("small", 0, 1), ("mixed", 259, 70000)):
        st = os.stat(name)
        assert stat.S_ISCHR(st.st_mode) and (os.major(st.st_rdev), os.minor(st.st_rdev)) == (ma, mi), name
    assert stat.S_ISBLK(os.stat("block").st_mode) and os.stat("block").st_rdev == os.makedev(8, 17)
    kinds = {e.name: stat.S_IFMT(e.stat(follow_symlinks=False).st_mode) for e in os.scandir(".")}
    assert kinds["block"] == stat.S_IFBLK and kinds["fifo"] == stat.S_IFIFO
END
status=0
py "$WORK/special.py" "$MNT" make "$WORK/probe" >"$WORK/said" || status=$?
[ $status != 77 ] || skip "$(cat "$WORK/said")"
[ $status = 0 ] || fail "$(cat "$WORK/said")"
if [ "$(id -u)" = 0 ]; then
	echo swallowed >"$MNT/null" || fail "the null device does not work"
	[ -z "$(head -c 10 "$MNT/null")" ] || fail "the null device gives bytes"
fi
remount_volume
py "$WORK/special.py" "$MNT" check
umount_volume
fsck_volume
