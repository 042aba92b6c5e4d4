#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Strange bytes in the names of mount points and stores: spaces, commas, newlines, what is no UTF-8, what looks like an option.
# as: user
. "${0%/*}/functions.sh"
requires_fuse

# works STORE MOUNTPOINT: in the background, with all commands that look for the mount.
works()
{
	expect 0 timeout 30 zerofs-mount "$1" "$2"
	echo "$1 $2" >"$2/file" || fail "cannot write to $2"
	expect 0 zerofs flush "$1"
	expect 0 zerofs status "$2"
	expect 0 timeout 30 zerofs umount "$2"
	[ "$(zerofs get "$1" /file)" = "$1 $2" ] || fail "$1, $2: another file"
}

expect 0 zerofs format "$STORE"
for name in 'two words,' "$(printf 'new\nline\\')" "$(printf 'latin\351')" 'fsname=x' "quote'\"" '#%41'; do
	mkdir "$WORK/$name"
	works "$STORE" "$WORK/$name"
done
cd "$WORK"
mkdir ./-o
works "$STORE" ./-o
for name in 'store two,' "$(printf 'sto\nre\\')" "$(printf 'st\351')" 'st%re&'; do
	expect 0 zerofs format "$WORK/$name"
	works "$WORK/$name" "$MNT"
done
expect 0 zerofs format "file://$WORK/st%3Fre"
works "file://$WORK/st%3Fre" "$MNT"
[ -d "$WORK/st?re" ] || fail "%3F was not decoded"
