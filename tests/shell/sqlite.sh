#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A database: transactions of one and of several processes, integrity checks, also after a crash.
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

# Several processes write at once: each adds to one counter, which needs it to be read and written under one lock, and
# inserts rows; a reader sees whole transactions only. In all journal modes; a write-ahead log needs a shared mapping.
sqlite3 "$db" 'CREATE TABLE n (v INTEGER); INSERT INTO n VALUES (0)'
cat >"$WORK/writers.py" <<'END'
import os, sqlite3, sys
db, mode, transactions = sys.argv[1], sys.argv[2], 12

def connect():
    c = sqlite3.connect(db, timeout=60, isolation_level=None)
    c.execute("PRAGMA synchronous=NORMAL")
    return c

def write(who):
    c = connect()
    for i in range(transactions):
        c.execute("BEGIN IMMEDIATE")
        n = c.execute("SELECT v FROM n").fetchone()[0]
        c.execute("INSERT INTO t (k, v) VALUES (?, randomblob(3000))", (f"w-{mode}-{who}-{i}",))
        c.execute("UPDATE n SET v = ?", (n + 1,))
        c.execute("COMMIT")

def read():
    c = connect()
    for _ in range(40):
        n, rows = c.execute("SELECT v, (SELECT count(*) FROM t WHERE k LIKE 'w-%') FROM n").fetchone()
        assert n == rows, (n, rows)

c = connect()
got = c.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
assert got == mode, got
before = c.execute("SELECT v FROM n").fetchone()[0]
c.close()
children = []
for who in range(5):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            write(who) if who < 4 else read()
            status = 0
        finally:
            os._exit(status)
    children.append(pid)
for pid in children:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert connect().execute("SELECT v FROM n").fetchone()[0] == before + 4 * transactions
END
for mode in delete truncate persist wal; do
	py "$WORK/writers.py" "$db" $mode || fail "several writers with journal_mode=$mode"
done
remount_volume
[ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || fail "the database is damaged after a remount"
[ "$(sqlite3 "$db" "SELECT count(*) FROM t WHERE k LIKE 'w-%'")" = 192 ] || fail "rows are missing after a remount"
umount_volume
fsck_volume
