#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Odd mount points: not there, files, not empty, not ours, in the store itself, relative, mounted on already.
# as: user root
. "${0%/*}/functions.sh"
requires_fuse
expect 0 zerofs format "$STORE"

# refused PATTERN MOUNTPOINT: one line that says so, and nothing is mounted.
refused()
{
	expect 1 timeout 30 zerofs-mount "$STORE" "$2"
	said "$1"
	[ "$(wc -l <"$WORK/err")" = 1 ] || fail "more than one line: $(cat "$WORK/err")"
	! grep -q "$WORK" /proc/self/mountinfo || fail "something is mounted"
}

# The background again, with the daemon and all; $1 is the mount point.
works()
{
	expect 0 timeout 30 zerofs-mount "$STORE" "$1"
	echo "$1" >"$1/file" || fail "cannot write to $1"
	expect 0 zerofs status "$1"
	expect 0 timeout 30 zerofs umount "$1"
	[ "$(zerofs get "$STORE" /file)" = "$1" ] || fail "$1: another file"
}

refused 'No such file' "$WORK/none"
refused 'No such file' ''
: >"$WORK/file"
refused 'not a directory' "$WORK/file"
ln -s none "$WORK/dangling"
refused 'No such file' "$WORK/dangling"
ln -s loop "$WORK/loop"
refused 'symbolic links' "$WORK/loop"
refused 'File name too long' "$WORK/$(printf '%0300d' 0)"
refused 'lies in the store' "$STORE"
mkdir "$STORE/log/dir"
refused 'lies in the store' "$STORE/log/dir"
ln -s "$STORE/log/dir" "$WORK/alias"
refused 'lies in the store' "$WORK/alias"
rmdir "$STORE/log/dir"
if [ "$(id -u)" != 0 ]; then
	refused 'cannot mount on /usr: ' /usr
fi

# Not empty is fine, as with mount(8): what lies there shows again afterwards.
mkdir "$WORK/full"
echo below >"$WORK/full/below"
works "$WORK/full"
[ "$(cat "$WORK/full/below")" = below ]

(
	cd "$WORK"
	works ./full
	works full/../full
	cd full # the shell stays below what is mounted here
	expect 0 timeout 30 zerofs-mount "$STORE" .
	echo dot >"$WORK/full/file"
	expect 0 timeout 30 zerofs umount .
	[ "$(zerofs get "$STORE" /file)" = dot ]
)

# Another volume over the first, and away again.
expect 0 zerofs format "$WORK/second"
expect 0 zerofs-mount "$STORE" "$MNT"
echo first >"$MNT/which"
expect 1 timeout 30 zerofs-mount "$STORE" "$MNT"
said 'in use by process'
[ "$(id -u)" = 0 ] || exit 0 # fusermount3 does not mount over another's mount
expect 0 zerofs-mount "$WORK/second" "$MNT"
echo second >"$MNT/which"
expect 0 zerofs umount "$MNT"
[ "$(cat "$MNT/which")" = first ] || fail "the first mount does not show again"
expect 0 zerofs umount "$MNT"
[ "$(zerofs get "$STORE" /which)" = first ]
[ "$(zerofs get "$WORK/second" /which)" = second ]
