#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Who may do what: modes, supplementary groups, sticky and setgid directories, set-id bits, chown.
# as: root
. "${0%/*}/functions.sh"
requires_root
mount_volume
cat >"$WORK/permissions.py" <<'END'
import errno, os, stat, sys
from syscalls import as_user, fails, read_file, write_file
os.chdir(sys.argv[1]); os.umask(0)
A, B, G, H = 54321, 54322, 60001, 60002

os.mkdir("open", 0o777)
def make():
    os.umask(0o027)
    write_file("open/f", b"secret"); os.mkdir("open/d", 0o755)
    os.chmod("open/f", 0o640); os.chown("open/f", -1, G)
    fails(errno.EPERM, os.chown, "open/f", B, -1)
    fails(errno.EPERM, os.chown, "open/f", -1, 60099)
as_user(A, A, [G], make)
st = os.stat("open/f")
assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (A, G, 0o640)
assert stat.S_IMODE(os.stat("open/d").st_mode) == 0o750
as_user(B, B, [], lambda: fails(errno.EACCES, read_file, "open/f"))
as_user(B, B, [G], lambda: read_file("open/f"))
as_user(B, G, [], lambda: read_file("open/f"))
as_user(B, B, [70000 + i for i in range(200)] + [G], lambda: read_file("open/f"))
as_user(B, B, [G], lambda: fails(errno.EACCES, write_file, "open/f", b"x"))
as_user(B, B, [G], lambda: fails(errno.EPERM, os.chmod, "open/f", 0o666))
as_user(B, B, [], lambda: fails(errno.EACCES, os.listdir, "open/d"))
as_user(B, B, [], lambda: fails(errno.EACCES, write_file, "open/d/x", b""))
as_user(B, B, [G], lambda: fails(errno.EPERM, os.utime, "open/f", (1, 1)))
as_user(B, B, [], lambda: fails(errno.EACCES, write_file, "in-root", b""))

# Sticky: only the owner of the file, of the directory, and root remove.
os.mkdir("sticky"); os.chmod("sticky", 0o1777)
as_user(A, A, [], lambda: write_file("sticky/a", b""))
as_user(B, B, [], lambda: fails(errno.EPERM, os.unlink, "sticky/a"))
as_user(B, B, [], lambda: fails(errno.EPERM, os.rename, "sticky/a", "sticky/b"))
def replace():
    write_file("sticky/mine", b"")
    fails(errno.EPERM, os.rename, "sticky/mine", "sticky/a")
as_user(B, B, [], replace)
as_user(A, A, [], lambda: os.unlink("sticky/a"))
os.unlink("sticky/mine")

# A setgid directory passes its group on, and the bit to directories.
os.mkdir("team"); os.chown("team", 0, G); os.chmod("team", 0o2777)
def in_team():
    write_file("team/f", b""); os.mkdir("team/d"); os.symlink("x", "team/s")
as_user(A, A, [], in_team)
assert os.stat("team/f").st_gid == G and os.stat("team/d").st_gid == G and os.lstat("team/s").st_gid == G
assert os.stat("team/d").st_mode & stat.S_ISGID and not os.stat("team/f").st_mode & stat.S_ISGID

# Set-id bits go with a write, a truncate or a chown by an ordinary user.
def set_ids():
    for name, change in (("w", lambda: os.write(os.open("open/w", os.O_WRONLY), b"x")),
                         ("t", lambda: os.truncate("open/t", 1)),
                         ("c", lambda: os.chown("open/c", -1, A))):
        write_file("open/" + name, b"data"); os.chmod("open/" + name, 0o6755)
        assert stat.S_IMODE(os.stat("open/" + name).st_mode) == 0o6755
        change()
        assert stat.S_IMODE(os.stat("open/" + name).st_mode) == 0o755, name
as_user(A, A, [], set_ids)
# chmod by somebody outside of the file's group drops the setgid bit.
write_file("open/g", b""); os.chown("open/g", A, H)
as_user(A, A, [], lambda: os.chmod("open/g", 0o2755))
assert not os.stat("open/g").st_mode & stat.S_ISGID

# A right held since opening stays; access(2) tells the truth.
def hold():
    write_file("open/held", b"data")
    fd = os.open("open/held", os.O_RDWR); os.chmod("open/held", 0)
    assert os.read(fd, 4) == b"data" and os.write(fd, b"x") == 1
    os.ftruncate(fd, 2)
    fails(errno.EACCES, read_file, "open/held")
    assert not os.access("open/held", os.R_OK) and os.access("open/held", os.F_OK)
as_user(A, A, [], hold)
os.chmod("open/held", 0o600); os.chown("open/held", B, B)
as_user(A, A, [], lambda: fails(errno.EACCES, read_file, "open/held"))
as_user(B, B, [], lambda: read_file("open/held"))
END
py "$WORK/permissions.py" "$MNT"
find "$MNT" -printf '%P %m %U %G\n' | sort >"$WORK/before"
remount_volume
find "$MNT" -printf '%P %m %U %G\n' | sort | cmp - "$WORK/before" || fail "owners or modes differ after a remount"
umount_volume
fsck_volume
