#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The mount ends while a process waits for a file lock: it is told, and nothing hangs.
# as: user
. "${0%/*}/functions.sh"
mount_volume
py -c '
import fcntl, os, sys, time
os.chdir(sys.argv[1])
a = os.open("f", os.O_RDWR | os.O_CREAT)
fcntl.flock(a, fcntl.LOCK_EX)
if os.fork() == 0:
    b = os.open("f", os.O_RDWR)
    try:
        fcntl.flock(b, fcntl.LOCK_EX)
    except OSError as e:
        print(e.errno, flush=True)
    os._exit(0)
time.sleep(0.3)
print("waits", flush=True)
os.wait()' "$MNT" >"$WORK/waiter" &
waiter=$!
wait_until 20 grep -q waits "$WORK/waiter" || fail "nobody waits"
kill -TERM "$PID"
wait_pid 0
wait_until 20 is_gone "$waiter" || fail "a process waits for a lock of a mount that ended"
grep -qx '103' "$WORK/waiter" || fail "who waited was told $(cat "$WORK/waiter") instead of ECONNABORTED"
fsck_volume
