#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Random operations on files against copies in memory, each configuration of fsx for some seconds, with little memory; what
# was synced is there after a crash. Again with the kernel keeping what is written.
# as: user
. "${0%/*}/functions.sh"

# start OPTION...: one configuration in the background; FSX_SEED repeats a run.
start()
{
	n=$((n + 1))
	fsx -s "${FSX_SEED:-$(py -c 'import random; print(random.randrange(10**6))')}" -n "${FSX_OPERATIONS:-1000}" "$@" "$MNT/file$n" \
		>"$WORK/fsx$n" 2>&1 &
	kids="$kids $!"
}

fsx_round()
{
	n=0 kids='' failed=
	start -l 700000
	start -l 2800000
	start -l 300001 -x direct # the page cache alone, odd sizes
	start -l 300000 -o read,write,truncate,punch,zero,direct
	start -l 1000000 -o read,map,truncate,punch,allocate,fsync
	start -l 200000 -p 3
	start -l 200003 -p 3 -x direct,map # parts that share pages
	start -l 5000                      # in the inode, and just no more
	for p in $kids; do wait "$p" || failed=1; done
	[ -z "$failed" ] || fail "$(cat "$WORK"/fsx?)"
	for i in $(seq $n); do cp "$MNT/file$i" "$WORK/copy$i"; done
}

for options in rw exclusive; do
	mount_volume --memory 64M -o $options
	fsx_round
	crash_volume
	mount_volume --memory 64M
	for i in $(seq $n); do cmp "$MNT/file$i" "$WORK/copy$i"; done
	umount_volume
done
fsck_volume
