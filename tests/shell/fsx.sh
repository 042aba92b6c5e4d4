#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Random operations on one file against a copy in memory: fixed and fresh seeds, little memory, several at once.
# as: user
. "${0%/*}/functions.sh"
mount_volume --memory 64M
kids=
for seed in 1 2 "" ""; do
	n=$((${n:-0} + 1))
	# shellcheck disable=SC2086 # an empty seed is none
	fsx "$MNT/file$n" ${seed:-$(py -c 'import random; print(random.randrange(10**6))')} "${FSX_OPERATIONS:-2500}" $((n * 700000)) \
		>"$WORK/fsx$n" 2>&1 &
	kids="$kids $!"
done
failed=
for p in $kids; do wait "$p" || failed=1; done
[ -z "$failed" ] || fail "$(cat "$WORK"/fsx?)"
for n in 1 2 3 4; do cp "$MNT/file$n" "$WORK/copy$n"; done
remount_volume --memory 64M
for n in 1 2 3 4; do cmp "$MNT/file$n" "$WORK/copy$n"; done
umount_volume
fsck_volume
