#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Times in nanoseconds, before 1970 and after 2038; what changes which.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/times.py" <<'END'
import os, sys, time
from syscalls import write_file
os.chdir(sys.argv[1])
S = 10**9
cases = {"a": (1, 2), "b": (-1, -S + 1), "c": (-5000000000 * S + 123456789, 7), "d": (10**10 * S + 999999999, 2**33 * S + 1),
         "e": (0, 0), "f": (-123456789, 2**31 * S + 5), "g": (-14 * 10**9 * S + 1, 400 * 10**9 * S + 999999998)}
if sys.argv[2] == "make":
    for name, ns in cases.items():
        write_file(name, name.encode()); os.utime(name, ns=ns)
    os.mkdir("dir"); os.symlink("none", "link")
    os.utime("dir", ns=(5, -6)); os.utime("link", ns=(-7, 8), follow_symlinks=False)
    def stamps(p):
        st = os.stat(p); return st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns
    def changes(p, call, m, c):
        before = stamps(p); time.sleep(0.005); call(); after = stamps(p)
        assert (after[1] > before[1]) == m and (after[2] > before[2]) == c, (p, before, after)
    os.mkdir("w")
    changes("w", lambda: write_file("w/f", b"1"), True, True)
    changes("w", lambda: write_file("w/f", b"2"), False, False)
    changes("w/f", lambda: write_file("w/f", b"3"), True, True)
    changes("w/f", lambda: os.chmod("w/f", 0o600), False, True)
    changes("w/f", lambda: os.link("w/f", "w/g"), False, True)
    changes("w/f", lambda: os.rename("w/g", "w/h"), False, True)
    changes("w", lambda: os.rename("w/h", "w/i"), True, True)
    changes("w/f", lambda: os.unlink("w/i"), False, True)
    changes("w/f", lambda: os.truncate("w/f", 10), True, True)
    changes("w", lambda: os.mkdir("w/d"), True, True)
    changes("w", lambda: os.rmdir("w/d"), True, True)
    fd = os.open("w/f", os.O_RDONLY)
    changes("w/f", lambda: os.utime("w/f", None), True, True)
    now = time.time_ns()
    assert abs(stamps("w/f")[1] - now) < 2 * S
    assert stamps("w/f")[1] % 1000 or stamps("w/f")[2] % 1000 or stamps("w")[1] % 1000, "no nanoseconds"
for name, (a, m) in cases.items():
    st = os.stat(name)
    if sys.argv[2] != "make":
        assert st.st_mtime_ns == m, (name, st.st_mtime_ns, m)
    assert (st.st_atime_ns, st.st_mtime_ns) == (a, m), (name, st.st_atime_ns, st.st_mtime_ns)
assert os.stat("dir").st_mtime_ns == -6 and os.lstat("link").st_mtime_ns == 8 and os.lstat("link").st_atime_ns == -7
END
py "$WORK/times.py" "$MNT" make
remount_volume
py "$WORK/times.py" "$MNT" check
umount_volume
fsck_volume
