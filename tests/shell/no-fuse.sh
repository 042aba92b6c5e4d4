#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# No /dev/fuse, one that may not be opened, no fusermount3: one line says what is missing, and the volume is let go.
# as: root
. "${0%/*}/functions.sh"
requires_root
requires unshare setpriv
unshare -m true 2>/dev/null || skip "no private mounts here"
chmod 0777 "$WORK"
cat >"$WORK/try.sh" <<'END'
set -e
STORE=$1 MNT=$2 how=$3 user=$4
as="setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent XDG_STATE_HOME=$STORE.state XDG_RUNTIME_DIR="
[ "$user" = root ] && as=
case $how in
none) # in a private /dev
	mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && mknod -m 666 /dev/random c 1 8 ;;
closed)
	mknod -m 600 "$STORE.fuse" c 10 229 && mount --bind "$STORE.fuse" /dev/fuse ;;
module) # the kernel knows no such device
	mknod -m 666 "$STORE.fuse" c 10 254 && mount --bind "$STORE.fuse" /dev/fuse ;;
fusermount)
	: >"$STORE.program" && chmod 755 "$STORE.program"
	mount --bind "$STORE.program" "$(command -v fusermount3)"
	mount -o remount,bind,noexec "$(command -v fusermount3)" ;;
esac
exec timeout 30 $as zerofs-mount "$STORE" "$MNT"
END
setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent XDG_STATE_HOME="$STORE.state" XDG_RUNTIME_DIR= \
	zerofs format "$STORE" >/dev/null
chown 65534 "$MNT"

try()
{
	rm -f "$STORE.fuse" "$STORE.program"
	expect 1 unshare -m --propagation private sh "$WORK/try.sh" "$STORE" "$MNT" "$1" "$2"
	said "$3"
	[ "$(wc -l <"$WORK/err")" = 1 ] || fail "more than one line: $(cat "$WORK/err")"
}

try none user 'no /dev/fuse.*modprobe fuse'
try module user 'no /dev/fuse.*modprobe fuse'
try closed user '/dev/fuse cannot be opened: Permission denied'
try fusermount user 'cannot mount on .*fusermount3'
try none root 'no /dev/fuse.*modprobe fuse'
! is_mounted "$MNT" || fail "something is mounted"
expect 0 zerofs ls "$STORE"
