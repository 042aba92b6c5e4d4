#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What is refused at opening, with which message, and that nothing is made or changed by it.
# as: user
. "${0%/*}/functions.sh"

checksum()
{
	find "$1" -type f -exec sha256sum {} + 2>/dev/null | sort
	find "$1" 2>/dev/null | sort
}

# A mistyped path: nothing is created, whatever is asked.
for c in info ls fsck; do
	expect 1 zerofs $c "$WORK/mistyped/path"
	said 'there is no volume'
done
expect 1 zerofs put "$WORK/mistyped/path" /etc/passwd /x
expect 1 zerofs-mount "$WORK/mistyped/path" "$MNT"
said 'there is no volume at .*nothing was created'
[ ! -e "$WORK/mistyped" ] || fail "a directory was made for a mistyped path"
mkdir "$WORK/empty"
expect 1 zerofs-mount "$WORK/empty" "$MNT"
[ -z "$(ls -A "$WORK/empty")" ] || fail "something was written to an empty directory"

# A store that holds something else.
mkdir "$WORK/other"
echo precious >"$WORK/other/file"
checksum "$WORK/other" >"$WORK/before"
expect 1 zerofs format "$WORK/other"
expect 1 zerofs-mount --create "$WORK/other" "$MNT"
expect 1 zerofs ls "$WORK/other"
checksum "$WORK/other" | cmp -s - "$WORK/before" || fail "a foreign directory was changed"

# Addresses.
expect 1 zerofs ls nowhere://x
said 'nowhere://'
expect 1 zerofs ls "file://$STORE?no_such=1"
said 'no_such'

# Passwords.
expect 0 zerofs format "$STORE"
checksum "$STORE" >"$WORK/before"
ZEROFS_PASSWORD=wrong expect 1 zerofs ls "$STORE"
said '[Pp]assword'
ZEROFS_PASSWORD=wrong expect 1 zerofs-mount "$STORE" "$MNT"
said '[Pp]assword'
ZEROFS_PASSWORD='' expect 1 setsid -w zerofs ls "$STORE"
said 'no password: set ZEROFS_PASSWORD'
echo "$ZEROFS_PASSWORD" >"$WORK/password"
ZEROFS_PASSWORD=wrong expect 0 zerofs ls --password-file "$WORK/password" "$STORE"
ZEROFS_PASSWORD='' ZEROFS_PASSWORD_FILE=$WORK/password expect 0 zerofs ls "$STORE"
: >"$WORK/password"
expect 1 zerofs ls --password-file "$WORK/password" "$STORE"
said 'empty'
expect 1 zerofs ls --password-file "$WORK/none" "$STORE"
checksum "$STORE" | cmp -s - "$WORK/before" || fail "a refused or a reading command changed the store"

# Mount points.
expect 1 zerofs-mount "$STORE" "$WORK/no-such-directory"
said 'no-such-directory'
expect 1 zerofs-mount "$STORE" "$WORK/password"
said 'not a directory'
! is_mounted "$MNT" || fail "something is mounted"
