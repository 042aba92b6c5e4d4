#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Random operations on one file against a copy in memory: fixed and fresh seeds, little memory, several at once; again with
# the kernel keeping what is written.
# as: user
. "${0%/*}/functions.sh"

fsx_round()
{
	kids= n=0 failed=
	for seed in 1 2 "" ""; do
		n=$((n + 1))
		fsx "$MNT/file$n" "${seed:-$(py -c 'import random; print(random.randrange(10**6))')}" "${FSX_OPERATIONS:-2500}" \
			$((n * 700000)) >"$WORK/fsx$n" 2>&1 &
		kids="$kids $!"
	done
	for p in $kids; do wait "$p" || failed=1; done
	[ -z "$failed" ] || fail "$(cat "$WORK"/fsx?)"
	for n in 1 2 3 4; do cp "$MNT/file$n" "$WORK/copy$n"; done
}

for options in rw exclusive; do
	mount_volume --memory 64M -o $options
	fsx_round
	remount_volume --memory 64M
	for n in 1 2 3 4; do cmp "$MNT/file$n" "$WORK/copy$n"; done
	umount_volume
done
fsck_volume
