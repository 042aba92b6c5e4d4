#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Read-only mounts, and mounts that become read-only and back (remount); nosuid, nodev, noexec.
# as: root
. "${0%/*}/functions.sh"
requires_root
cat >"$WORK/refused.py" <<'END'
import errno, os, sys
from syscalls import fails, read_file
os.chdir(sys.argv[1])
for call, args in ((os.mkdir, ("x",)), (os.unlink, ("f",)), (os.rename, ("f", "g")), (os.link, ("f", "g")), (os.symlink, ("a", "s")),
                   (os.chmod, ("f", 0o600)), (os.chown, ("f", 1, 1)), (os.truncate, ("f", 1)), (os.utime, ("f",)), (os.rmdir, ("d",)),
                   (os.open, ("f", os.O_WRONLY)), (os.open, ("n", os.O_RDWR | os.O_CREAT)), (os.open, ("f", os.O_RDONLY | os.O_TRUNC)),
                   (os.mkfifo, ("p",)), (os.access, ("f", os.W_OK))):
    if call is os.access:
        assert not os.access(*args)
    else:
        fails(errno.EROFS, call, *args)
assert read_file("f") == b"data\n" and os.listdir("d") == ["x"] and os.stat("f").st_size == 5
os.close(os.open("f", os.O_RDONLY))
END
mount_volume
mkdir -p "$MNT/d/x"
echo data >"$MNT/f"
before=$(stat -c '%X %Y %Z' "$MNT/f")
# remount MODE: by the system call, as mount(8) may know helpers for the type.
remount() { mount -i -o "remount,$1" "$MNT"; }
remount ro
grep " $MNT " /proc/self/mounts | grep -q ' ro,' || fail "not read-only: $(grep " $MNT " /proc/self/mounts)"
py "$WORK/refused.py" "$MNT"
[ "$(stat -c '%X %Y %Z' "$MNT/f")" = "$before" ] || fail "times have changed"
remount rw
echo more >>"$MNT/f"
# A file that is open for writing holds the remount back.
exec 3>>"$MNT/f"
expect 32 mount -i -o remount,ro "$MNT"
said busy
echo still >&3
exec 3>&-
remount ro
umount_volume
mount_volume
[ "$(cat "$MNT/f")" = "data
more
still" ] || fail "what was written before is not there: $(cat "$MNT/f")"
echo data >"$MNT/f"
umount_volume
mount_volume -o ro
py "$WORK/refused.py" "$MNT"
umount_volume
# Programs, set-id bits and devices.
mount_volume
cp /usr/bin/id "$MNT/id"
chown 12345 "$MNT/id"
chmod 4755 "$MNT/id"
mknod "$MNT/null" c 1 3
[ "$("$MNT/id" -u)" = 12345 ] || fail "root's own mount ignores the set-id bit"
echo x >"$MNT/null" || fail "root's own mount refuses a device"
remount_volume -o nosuid
[ "$("$MNT/id" -u)" = 0 ] || fail "nosuid runs with the set-id bit"
echo x >"$MNT/null"
remount_volume -o nodev
[ "$("$MNT/id" -u)" = 12345 ] || fail "nodev ignores the set-id bit"
expect 1 cat "$MNT/null"
said 'Permission denied'
remount_volume -o noexec
expect 126 sh -c "'$MNT/id'"
umount_volume
fsck_volume
