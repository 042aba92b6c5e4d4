#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SIGTERM, SIGINT and SIGHUP: idle, under load, while it closes, twice. One signal loses nothing; a second one does not wait.
# as: user root
. "${0%/*}/functions.sh"
expect 0 zerofs format "$STORE"

# Idle, and under load: everything that was written is there.
for signal in TERM INT HUP; do
	mount_volume
	echo "$signal" >"$MNT/idle"
	sh -c "kill -$signal $PID" # a shell ignores INT in what it puts into the background
	if [ "$signal" = INT ]; then
		sleep 0.2
		! is_gone "$PID" || fail "an ignored INT was not ignored"
		kill -TERM "$PID"
	fi
	wait_pid 0
	! is_mounted "$MNT" || fail "still mounted after $signal"
	[ "$(zerofs get "$STORE" /idle)" = "$signal" ] || fail "$signal lost a file"
done
mount_volume
cat >"$WORK/load.py" <<'END'
import os, sys
d = os.open(sys.argv[1], os.O_RDONLY) # not by its name: that leads below the mount when it has gone
n = 0
try:
    while True:
        fd = os.open("f%d" % n, os.O_WRONLY | os.O_CREAT, dir_fd=d)
        os.write(fd, b"x" * (n % 5000))
        os.close(fd)
        n += 1
except OSError:
    pass
print(n)
END
(cd / && py "$WORK/load.py" "$MNT" >"$WORK/written") &
load=$!
sleep 1
kill -TERM "$PID"
wait_pid 0
wait "$load"
n=$(cat "$WORK/written")
[ "$n" -gt 10 ] || fail "only $n files were written: this shows nothing"
mount_volume
i=0
while [ "$i" -lt "$n" ]; do
	[ -e "$MNT/f$i" ] || fail "file $i of $n is not there"
	i=$((i + 1))
done
umount_volume

# While it closes: a first signal loses nothing, a second one does not wait.
SOURCE="file://$STORE?delay_ms=50"
for signals in 1 2; do
	mount_volume
	echo "closing $signals" >"$MNT/closing"
	if [ "$(id -u)" = 0 ]; then umount "$MNT"; else fusermount3 -u "$MNT"; fi
	kill -TERM "$PID"
	[ $signals = 1 ] || { sleep 0.1 && kill -TERM "$PID"; }
	wait_until 20 is_gone "$PID" || fail "it does not end"
	if [ $signals = 1 ]; then
		wait_pid 0
		[ "$(zerofs get "$STORE" /closing)" = 'closing 1' ] || fail "a signal while it closed lost a file"
	else
		ended=0
		wait "$PID" || ended=$?
		[ "$ended" -le 1 ] || fail "it ended with $ended"
	fi
done
fsck_volume
