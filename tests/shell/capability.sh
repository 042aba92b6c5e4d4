#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Capabilities of files: kept by what does not change what runs, gone with a write, a truncate, a chown.
# as: root
. "${0%/*}/functions.sh"
requires_root
mount_volume
cat >"$WORK/capability.py" <<'END'
import errno, os, sys
from syscalls import as_user, fails, fallocate, write_file
os.chdir(sys.argv[1]); os.chmod(".", 0o777)
NAME, A = "security.capability", 54321
VALUE = bytes.fromhex("0100000200200000000000000000000000000000") # cap_net_raw=ep

def has(): return NAME in os.listxattr("f")
def make():
    write_file("f", b"data"); os.chmod("f", 0o777); os.setxattr("f", NAME, VALUE)
    assert has() and os.getxattr("f", NAME) == VALUE
def write():
    fd = os.open("f", os.O_WRONLY); os.pwrite(fd, b"x", 1); os.close(fd)
def allocate():
    fd = os.open("f", os.O_RDWR); fallocate(fd, 0, 0, 100); os.close(fd)

for change in (write, allocate, lambda: os.truncate("f", 2), lambda: os.chown("f", A, -1), lambda: os.chown("f", -1, A),
               lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC))):
    make(); change(); assert not has()
for change in (write, lambda: os.truncate("f", 2)):
    make(); as_user(A, A, [], change); assert not has()
for change in (lambda: os.chmod("f", 0o711), lambda: os.utime("f", (1, 1)), lambda: os.rename("f", "f2") or os.rename("f2", "f"),
               lambda: os.close(os.open("f", os.O_RDWR)), lambda: os.setxattr("f", "user.a", b"1")):
    make(); change(); assert has()
make()
as_user(A, A, [], lambda: fails(errno.EPERM, os.setxattr, "f", NAME, VALUE))
as_user(A, A, [], lambda: fails(errno.EPERM, os.removexattr, "f", NAME))
as_user(A, A, [], lambda: os.getxattr("f", NAME))
END
py "$WORK/capability.py" "$MNT"
remount_volume
[ "$(py -c 'import os, sys; print(os.getxattr(sys.argv[1], "security.capability").hex())' "$MNT/f")" = \
	0100000200200000000000000000000000000000 ] || fail "the capabilities differ after a remount"
echo more >>"$MNT/f"
py -c 'import os, sys; sys.exit("security.capability" in os.listxattr(sys.argv[1]))' "$MNT/f" || fail "an append leaves them"
umount_volume
fsck_volume
