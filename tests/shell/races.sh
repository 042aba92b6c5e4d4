#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Many mounts in a row; two that race for one volume; commands while it is mounted; a killed process with files and locks.
# as: user
. "${0%/*}/functions.sh"
requires_fuse
mkdir "$WORK/a" "$WORK/b"
expect 0 zerofs format "$STORE"

i=0
while [ $i -lt 10 ]; do
	expect 0 zerofs-mount "$STORE" "$MNT"
	echo $i >"$MNT/$i"
	expect 0 zerofs umount "$MNT"
	i=$((i + 1))
done
[ "$(zerofs ls "$STORE" | wc -l)" -ge 10 ] || fail "files are missing: $(zerofs ls "$STORE")"

# Exactly one wins, the other says who has it, and nobody waits for ever.
i=0
while [ $i -lt 10 ]; do
	timeout 60 zerofs-mount "$STORE" "$WORK/a" 2>"$WORK/err.a" &
	a=$!
	timeout 60 zerofs-mount "$STORE" "$WORK/b" 2>"$WORK/err.b" &
	b=$!
	ra=0 rb=0
	wait $a || ra=$?
	wait $b || rb=$?
	case $ra$rb in
	01) won=a lost=b ;;
	10) won=b lost=a ;;
	*) fail "round $i ended with $ra and $rb: $(cat "$WORK/err.a" "$WORK/err.b")" ;;
	esac
	grep -q 'in use by process' "$WORK/err.$lost" || fail "round $i: $(cat "$WORK/err.$lost")"
	! is_mounted "$WORK/$lost" || fail "round $i: both are mounted"
	expect 0 zerofs umount "$WORK/$won"
	i=$((i + 1))
done

# Commands beside a mount: reading works, writing is refused.
mount_volume
echo one >"$MNT/one"
zerofs flush "$MNT"
expect 0 timeout 30 zerofs fsck "$STORE"
expect 0 timeout 30 zerofs get "$STORE" /one
printed '^one$'
expect 1 timeout 30 zerofs put "$STORE" /etc/passwd /two
said 'in use by process'
expect 1 timeout 30 zerofs format "$STORE"
umount_volume

# A mount while a command holds the volume: one of both is refused, and nothing breaks.
head -c 8000000 /dev/urandom >"$WORK/big"
timeout 30 zerofs put "$STORE" "$WORK/big" /big 2>"$WORK/err.put" &
put=$!
rm=0 rp=0
timeout 60 zerofs-mount "$STORE" "$MNT" 2>"$WORK/err.mount" || rm=$?
wait $put || rp=$?
[ $rm = 0 ] || [ $rp = 0 ] || fail "neither worked: $(cat "$WORK/err.put" "$WORK/err.mount")"
[ $rm != 0 ] || zerofs umount "$MNT"
[ $rp != 0 ] || zerofs get "$STORE" /big | cmp - "$WORK/big"

# A process that is killed lets go of its files: an unlinked one is freed, the mount can be removed.
mount_volume
cat >"$WORK/hold.py" <<'END'
import fcntl, os, sys, time
fds = []
for i in range(200):
    fd = os.open("%s/held%d" % (sys.argv[1], i), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 10000)
    fcntl.flock(fd, fcntl.LOCK_EX)
    fds.append(fd)
for i in range(0, 200, 2):
    os.unlink("%s/held%d" % (sys.argv[1], i))
open(sys.argv[2], "w").close()
time.sleep(100)
END
(cd / && exec /usr/bin/python3 "$WORK/hold.py" "$MNT" "$WORK/ready") &
holder=$!
wait_until 20 test -e "$WORK/ready" || fail "the files could not be made"
[ "$(status_of files orphans)" = 100 ] || fail "$(status_of files orphans) orphans"
kill -KILL $holder
wait $holder 2>/dev/null || true
no_orphans()
{
	[ "$(status_of files orphans)" = 0 ]
}
wait_until 20 no_orphans || fail "$(status_of files orphans) orphans stay"
flock -n -x "$MNT/held1" true || fail "the lock of a killed process holds"
umount_volume
fsck_volume
