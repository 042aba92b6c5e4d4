#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Extended attributes through the kernel: values and names to their limits, flags, size queries, namespaces, what
# programs see of them, and that they are stored and go with their files.
# as: user root
. "${0%/*}/functions.sh"
requires setfattr getfattr
mount_volume
cat >"$WORK/xattr.py" <<'END'
import ctypes, errno, os, sys
from syscalls import fails, write_file
os.chdir(sys.argv[1])
root = os.geteuid() == 0
libc = ctypes.CDLL(None, use_errno=True)

write_file("f", b"data"); os.mkdir("d"); os.symlink("f", "l"); os.mkfifo("p")
fails(errno.ENODATA, os.getxattr, "f", "user.a")
fails(errno.ENODATA, os.removexattr, "f", "user.a")
assert os.listxattr("f") == []
before = os.stat("f")
os.setxattr("f", "user.a", b"one")
after = os.stat("f")
assert after.st_ctime_ns > before.st_ctime_ns and after.st_mtime_ns == before.st_mtime_ns
assert os.getxattr("l", "user.a") == b"one"
fails(errno.EEXIST, os.setxattr, "f", "user.a", b"x", os.XATTR_CREATE)
fails(errno.ENODATA, os.setxattr, "f", "user.b", b"x", os.XATTR_REPLACE)
os.setxattr("f", "user.a", b"", os.XATTR_REPLACE)
assert os.getxattr("f", "user.a") == b""
os.setxattr("f", "user.a", bytes(range(256)))

# Sizes: asked for, too small, exact.
def get(size):
    out = ctypes.create_string_buffer(max(size, 1))
    r = libc.getxattr(b"f", b"user.a", out, ctypes.c_size_t(size))
    return out.raw[:r] if r >= 0 and size else r if r >= 0 else -ctypes.get_errno()
def names(size):
    out = ctypes.create_string_buffer(max(size, 1))
    r = libc.listxattr(b"f", out, ctypes.c_size_t(size))
    return out.raw[:r] if r >= 0 and size else r if r >= 0 else -ctypes.get_errno()
assert get(0) == 256 and get(255) == -errno.ERANGE and get(256) == bytes(range(256)) == get(1000)
assert names(0) == 7 and names(6) == -errno.ERANGE and names(7) == b"user.a\0" == names(100)

# Limits.
os.setxattr("f", "user.big", b"\xa5" * 65536)
assert os.getxattr("f", "user.big") == b"\xa5" * 65536
fails(errno.E2BIG, os.setxattr, "f", "user.big", b"x" * 65537)
os.setxattr("f", "user." + "n" * 250, b"long")
fails(errno.ERANGE, os.setxattr, "f", "user." + "n" * 251, b"")
for i in range(3000):
    os.setxattr("d", f"user.name-{i:05}", b"%d" % i)
assert sorted(os.listxattr("d")) == [f"user.name-{i:05}" for i in range(3000)]
for i in range(3000, 4500):
    os.setxattr("d", f"user.name-{i:05}", b"%d" % i)
fails(errno.E2BIG, os.listxattr, "d")
assert os.getxattr("d", "user.name-04499") == b"4499"

# Names that are none, and where no user attributes are.
for name in ("user.", "security.", "trusted."):
    fails(errno.EINVAL if root or name == "user." else errno.EPERM, os.setxattr, "f", name, b"")
for name in ("user", "foo.bar", "system.foo"):
    fails(errno.EOPNOTSUPP, os.setxattr, "f", name, b"")
    fails(errno.EOPNOTSUPP, os.getxattr, "f", name)
for name in ("l", "p"):
    fails(errno.EPERM, os.setxattr, name, "user.a", b"", 0, follow_symlinks=False)
    fails(errno.ENODATA, os.getxattr, name, "user.a", follow_symlinks=False)
if root:
    for name in ("f", "d", "l", "p"):
        for attr in ("trusted.t", "security.s"):
            os.setxattr(name, attr, b"1", follow_symlinks=False)
            assert os.getxattr(name, attr, follow_symlinks=False) == b"1"
            if name in "lp":
                assert attr in os.listxattr(name, follow_symlinks=False)
    assert "trusted.t" in os.listxattr("f")
else:
    fails(errno.EPERM, os.setxattr, "f", "trusted.t", b"1")
    fails(errno.ENODATA, os.getxattr, "f", "trusted.t")
    fails(errno.EPERM, os.setxattr, "f", "security.s", b"1")
fails(errno.ENODATA, os.getxattr, "f", "security.capability")

# By descriptor, also of a file without a name.
fd = os.open("gone", os.O_CREAT | os.O_RDWR)
os.setxattr(fd, "user.a", b"1"); os.unlink("gone"); os.setxattr(fd, "user.b", b"2")
assert sorted(os.listxattr(fd)) == ["user.a", "user.b"] and os.getxattr(fd, "user.a") == b"1"
os.removexattr(fd, "user.a"); assert os.listxattr(fd) == ["user.b"]
os.close(fd)
write_file("r", b"")
os.setxattr("r", "user.a", b"1"); os.rename("r", "s"); os.link("s", "t")
assert os.getxattr("t", "user.a") == b"1"
os.setxattr("t", "user.a", b"2")
assert os.getxattr("s", "user.a") == b"2"
END
py "$WORK/xattr.py" "$MNT"
dump()
{
	(cd "$MNT" && getfattr -h -R -d -m - -e hex f l p r s t . 2>/dev/null | grep -v '^user.name' | sort) || true
}
setfattr -n user.text -v 'some text' "$MNT/s"
[ "$(getfattr --absolute-names --only-values -n user.text "$MNT/s")" = 'some text' ] || fail "getfattr shows another value"
dump >"$WORK/before"
grep -q 'user.big=0xa5' "$WORK/before" || fail "getfattr does not show everything"
remount_volume
dump | cmp - "$WORK/before" || fail "attributes differ after a remount"
sync -f "$MNT"
crash_volume
mount_volume
dump | cmp - "$WORK/before" || fail "attributes differ after a crash"
setfattr -x user.text "$MNT/s"
expect 1 getfattr -n user.text "$MNT/s"
rm -r "$MNT/d" "$MNT/f" "$MNT/t"
setfattr -n user.shown -v 'a value' "$MNT/s"
umount_volume
fsck_volume
for key in $(zerofs debug "$STORE" | grep -o 'log/[0-9a-f]*/[0-9a-f]*'); do zerofs debug "$STORE" "$key"; done >"$WORK/out" 2>&1 || true
printed 'xattr [0-9]* user.shown: 7 bytes "a value"'
printed ' xattrs 2 (.* bytes)'
