#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The n-th allocation of a command or of a mount fails, once or from then on: one line, or it works; never a crash, never a volume
# that was damaged. For some seconds; the seed says which n.
# as: user
. "${0%/*}/functions.sh"
requires_fuse
[ -e "$TEST_BIN/nomem.so" ] || skip "nomem.so was not built"
! ldd "$ZEROFS_BIN/zerofs" | grep -q 'lib[at]san' || skip "a sanitizer has its own malloc"
seed=${NOMEM_SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
echo "NOMEM_SEED=$seed"
expect 0 zerofs format "$STORE"
echo small >"$WORK/small"
head -c 300000 /dev/urandom >"$WORK/large"
expect 0 zerofs put "$STORE" "$WORK/large" /large

# preloaded COMMAND...: its status is 0 or 1; 1 says why in one line. Sets `status`.
preloaded()
{
	status=0
	timeout 30 env LD_PRELOAD="$TEST_BIN/nomem.so" NOMEM_NTH="$n" ${sticky:+NOMEM_STICKY=1} "$@" \
		>"$WORK/out" 2>"$WORK/err" </dev/null || status=$?
	what="n=$n ${sticky:+sticky} $*"
	case $status in
	0) ;;
	1 | 2) [ "$(grep -cv ': warning: ' "$WORK/err")" = 1 ] || fail "$what: not one line: $(cat "$WORK/err")" ;;
	*) fail "$what ended with $status: $(cat "$WORK/err")" ;;
	esac
}

cat >"$WORK/use.py" <<'END'
import os, sys
d = sys.argv[1]
for i in range(20):
    try:
        name = "%s/f%d" % (d, i)
        with open(name, "wb") as f:
            f.write(b"x" * (i * 3000))
            os.fsync(f.fileno())
        os.listdir(d)
        os.rename(name, name + ".new")
        open(name + ".new", "rb").read()
        if i % 2:
            os.unlink(name + ".new")
    except OSError as e:
        if e.errno not in (5, 12, 116, 2, 107):  # EIO, ENOMEM, ESTALE, then what failed is not there
            raise
END
mounted()
{
	is_mounted "$MNT" || is_gone "$PID"
}
# Without any memory it takes several signals, of which the last one ends the process.
end_it()
{
	kill -TERM "$PID"
	for more in ${sticky:+2 3}; do
		sleep 0.3
		kill -TERM "$PID" 2>/dev/null || true
	done
}
try_mount()
{
	: >"$WORK/err"
	LD_PRELOAD=$TEST_BIN/nomem.so NOMEM_NTH=$n NOMEM_STICKY=$sticky
	export LD_PRELOAD NOMEM_NTH
	[ -z "$sticky" ] || export NOMEM_STICKY
	zerofs-mount -f "$STORE" "$MNT" 2>"$WORK/err" </dev/null &
	PID=$!
	unset LD_PRELOAD NOMEM_NTH NOMEM_STICKY
	wait_until 30 mounted || fail "n=$n: neither mounted nor ended: $(cat "$WORK/err")"
	if is_mounted "$MNT"; then
		/usr/bin/python3 "$WORK/use.py" "$MNT" &
		user=$!
		# Without any memory an fsync waits for some to come back.
		[ -z "$sticky" ] || { wait_until 1 is_gone $user || end_it; }
		wait $user || fail "n=$n ${sticky:+sticky}: see above"
		is_gone "$PID" || end_it
	fi
	wait_until 20 is_gone "$PID" || fail "n=$n ${sticky:+sticky}: it does not end: $(cat "$WORK/err")"
	status=0
	wait "$PID" || status=$?
	[ "$status" -le 1 ] || fail "mount: n=$n ${sticky:+sticky} ended with $status: $(cat "$WORK/err")"
	! is_mounted "$MNT" || fail "n=$n: a mount stayed"
}

# The first ones of all.
for n in 1 2 3 4; do
	for sticky in '' 1; do
		preloaded zerofs ls "$STORE"
		preloaded zerofs-mount "$STORE" "$WORK/nowhere"
	done
done
end=$(($(date +%s) + 7)) round=0
while [ "$(date +%s)" -lt $end ]; do
	seed=$(((seed * 16807 + 1) % 2147483647)) round=$((round + 1))
	sticky=
	[ $((seed / 7 % 3)) != 0 ] || sticky=1
	n=$((seed / 31 % 400 + 1))
	case $((round % 5)) in
	0) preloaded zerofs ls -a "$STORE" ;;
	1) preloaded zerofs get "$STORE" /large ;;
	2) preloaded zerofs put "$STORE" "$WORK/small" /small ;;
	3) preloaded zerofs fsck "$STORE" ;;
	4) n=$((n * 5)) && try_mount ;;
	esac
done
fsck_volume
zerofs get "$STORE" /large | cmp - "$WORK/large"
