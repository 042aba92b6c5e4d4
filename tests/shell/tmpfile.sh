#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# O_TMPFILE: a file without a name, that gets one by linkat(2) at once with all its bytes, and is gone otherwise.
# as: user
# as: root
. "${0%/*}/functions.sh"
mount_volume
mkdir "$MNT/d" "$MNT/closed"
chmod 2755 "$MNT/d"
cat >"$WORK/tmpfile.py" <<'END'
import errno, os, sys
from syscalls import fails, link_open, read_file
os.chdir(sys.argv[1])
def make(flags=0, mode=0o666):
    return os.open("d", os.O_TMPFILE | os.O_RDWR | flags, mode)
before = os.stat("d")
fd = make()
st = os.fstat(fd)
assert st.st_nlink == 0 and st.st_mode == 0o100644 and st.st_uid == os.getuid(), st
assert os.listdir("d") == [] and os.stat("d").st_mtime_ns == before.st_mtime_ns
os.write(fd, b"content" * 20000)
assert os.pread(fd, 7, 70000) == b"content"
link_open(fd, "d/named")
assert os.fstat(fd).st_nlink == 1 and read_file("d/named") == b"content" * 20000
link_open(fd, "d/again")
fails(errno.EEXIST, link_open, make(), "d/named")
fails(errno.ENOENT, link_open, make(os.O_EXCL), "d/never")
assert sorted(os.listdir("d")) == ["again", "named"]
os.unlink("d/again")
# Written through a name of the open file, and truncated by it.
fd = make()
with open(f"/proc/self/fd/{fd}", "wb") as f:
    f.write(b"short")
assert os.fstat(fd).st_size == 5
os.truncate(f"/proc/self/fd/{fd}", 3)
assert os.pread(fd, 10, 0) == b"sho"
fails(errno.ENOTDIR, os.open, "d/named", os.O_TMPFILE | os.O_RDWR)
fails(errno.EINVAL, os.open, "d", os.O_TMPFILE | os.O_RDONLY)
os.chmod("closed", 0o555)
if os.getuid():
    fails(errno.EACCES, os.open, "closed", os.O_TMPFILE | os.O_RDWR)
# One that has no name yet when the power goes.
fd = make()
os.write(fd, b"x" * 300000)
os.fsync(fd)
kept = make()
os.write(kept, b"kept")
link_open(kept, "d/kept")
os.fsync(kept)
print("ready", flush=True)
sys.stdin.read()
END
mkfifo "$WORK/wait"
py "$WORK/tmpfile.py" "$MNT" <"$WORK/wait" >"$WORK/said" 2>"$WORK/why" &
child=$!
exec 3>"$WORK/wait"
is_ready() { grep -q ready "$WORK/said" || is_gone "$child"; }
wait_until 60 is_ready || fail "nothing happens"
grep -q ready "$WORK/said" || fail "$(cat "$WORK/why")"
[ "$(status_of files orphans)" -ge 1 ] || fail "no orphan is counted"
crash_volume
exec 3>&-
wait "$child" || true
mount_volume
[ "$(ls "$MNT/d" | xargs)" = "kept named" ] || fail "after a crash: $(ls "$MNT/d")"
[ "$(cat "$MNT/d/kept")" = kept ] || fail "the content of what was linked is lost"
rm -r "$MNT/d"
umount_volume
fsck_volume
