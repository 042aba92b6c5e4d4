#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# fsck again and again beside a writer that creates, overwrites, renames, deletes, flushes and merges: never a finding.
# as: user
. "${0%/*}/functions.sh"
mount_volume --memory 32M
cat >"$WORK/busy.py" <<'PY'
import os, random, sys
top, stop = sys.argv[1:3]
rnd = random.Random(7)
made, n = [], 0
held = open(top + "/held", "w+b")  # deleted, but open: no finding beside its writer
held.write(b"h" * 50000)
held.flush()
os.unlink(top + "/held")
while not os.path.exists(stop):
    n += 1
    d = f"{top}/d{n % 7}"
    os.makedirs(d, exist_ok=True)
    name = f"{d}/f{n}"
    with open(name, "wb") as f:
        f.write(rnd.randbytes(rnd.choice([10, 3000, 20000, 400000])))
    made.append(name)
    if n % 3 == 0:
        with open(rnd.choice(made), "r+b") as f:
            f.seek(rnd.randrange(0, 100000))
            f.write(rnd.randbytes(9000))
            os.fsync(f.fileno())
    if n % 5 == 0:
        os.rename(made[-1], made[-1] + "r")
        made[-1] += "r"
    if n % 2 == 0 and len(made) > 20:
        os.unlink(made.pop(rnd.randrange(len(made))))
    if n % 50 == 0:
        os.link(made[-1], name + "l")
PY
py "$WORK/busy.py" "$MNT" "$WORK/stop" &
busy=$!
(while [ ! -e "$WORK/stop" ]; do zerofs flush "$MNT"; sleep 0.2; done) &
flusher=$!
stop_busy()
{
	: >"$WORK/stop"
	wait "$busy" "$flusher" || true
}
cleanup_fn stop_busy
sleep 1
end=$(($(date +%s) + 12))
rounds=0
while [ "$(date +%s)" -lt "$end" ]; do
	expect 0 zerofs fsck --data "$STORE"
	printed ': clean$'
	expect 0 zerofs fsck --json "$STORE"
	rounds=$((rounds + 2))
done
kill -0 "$busy" || fail "the writer has ended"
manifest=$(status_of index manifest) flushes=$(status_of index flushes)
stop_busy
[ "$rounds" -ge 6 ] || fail "only $rounds rounds"
[ "$flushes" -gt 1 ] || fail "only $flushes flushes, manifest $manifest"
umount_volume
fsck_volume
