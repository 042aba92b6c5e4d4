#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A store that answers nothing for a while (HANG seconds): its directory lies in another mount, whose process is stopped.
# What is in memory is answered at once while 64 writers wait; then everything goes on, and nothing is lost.
# as: user
. "${0%/*}/functions.sh"
BELOW=$WORK/below
mkdir "$BELOW"
mount_at "$BELOW" "$WORK/lower" --create
LOWER=$PID
STORE=$BELOW/store
mount_volume --memory 32M
go_on()
{
	kill -CONT "$LOWER" 2>/dev/null || true
}
cleanup_fn go_on
mkdir "$MNT/dir"
for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"$MNT/dir/$i"; done
cat >"$WORK/hang.py" <<'END'
import hashlib, os, signal, statistics, sys, time
mnt, lower, hang = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
names = [mnt + "/dir/%d" % i for i in range(1, 10)]
for n in names:
    open(n).read()
os.listdir(mnt + "/dir")
os.kill(lower, signal.SIGSTOP)
stopped = time.monotonic()
kids = []
for k in range(64):
    pid = os.fork()
    if pid == 0:
        fd = os.open(mnt + "/w%d" % k, os.O_WRONLY | os.O_CREAT)
        for i in range(32):
            os.write(fd, bytes([k]) * 65536 if i % 2 else hashlib.shake_128(b"%d %d" % (k, i)).digest(65536))
        os.fsync(fd)
        os._exit(0)
    kids.append(pid)
time.sleep(2)
took = {}
def fresh_read(n):
    fd = os.open(n, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.read(fd, 10) == b"%s\n" % os.path.basename(n).encode()
    os.close(fd)
calls = {"stat": os.stat, "read": fresh_read, "ls": lambda n: os.listdir(mnt + "/dir"), "statfs": lambda n: os.statvfs(mnt)}
i = 0
while time.monotonic() - stopped < hang:
    i += 1
    for name, call in calls.items():
        t = time.monotonic()
        call(names[i % 9])
        took.setdefault(name, []).append(time.monotonic() - t)
    time.sleep(0.02)
waiting = sum(os.waitpid(p, os.WNOHANG)[0] == 0 for p in kids)
os.kill(lower, signal.SIGCONT)
assert waiting == 64, "only %d of 64 writers waited" % waiting
failed = sum(os.waitpid(p, 0)[1] != 0 for p in kids)
bad = False
for name, t in took.items():
    print("%-6s %d calls, median %.1f ms, longest %.1f ms" % (name, len(t), statistics.median(t) * 1000, max(t) * 1000))
    bad |= sorted(t)[-3] > 0.1 # two may be the scheduler's
assert failed == 0, "%d writers failed" % failed
for k in range(64):
    with open(mnt + "/w%d" % k, "rb") as f:
        for i in range(32):
            want = bytes([k]) * 65536 if i % 2 else hashlib.shake_128(b"%d %d" % (k, i)).digest(65536)
            assert f.read(65536) == want, "file %d differs in part %d" % (k, i)
sys.exit("answers from memory took too long" if bad else 0)
END
py "$WORK/hang.py" "$MNT" "$LOWER" "${HANG:-15}" || fail "see above"
umount_volume
fsck_volume
PID=$LOWER
zerofs umount "$BELOW" || fail "the lower mount cannot be unmounted"
wait_pid 0
