#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# stress-ng's file system stressors, each for a few seconds, verifying what they did.
# as: user root
# long: minutes
. "${0%/*}/functions.sh"
requires stress-ng
mount_volume
mkdir "$MNT/t"
# 3: a stressor found that it cannot run here.
stress-ng --temp-path "$MNT/t" --class filesystem --sequential 2 --timeout "${STRESS_SECONDS:-3}" --verify --metrics-brief \
	--exclude bind-mount,binderfs,eventfd,ioprio,procfs,verity,chroot >"$WORK/said" 2>&1 || [ $? = 3 ] ||
	fail "$(grep -E 'fail|error' "$WORK/said" | head -n 20)"
if grep -E 'stress-ng: fail|failed: [1-9]' "$WORK/said"; then fail "see above"; fi
grep -E 'successful run|skipped:|passed:' "$WORK/said" || true
rm -rf "$MNT/t"
umount_volume
fsck_volume
