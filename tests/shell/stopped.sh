#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A process is stopped, another one takes over by force, and the first one goes on: it answers and stores nothing any more.
# as: user
# long: a successor by force waits for the lease of the one before
. "${0%/*}/functions.sh"
mount_volume
echo old >"$MNT/file"
echo cached >"$MNT/other"
zerofs flush "$MNT"
cat >"$WORK/hold.py" <<'END'
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
open(sys.argv[2], "w").close()
while not os.path.exists(sys.argv[3]):
    time.sleep(0.05)
try:
    os.write(fd, b"more")
    os.fsync(fd)
    print("written")
except OSError as e:
    print(e)
END
(cd / && exec /usr/bin/python3 "$WORK/hold.py" "$MNT/file" "$WORK/ready" "$WORK/go" >"$WORK/held") &
holder=$!
wait_until 20 test -e "$WORK/ready"
echo lost >"$MNT/unsent" # in memory only
first=$PID
kill -STOP "$first"
mkdir "$WORK/second"
expect 0 timeout 60 env XDG_RUNTIME_DIR="$WORK" zerofs-mount --force "$STORE" "$WORK/second"
echo new >"$WORK/second/file"
env XDG_RUNTIME_DIR="$WORK" zerofs flush "$WORK/second"
kill -CONT "$first"

# Nothing that needs the store succeeds; that it was replaced is known with the first answer of the store.
status=0
timeout 30 sync "$MNT/file" 2>"$WORK/err" || status=$?
[ $status = 1 ] || fail "fsync of a process that was replaced ended with $status"
grep -q 'Stale file handle' "$WORK/err" || fail "the error is $(cat "$WORK/err")"
is_fenced()
{
	! timeout 10 sh -c "echo x >>'$MNT/new'" 2>/dev/null
}
wait_until 20 is_fenced || fail "it still takes writes"
: >"$WORK/go"
wait $holder
grep -q 'Stale file handle' "$WORK/held" || fail "an open file: $(cat "$WORK/held")"
expect 3 zerofs status "$MNT"
printed '^state  *fenced'
! timeout 10 cat "$MNT/file" 2>/dev/null | grep -q old || fail "it shows what was replaced"
[ "$(cat "$WORK/second/file")" = new ] || fail "the new writer shows $(cat "$WORK/second/file")"
kill -TERM "$first"
wait_until 20 is_gone "$first" || fail "it does not end"
[ "$(cat "$WORK/second/file")" = new ]
expect 0 env XDG_RUNTIME_DIR="$WORK" zerofs umount "$WORK/second"
[ "$(zerofs get "$STORE" /file)" = new ] || fail "the file is $(zerofs get "$STORE" /file)"
fsck_volume
