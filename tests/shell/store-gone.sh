#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The directory of the store is renamed, made read-only, unreadable, or removed below a mounted volume, and put back.
# as: user root
. "${0%/*}/functions.sh"

is_state()
{
	[ "$(zerofs status --json "$MNT" | py -c 'import json, sys; print(json.load(sys.stdin)["state"])')" = "$1" ]
}

mount_volume
echo one >"$MNT/one"
head -c 300000 /dev/urandom >"$WORK/bytes"
cp "$WORK/bytes" "$MNT/bytes"
zerofs flush "$MNT"

# Renamed: it is open, so nothing happens.
mv "$STORE" "$STORE.away"
echo two >"$MNT/two"
timeout 20 zerofs flush "$MNT" || fail "a renamed store is not written to"
[ ! -e "$STORE" ] || fail "something was made at the old place"
mv "$STORE.away" "$STORE"

# Read-only, then unreadable (nothing to root).
if [ "$(id -u)" != 0 ]; then
	find "$STORE" -type d -exec chmod 0555 {} +
	echo three >"$MNT/three"
	expect 1 timeout 30 zerofs flush "$MNT"
	said 'Permission denied'
	expect 1 timeout 20 mkdir "$MNT/dir"
	expect 1 timeout 20 sync "$MNT/three"
	is_state refused || fail "the state is not refused"
	drop_pages "$MNT/bytes"
	timeout 20 cmp "$WORK/bytes" "$MNT/bytes" || fail "a read-only store cannot be read"
	chmod 0000 "$STORE"
	timeout 20 cat "$MNT/three" >"$WORK/three" || fail "what is in memory cannot be read"
	chmod 0755 "$STORE"
	find "$STORE" -type d -exec chmod 0755 {} +
	wait_until 20 is_state ok || fail "it does not go on: $(zerofs status "$MNT")"
	timeout 20 zerofs flush "$MNT" || fail "flush still fails"
	mkdir "$MNT/dir"

	# A user who may only read is told so at once.
	umount_volume
	find "$STORE" -type d -exec chmod 0555 {} +
	expect 1 timeout 20 zerofs-mount "$STORE" "$MNT"
	said 'Permission denied.*-o ro'
	[ "$(wc -l <"$WORK/err")" = 1 ] || fail "more than one line: $(cat "$WORK/err")"
	mount_volume -o ro
	[ "$(cat "$MNT/three")" = three ] || fail "a read-only mount shows something else"
	umount_volume
	find "$STORE" -type d -exec chmod 0755 {} +
	chmod 0000 "$STORE"
	expect 1 timeout 20 zerofs-mount "$STORE" "$MNT"
	said 'Permission denied'
	chmod 0755 "$STORE"
	mount_volume
fi

# Removed: refused, and what stands there later is not taken for it.
zerofs flush "$MNT"
cp -a "$STORE" "$WORK/copy"
rm -rf "$STORE"
echo four >"$MNT/four"
expect 1 timeout 30 zerofs flush "$MNT"
said 'was removed'
[ ! -e "$STORE" ] || fail "a removed store was made anew"
expect 1 timeout 20 mkdir "$MNT/more"
[ "$(cat "$MNT/four")" = four ] || fail "what is in memory cannot be read"
mv "$WORK/copy" "$STORE"
is_state refused || fail "another directory was taken for the store"
kill -TERM "$PID"
sleep 0.5
kill -0 "$PID" || fail "it did not wait for the store"
kill -TERM "$PID"
wait_pid 1
mount_volume
[ "$(cat "$MNT/one")" = one ] || fail "the copy does not open"
echo four >"$MNT/four"
umount_volume
fsck_volume

# Its disk is not mounted: nothing is made there, unless by a command that says so.
mv "$STORE" "$STORE.away"
mkdir "$STORE"
expect 1 timeout 20 zerofs-mount "$STORE" "$MNT"
said 'no volume'
expect 1 timeout 20 zerofs-mount --create "$STORE" "$MNT"
said 'has seen a volume.*mounted?'
[ -z "$(ls -A "$STORE")" ] || fail "something was made in the empty directory"
rmdir "$STORE"
expect 1 timeout 20 zerofs-mount --create "$STORE" "$MNT"
[ ! -e "$STORE" ] || fail "the directory was made"
expect 0 zerofs format "$STORE"
