#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# SIGKILL in the middle of work, again and again: what fsync acknowledged, noted outside of the mount, is there; order is kept;
# no torn file is seen. Every third round closes well instead.
# as: user
. "${0%/*}/functions.sh"
mount_volume
mkdir "$MNT/work"
zerofs flush "$MNT"
seed=${SEED:-$(py -c 'import random; print(random.randrange(10**6))')}
echo "journal seed $seed"
round=0
while [ $round -lt "${JOURNAL_ROUNDS:-9}" ]; do
	round=$((round + 1))
	if [ $((round % 3)) = 0 ]; then
		journal write "$MNT/work" "$WORK/notes" $((seed + round)) 0 || fail "the journal failed in round $round, seed $seed"
		umount_volume
	else
		journal write "$MNT/work" "$WORK/notes" $((seed + round)) 60 &
		job=$!
		sleep "$(py -c 'import random, sys; random.seed(int(sys.argv[1])); print(random.uniform(0.2, 2.0))' $((seed + round)))"
		kill -KILL "$PID"
		wait "$job" || fail "the journal failed in round $round, seed $seed"
		wait "$PID" || true
		if [ "$(id -u)" = 0 ]; then umount -l "$MNT"; else fusermount3 -u -z "$MNT"; fi
	fi
	mount_volume
	journal check "$MNT/work" "$WORK/notes" >"$WORK/counts" 2>&1 || fail "round $round, seed $seed: $(cat "$WORK/counts")"
	fsck_volume
done
cat "$WORK/counts"
umount_volume
fsck_volume
