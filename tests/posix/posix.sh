#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# posix.sh cases|walk|crowd [SECONDS]: the mount and ext4 get the same calls and must give the same answers.
# as: root
. "${0%/*}/../shell/functions.sh"
mode=${1:?cases, walk or crowd} seconds=${2:-10}
requires_root
requires unshare mkfs.ext4

# In namespaces of its own when an ext4 must be mounted for it.
if [ "$(stat -f -c %T "$WORK")" != ext2/ext3 ] && [ -z "${POSIX_PRIVATE:-}" ]; then
	POSIX_PRIVATE=1 unshare --mount --propagation private "$0" "$@"
	exit
fi

reference_ext4()
{
	mkdir "$WORK/reference"
	[ "$(stat -f -c %T "$WORK")" = ext2/ext3 ] && return
	truncate -s 1G "$WORK/image"
	mkfs.ext4 -q -F "$WORK/image" || skip "mkfs.ext4 fails here"
	mount -o loop "$WORK/image" "$WORK/reference" || skip "no ext4 to compare with: $WORK is none, and none can be mounted"
	rmdir "$WORK/reference/lost+found"
}

mount_volume
mkdir "$MNT/tested"
case $mode in
crowd)
	conform -t "$seconds" crowd "$MNT/tested"
	;;
cases)
	reference_ext4
	conform cases "$WORK/reference" "$MNT/tested" "$HERE"/cases/*.cases
	;;
*)
	reference_ext4
	conform -t "$seconds" walk "$WORK/reference" "$MNT/tested"
	;;
esac
umount_volume
fsck_volume
