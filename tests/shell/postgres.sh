#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# PostgreSQL's own benchmark, with the daemon killed under it (ROUNDS times): after the database's recovery every transaction
# that was acknowledged is there, its books balance, and neither checksums nor index checks find anything.
# as: user
# long: a database server
. "${0%/*}/functions.sh"
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
[ -n "$bin" ] || skip "postgresql is not installed"
[ "$(id -u)" != 0 ] || skip "PostgreSQL does not run as root"
PATH=$bin:$PATH
PGHOST=$WORK
PGDATABASE=postgres
PGUSER=tester
PGDATA=$MNT/pg
export PGHOST PGDATABASE PGUSER PGDATA
SERVER=

start_server()
{
	pg_ctl -w -t 120 -l "$WORK/server.log" -o "-c listen_addresses= -c unix_socket_directories=$WORK -c shared_buffers=32MB" start \
		>"$WORK/said" 2>&1 || fail "the server does not start: $(cat "$WORK/said") $(tail -n 20 "$WORK/server.log")"
	SERVER=$(head -n 1 "$PGDATA/postmaster.pid")
}
stop_server()
{
	[ -z "$SERVER" ] || kill -QUIT "$SERVER" 2>/dev/null || true
}
cleanup_fn stop_server
ask()
{
	psql -X -q -A -t -c "$1"
}

cat >"$WORK/writer.py" <<'END'
# Inserts numbers one by one, and notes each after the server has acknowledged it.
import subprocess, sys
first, notes = int(sys.argv[1]), open(sys.argv[2], "a")
p = subprocess.Popen(["psql", "-X", "-q", "-A", "-t"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
try:
    for k in range(first, first + 10**6):
        p.stdin.write("INSERT INTO acked VALUES (%d) RETURNING k;\n" % k)
        p.stdin.flush()
        if p.stdout.readline().strip() != str(k):
            break
        notes.write("%d\n" % k)
        notes.flush()
except (BrokenPipeError, ValueError):
    pass
END

mount_volume
initdb -U tester -A trust --data-checksums >"$WORK/said" 2>&1 || fail "initdb: $(cat "$WORK/said")"
start_server
pgbench -i -q -s 4 >"$WORK/said" 2>&1 || fail "pgbench -i: $(cat "$WORK/said")"
ask 'CREATE TABLE acked (k bigint PRIMARY KEY); CREATE EXTENSION amcheck;'
: >"$WORK/notes"
round=0
while [ $round -lt "${ROUNDS:-4}" ]; do
	round=$((round + 1))
	pgbench -n -c 4 -T 60 >"$WORK/bench" 2>&1 &
	bench=$!
	py "$WORK/writer.py" $((round * 1000000)) "$WORK/notes" &
	writer=$!
	sleep "$(py -c 'import random; print(random.uniform(2, 6))')"
	crash_volume
	kill -QUIT "$SERVER" 2>/dev/null || true
	wait "$bench" || true
	wait "$writer" || true
	wait_until 60 is_gone "$SERVER" || fail "the server does not end"
	mount_volume
	rm -f "$PGDATA/postmaster.pid" "$WORK"/.s.PGSQL.*
	start_server
	ask 'SELECT k FROM acked ORDER BY k' >"$WORK/have"
	sort -n "$WORK/notes" | comm -23 --nocheck-order - "$WORK/have" >"$WORK/lost"
	[ ! -s "$WORK/lost" ] || fail "round $round: $(wc -l <"$WORK/lost") acknowledged transactions are lost"
	ask "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
		AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
		AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)" >"$WORK/balance"
	[ "$(cat "$WORK/balance")" = t ] || fail "round $round: the books do not balance"
	pg_amcheck --heapallindexed >"$WORK/said" 2>&1 || fail "round $round: $(cat "$WORK/said")"
	echo "round $round: $(wc -l <"$WORK/notes") noted transactions, $(ask 'SELECT count(*) FROM pgbench_history') of pgbench"
done
pg_ctl -w -m fast stop >"$WORK/said" 2>&1 || fail "the server does not stop: $(cat "$WORK/said")"
SERVER=
pg_checksums --check >"$WORK/said" 2>&1 || fail "$(cat "$WORK/said")"
umount_volume
fsck_volume
