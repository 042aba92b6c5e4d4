#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Several processes create, look up, list, rename and remove in one directory.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/parallel.py" <<'END'
import errno, os, sys
os.mkdir(sys.argv[1] + "/d"); os.chdir(sys.argv[1] + "/d")
P, N = 4, 600
def work(p):
    won = 0
    for i in range(N):
        os.close(os.open("own-%d-%d" % (p, i), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try: # one of all gets each of these
            os.close(os.open("common-%d" % i, os.O_WRONLY | os.O_CREAT | os.O_EXCL)); won += 1
        except FileExistsError:
            assert os.stat("common-%d" % i).st_nlink == 1
        try:
            os.mkdir("dir-%d" % i); won += 1
        except FileExistsError:
            pass
        if i % 3 == 0:
            os.rename("own-%d-%d" % (p, i), "moved-%d-%d" % (p, i))
        elif i % 3 == 1:
            os.unlink("own-%d-%d" % (p, i))
        if i % 100 == 0: # what this process has made is in every list
            names = os.listdir(".")
            assert len(names) == len(set(names))
            mine = {"%s-%d-%d" % ("moved" if k % 3 == 0 else "own", p, k) for k in range(i + 1) if k % 3 != 1}
            assert mine <= set(names)
    return won
kids = []
for p in range(P):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.write(w, b"%d" % work(p)); status = 0
        finally:
            os._exit(status)
    os.close(w); kids.append((pid, r))
won = 0
for pid, r in kids:
    assert os.waitpid(pid, 0)[1] == 0, "a process failed"
    won += int(os.read(r, 20))
assert won == 2 * N, (won, "of", 2 * N)
want = {"common-%d" % i for i in range(N)} | {"dir-%d" % i for i in range(N)}
want |= {"%s-%d-%d" % ("moved" if k % 3 == 0 else "own", p, k) for k in range(N) if k % 3 != 1 for p in range(P)}
assert sorted(os.listdir(".")) == sorted(want)
assert os.stat(".").st_nlink == 2 + N
END
py "$WORK/parallel.py" "$MNT"
ls "$MNT/d" >"$WORK/before"
remount_volume
ls "$MNT/d" | cmp - "$WORK/before"
umount_volume
fsck_volume
