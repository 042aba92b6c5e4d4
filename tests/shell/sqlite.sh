#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A database: transactions by two processes that take turns, integrity checks, also after a crash.
# as: user
. "${0%/*}/functions.sh"
requires sqlite3
mount_volume
db=$MNT/test.db
sqlite3 "$db" 'PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v BLOB); CREATE INDEX i ON t (k);' >/dev/null
for round in 1 2 3 4; do
	{
		echo "PRAGMA synchronous=FULL; BEGIN;"
		awk -v r=$round 'BEGIN { for (i = 0; i < 1500; i++) printf "INSERT INTO t (k, v) VALUES ('\''%d-%d'\'', randomblob(%d));\n", r, i, i % 700 }'
		echo "COMMIT; DELETE FROM t WHERE id % 7 = $round;"
	} | sqlite3 "$db" >/dev/null
done
[ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || fail "the database is damaged"
sqlite3 "$db" 'SELECT count(*), sum(length(v)), max(k) FROM t' >"$WORK/want"
sqlite3 "$db" 'VACUUM'
crash_volume
mount_volume
[ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || fail "the database is damaged after a crash"
sqlite3 "$db" 'SELECT count(*), sum(length(v)), max(k) FROM t' | cmp - "$WORK/want" || fail "a committed transaction was lost"

# With a write-ahead log, which needs a shared mapping, and a second process.
[ "$(sqlite3 "$db" 'PRAGMA journal_mode=WAL')" = wal ] || fail "no write-ahead log"
for w in 1 2; do
	(
		for i in 1 2 3 4 5 6 7 8 9 10; do
			echo "PRAGMA busy_timeout=30000; INSERT INTO t (k, v) VALUES ('w$w-$i', randomblob(3000));"
		done | sqlite3 "$db" >/dev/null
	) &
	eval "writer$w=\$!"
done
# shellcheck disable=SC2154 # set by eval
wait "$writer1" && wait "$writer2" || fail "a writer failed"
[ "$(sqlite3 "$db" "SELECT count(*) FROM t WHERE k LIKE 'w%'")" = 20 ] || fail "rows of the two writers are missing"
remount_volume
[ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || fail "the database is damaged after a remount"
[ "$(sqlite3 "$db" "SELECT count(*) FROM t WHERE k LIKE 'w%'")" = 20 ] || fail "rows are missing after a remount"
umount_volume
fsck_volume
