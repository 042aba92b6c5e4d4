#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Few descriptors, few threads, little address space, small files only: it works, or one line says what is missing; many open
# files need no descriptors of the daemon.
# as: user
. "${0%/*}/functions.sh"
requires_fuse
requires prlimit
expect 0 zerofs format "$STORE"

one_line()
{
	[ "$(grep -cv ': warning: ' "$WORK/err")" = 1 ] || fail "not one line: $(cat "$WORK/err")"
}

# Descriptors.
expect 1 prlimit --nofile=20:20 zerofs-mount "$STORE" "$MNT"
said 'only 20 open files are allowed, 64 are needed.*ulimit -n'
one_line
expect 1 prlimit --nofile=20:20 zerofs ls "$STORE"
one_line
prlimit --nofile=64:64 zerofs-mount -f "$STORE" "$MNT" >>"$LOG" 2>&1 </dev/null &
PID=$!
wait_until 20 is_mounted "$MNT" || fail "64 descriptors are not enough"
cat >"$WORK/many.py" <<'END'
import os, resource, sys, threading
d, n = sys.argv[1], int(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
n = min(n, hard - 50)
resource.setrlimit(resource.RLIMIT_NOFILE, (n + 50, hard))
os.mkdir(d + "/many")
def part(k):
    for i in range(k, n, 4):
        fds[i] = os.open("%s/many/%d" % (d, i), os.O_RDWR | os.O_CREAT)
        if i % 10 == 0:
            os.write(fds[i], b"%d" % i * 1000)
fds = [-1] * n
threads = [threading.Thread(target=part, args=(k,)) for k in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
assert -1 not in fds, "a thread failed"
os.fsync(fds[0])
for i in range(0, n, 10):
    assert os.pread(fds[i], 10, 0) == (b"%d" % i * 1000)[:10]
print(n)
END
timeout 60 /usr/bin/python3 "$WORK/many.py" "$MNT" 10000 >"$WORK/out" || fail "ten thousand open files"
[ "$(cat "$WORK/out")" -ge 3000 ] || echo "only $(cat "$WORK/out") open files are allowed here"
[ "$(ls "/proc/$PID/fd" 2>/dev/null | wc -l)" -le 64 ] || fail "the daemon has more descriptors than it may"
umount_volume

# A limit on the size of files is a store that refuses, not the end of the process.
prlimit --fsize=200000:unlimited zerofs-mount -f "$STORE" "$MNT" >>"$LOG" 2>&1 </dev/null &
PID=$!
wait_until 20 is_mounted "$MNT" || fail "not mounted"
head -c 3000000 /dev/urandom >"$MNT/big"
expect 1 timeout 20 sync "$MNT/big"
said 'No space left on device'
prlimit --pid "$PID" --fsize=unlimited:unlimited
timeout 20 sh -c "until sync '$MNT/big'; do sleep 0.2; done" 2>/dev/null || fail "it does not go on"
umount_volume
fsck_volume

# Address space and threads: from hopeless to enough. Never a crash, always one line.
for mb in 20 40 60 80 100 120 150 200 300 400 600; do
	status=0
	prlimit --as=$((mb << 20)) zerofs-mount "$STORE" "$MNT" >"$WORK/out" 2>"$WORK/err" </dev/null || status=$?
	case $status in
	0)
		echo "$mb" >"$MNT/as" || fail "$mb MB: cannot write"
		zerofs umount "$MNT" || fail "$mb MB: umount"
		;;
	1) one_line ;;
	127) ;; # the loader of programs
	*) fail "$mb MB: ended with $status: $(cat "$WORK/err")" ;;
	esac
	! is_mounted "$MNT" || fail "$mb MB: a mount stayed"
done
[ $status = 0 ] || fail "600 MB of address space are not enough"
if [ "$(id -u)" != 0 ]; then
	running=$(ps -L -u "$(id -u)" --no-headers | wc -l)
	for more in 1 2 3 4 5 6 8 10 15 40; do
		status=0
		prlimit --nproc=$((running + more)) zerofs-mount "$STORE" "$MNT" >"$WORK/out" 2>"$WORK/err" </dev/null || status=$?
		case $status in
		0)
			timeout 20 sh -c "echo $more >'$MNT/threads'" || fail "$more threads: cannot write"
			timeout 20 zerofs umount "$MNT" || fail "$more threads: umount"
			;;
		1) one_line ;;
		*) fail "$more threads: ended with $status: $(cat "$WORK/err")" ;;
		esac
		! is_mounted "$MNT" || fail "$more threads: a mount stayed"
	done
fi
fsck_volume
