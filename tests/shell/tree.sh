#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A tree of some thousand files is unpacked, compared, compared after a remount, copied inside, removed.
# as: user root
. "${0%/*}/functions.sh"
mount_volume
mkdir "$WORK/tree"
cp -a /usr/include/linux /usr/include/asm-generic "$WORK/tree/" 2>/dev/null || cp -a /usr/share/doc "$WORK/tree/" 2>/dev/null ||
	fail "no tree to copy"
head -c 7000000 /dev/urandom >"$WORK/tree/large"
tar -C "$WORK" --format=posix -cf "$WORK/tree.tar" tree # times in nanoseconds
tar -C "$MNT" -xf "$WORK/tree.tar"
diff -r --no-dereference "$WORK/tree" "$MNT/tree"
cp -a "$MNT/tree" "$MNT/copy"
remount_volume
diff -r --no-dereference "$WORK/tree" "$MNT/tree"
diff -r --no-dereference "$WORK/tree" "$MNT/copy"
attributes()
{
	(cd "$1" && find . -type d -printf '%P %m %T@\n' -o -printf '%P %s %m %T@ %l\n' | sort)
}
attributes "$WORK/tree" >"$WORK/want"
attributes "$MNT/tree" | diff "$WORK/want" - || fail "times or modes differ"
tar -C "$MNT" -cf - tree | tar -tf - | wc -l >"$WORK/count"
rm -rf "$MNT/tree" "$MNT/copy"
[ -z "$(ls -A "$MNT")" ] || fail "something is left: $(ls -A "$MNT")"
nothing_used() { [ "$(status_of files used_inodes) $(status_of files used_bytes)" = "1 0" ]; }
wait_until 15 nothing_used ||
	fail "$(status_of files used_inodes) inodes, $(status_of files used_bytes) bytes in use by an empty volume"
umount_volume
fsck_volume
