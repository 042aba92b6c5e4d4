#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# An unlinked file lives until its last close, and is gone afterwards; after a crash too. Its space comes back.
# as: user
. "${0%/*}/functions.sh"
mount_volume
cat >"$WORK/unlinked.py" <<'END'
import os, sys
from syscalls import drop_pages
os.chdir(sys.argv[1])
data = os.urandom(3 << 20)
fd = os.open("f", os.O_RDWR | os.O_CREAT)
os.write(fd, data); os.fsync(fd)
other = os.open("f", os.O_RDONLY)
os.unlink("f")
assert os.fstat(fd).st_nlink == 0 and not os.path.exists("f")
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
assert os.pread(fd, len(data), 0) == data
os.pwrite(fd, b"more", len(data)); os.ftruncate(fd, len(data) + 2); os.fsync(fd)
os.close(fd)
os.posix_fadvise(other, 0, 0, os.POSIX_FADV_DONTNEED)
assert os.pread(other, 10, len(data)) == b"mo"
again = os.open("f", os.O_RDWR | os.O_CREAT | os.O_EXCL)
assert os.fstat(again).st_ino != os.fstat(other).st_ino
if sys.argv[2] == "crash":
    os.kill(int(sys.argv[3]), 9)
END
py "$WORK/unlinked.py" "$MNT" close
no_orphans() { [ "$(status_of files orphans)" = 0 ]; }
nothing_used() { [ "$(status_of files used_bytes)" = 0 ]; }
# The kernel tells of the last close a moment later.
wait_until 10 no_orphans || fail "an orphan is left after the last close"
rm "$MNT/f"
wait_until 10 nothing_used || fail "$(status_of files used_bytes) bytes are still in use"
py "$WORK/unlinked.py" "$MNT" crash "$PID"
wait "$PID" || true
if [ "$(id -u)" = 0 ]; then umount -l "$MNT"; else fusermount3 -u -z "$MNT"; fi
mount_volume
wait_until 10 no_orphans || fail "an orphan is left after a crash"
rm -f "$MNT/f"
wait_until 10 nothing_used || fail "the space of an orphan was not given back: $(status_of files used_bytes) bytes"
umount_volume
fsck_volume
