#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Standard streams closed at the start, a terminal that goes away, output that nobody reads or takes: no file of ours gets their
# numbers, and no message ends up in one.
# as: user
. "${0%/*}/functions.sh"
requires_fuse
expect 0 zerofs format "$STORE"

check()
{
	wait_until 20 is_mounted "$MNT" || fail "$1: not mounted"
	echo "$1" >"$MNT/file"
	timeout 20 zerofs umount "$MNT" || fail "$1: umount"
	[ "$(zerofs get "$STORE" /file)" = "$1" ] || fail "$1: another file"
}

zerofs-mount "$STORE" "$MNT" <&-
check 'no input'
zerofs-mount "$STORE" "$MNT" >&-
check 'no output'
zerofs-mount "$STORE" "$MNT" 2>&-
check 'no errors'
zerofs-mount "$STORE" "$MNT" <&- >&- 2>&-
check 'nothing, in the background'
zerofs-mount -d "$STORE" "$MNT" <&- >&- 2>&- &
check 'nothing, in the foreground'
wait
zerofs put "$STORE" - /put <&- >&- 2>&- || true
zerofs ls "$STORE" <&- >&- 2>&- || true
fsck_volume

# What is not taken is an error: a full device, a reader that has gone.
expect 1 sh -c "zerofs get '$STORE' /file >/dev/full"
said 'No space left on device'
expect 1 sh -c "zerofs ls '$STORE' >/dev/full"
expect 1 sh -c "zerofs info '$STORE' >/dev/full"
expect 1 sh -c "zerofs fsck '$STORE' >/dev/full"
head -c 3000000 /dev/urandom >"$WORK/big"
expect 0 zerofs put "$STORE" "$WORK/big" /big
zerofs get "$STORE" /big | head -c 10 >/dev/null || true

# The terminal goes: the foreground ends as with SIGHUP and loses nothing; the background and nohup go on.
cat >"$WORK/terminal.py" <<'END'
import os, pty, subprocess, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
end = time.time() + 20
while time.time() < end and not any(sys.argv[-1] in l for l in open("/proc/self/mountinfo")):
    time.sleep(0.05)
open(sys.argv[-1] + "/file", "w").write("terminal\n")
os.close(fd)
time.sleep(0.5)
END
py "$WORK/terminal.py" zerofs-mount -f "$STORE" "$MNT"
wait_until 20 sh -c "! grep -q ' $MNT ' /proc/self/mountinfo" || fail "the foreground goes on without its terminal"
wait_until 20 zerofs info "$STORE" >/dev/null
[ "$(zerofs get "$STORE" /file)" = terminal ] || fail "a hangup lost a file"
py "$WORK/terminal.py" zerofs-mount "$STORE" "$MNT"
check 'a terminal that has gone'
py "$WORK/terminal.py" nohup zerofs-mount -f "$STORE" "$MNT"
check 'nohup'
