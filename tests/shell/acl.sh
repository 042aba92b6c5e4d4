#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Access control lists as setfacl and getfacl have them: what they show and grant, the mask and chmod, what new things
# inherit, the umask where there is nothing to inherit.
# as: user root
. "${0%/*}/functions.sh"
requires setfacl getfacl
mount_volume
cd "$MNT" || exit 1

# acl_of NAME: in one line, without comments.
acl_of()
{
	getfacl -cEn -- "$1" | tr '\n' ' ' | sed 's/ *$//'
}
# shows NAME ACL
shows()
{
	[ "$(acl_of "$1")" = "$2" ] || fail "$1 has \"$(acl_of "$1")\" instead of \"$2\""
}
# has_mode NAME MODE
has_mode()
{
	[ "$(stat -c %a "$1")" = "$2" ] || fail "$1 has mode $(stat -c %a "$1") instead of $2"
}

touch f
chmod 640 f
shows f 'user::rw- group::r-- other::---'
setfacl -m u:1234:rwx,g:2345:r f
shows f 'user::rw- user:1234:rwx group::r-- group:2345:r-- mask::rwx other::---'
has_mode f 670
case $(ls -l f) in
*+*) ;;
*) fail "ls shows no + for an ACL" ;;
esac
chmod 604 f
shows f 'user::rw- user:1234:rwx group::r-- group:2345:r-- mask::--- other::r--'
chmod g+rw f
shows f 'user::rw- user:1234:rwx group::r-- group:2345:r-- mask::rw- other::r--'
setfacl -x u:1234 -x g:2345 f
setfacl -x m f
shows f 'user::rw- group::r-- other::r--'
has_mode f 644
setfacl -m u:1234:r f
setfacl -b f
shows f 'user::rw- group::r-- other::r--'

umask 077
mkdir d
has_mode d 700
expect 1 setfacl -d -m u::rwx f
setfacl -d -m u:1234:rwx,g::rx,o::- d
has_mode d 700
umask 0777
mkdir d/sub
touch d/f
mkfifo d/p
ln -s x d/l
umask 022
shows d/sub 'user::rwx user:1234:rwx group::r-x mask::rwx other::--- default:user::rwx default:user:1234:rwx default:group::r-x default:mask::rwx default:other::---'
shows d/f 'user::rw- user:1234:rwx group::r-x mask::rw- other::---'
shows d/p 'user::rw- user:1234:rwx group::r-x mask::rw- other::---'
has_mode d/f 660
(umask 0 && mkdir -m 701 d/narrow)
shows d/narrow 'user::rwx user:1234:rwx group::r-x mask::--- other::--x default:user::rwx default:user:1234:rwx default:group::r-x default:mask::rwx default:other::---'
getfacl -Rn . >"$WORK/before"
cd /
remount_volume
cd "$MNT"
getfacl -Rn . | cmp - "$WORK/before" || fail "ACLs differ after a remount"
setfacl -k d
mkdir d/late
shows d/late 'user::rwx group::r-x other::r-x'

if [ "$(id -u)" = 0 ]; then
	cat >"$WORK/grants.py" <<'END'
import errno, os, stat, subprocess, sys
from syscalls import as_user, fails, read_file, write_file
os.chdir(sys.argv[1]); os.chmod(".", 0o755)
A, B, G = 54321, 54322, 60001
def acl(name, spec):
    subprocess.run(["setfacl", "-m", spec, name], check=True)
write_file("g", b"secret"); os.chmod("g", 0o600)
as_user(A, A, [], lambda: fails(errno.EACCES, read_file, "g"))
acl("g", f"u:{A}:r")
as_user(A, A, [], lambda: read_file("g"))
as_user(A, A, [], lambda: fails(errno.EACCES, write_file, "g", b"x"))
as_user(B, B, [G], lambda: fails(errno.EACCES, read_file, "g"))
acl("g", f"g:{G}:rw")
as_user(B, B, [G], lambda: read_file("g"))
as_user(B, G, [], lambda: read_file("g"))
as_user(B, B, [], lambda: fails(errno.EACCES, read_file, "g"))
os.chmod("g", 0o600) # the mask
as_user(A, A, [], lambda: fails(errno.EACCES, read_file, "g"))
os.chmod("g", 0o640)
as_user(A, A, [], lambda: read_file("g"))
as_user(A, A, [], lambda: fails(errno.EPERM, os.setxattr, "g", "system.posix_acl_access", b"\2\0\0\0"))
# A directory: search, create, remove.
os.mkdir("grants"); os.chmod("grants", 0o700); write_file("grants/f", b"")
acl("grants", f"u:{A}:x")
as_user(A, A, [], lambda: os.stat("grants/f"))
as_user(A, A, [], lambda: fails(errno.EACCES, os.unlink, "grants/f"))
as_user(A, A, [], lambda: fails(errno.EACCES, os.listdir, "grants"))
acl("grants", f"u:{A}:rwx")
as_user(A, A, [], lambda: (os.listdir("grants"), os.unlink("grants/f"), write_file("grants/own", b"1")))
as_user(B, B, [], lambda: fails(errno.EACCES, os.stat, "grants/own"))
# Setting an ACL keeps the set-gid bit of members of the group only.
write_file("s", b""); os.chown("s", A, G)
for groups, keeps, other in (([G], True, B), ([], False, B + 1)):
    os.chmod("s", 0o2755)
    as_user(A, A, groups, lambda: acl("s", f"u:{other}:r"))
    assert bool(os.stat("s").st_mode & stat.S_ISGID) == keeps, groups
# The attributes of the user namespace follow the ACL too.
acl("g", f"u:{A}:rw")
as_user(A, A, [], lambda: os.setxattr("g", "user.a", b"1"))
as_user(B, B, [], lambda: fails(errno.EACCES, os.getxattr, "g", "user.a"))
END
	py "$WORK/grants.py" "$MNT"
fi
cd /
umount_volume
fsck_volume
