#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A volume of each stored format as an earlier build wrote it: opened, read, checked, written to. Half of its files are in
# tables, half only in the log behind them.
# as: root
. "${0%/*}/functions.sh"

requires tar
golden=$HERE/golden
[ -d "$golden" ] || golden=$HERE/../golden
for archive in "$golden"/format-*.tar.gz; do
	[ -e "$archive" ] || fail "no golden volume in $golden"
	rm -rf "$STORE" && mkdir "$STORE"
	tar xzf "$archive" -C "$STORE"
	fsck_volume
	[ "$(zerofs get "$STORE" /small)" = 'a small file' ] || fail "$archive: the inline file differs"
	mount_volume --force # its writer died, on a machine that this one cannot ask
	seq 1 60000 | cmp - "$MNT/dir/numbers"
	seq 1 9000 | cmp - "$MNT/dir/later"
	[ "$(readlink "$MNT/link")" = dir/numbers ] || fail "$archive: the symbolic link differs"
	[ "$(stat -c %h "$MNT/dir/numbers")" = 2 ] || fail "$archive: the link count differs"
	[ "$(stat -c %s "$MNT/sparse")" = 5000003 ] || fail "$archive: the sparse file has another size"
	[ "$(tail -c 3 "$MNT/sparse")" = end ] || fail "$archive: the sparse file differs"
	[ ! -e "$MNT/removed" ] || fail "$archive: a removed file came back"
	echo new >"$MNT/new"
	umount_volume
	[ "$(zerofs get "$STORE" /new)" = new ] || fail "$archive: a new file is not there"
	fsck_volume
done
