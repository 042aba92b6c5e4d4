#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Set-id bits, setgid and sticky directories, ownership: each case is played in the mount and in a file system of this
# machine, and the results are compared line by line.
# as: root
. "${0%/*}/functions.sh"
requires_root
case $(stat -f -c %T "$WORK") in
ext2/ext3 | xfs | btrfs | tmpfs) ;;
*) skip "$WORK is on $(stat -f -c %T "$WORK"), which may differ by itself" ;;
esac
cat >"$WORK/cases.py" <<'END'
import ctypes, errno, itertools, os, stat, sys
os.umask(0)
top = sys.argv[1]
os.mkdir(top); os.chmod(top, 0o777); os.chdir(top)
A, B, G, H = 54321, 54322, 60001, 60002
WHO = {"root": (0, 0, []), "owner": (A, A, []), "member": (A, A, [G]), "other": (B, B, []), "othermember": (B, B, [G])}
libc = ctypes.CDLL(None, use_errno=True)

def attempt(call, *args):
    try:
        r = call(*args)
        return "ok" if r is None or isinstance(r, int) else r
    except OSError as e:
        return errno.errorcode[e.errno]

def play(who, call):
    """call() as somebody else, in a child; returns its word."""
    uid, gid, groups = WHO[who]
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
            os.write(w, str(call()).encode())
        finally:
            os._exit(0)
    os.close(w); os.waitpid(pid, 0)
    said = os.read(r, 4096).decode(); os.close(r)
    return said

def look(path):
    try:
        st = os.lstat(path)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "%o %d %d %d" % (st.st_mode, st.st_uid, st.st_gid, st.st_nlink)

number = 0
def new(mode, uid=A, gid=A, what="file"):
    global number
    number += 1
    path = "n%d" % number
    if what == "file":
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY)); os.truncate(path, 100)
    else:
        os.mkdir(path)
    os.chown(path, uid, gid); os.chmod(path, mode)
    return path

def say(*words):
    print(*[str(w).replace(top, "TOP") for w in words])

def write(path):
    fd = os.open(path, os.O_WRONLY); os.write(fd, b"x"); os.close(fd)
def write_nothing(path):
    fd = os.open(path, os.O_WRONLY); os.write(fd, b""); os.close(fd)
def ftruncate(path):
    fd = os.open(path, os.O_RDWR); os.ftruncate(fd, 10); os.close(fd)
def truncate_same(path):
    os.truncate(path, 100)
def open_truncate(path):
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
def allocate(path):
    fd = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, 50)
    finally:
        os.close(fd)
CHANGES = {"write": write, "write nothing": write_nothing, "truncate": lambda p: os.truncate(p, 5), "truncate to the same": truncate_same,
           "ftruncate": ftruncate, "O_TRUNC": open_truncate, "fallocate": allocate, "chown nothing": lambda p: os.chown(p, -1, -1),
           "chown to itself": lambda p: os.chown(p, A, -1), "chgrp": lambda p: os.chown(p, -1, G), "chown": lambda p: os.chown(p, B, G),
           "chmod": lambda p: os.chmod(p, 0o6777), "chmod sticky": lambda p: os.chmod(p, 0o1644), "utime": lambda p: os.utime(p)}

# Set-id bits under every change by everybody; of directories, which keep them, too.
for mode, who, (name, change) in itertools.product((0o6777, 0o6766, 0o2767, 0o4766, 0o2666), WHO, CHANGES.items()):
    path = new(mode)
    word = play(who, lambda: attempt(change, path))
    # The kernel does not tell chown(-1, -1) from what precedes a write: to a stranger it says that nothing was changed.
    if name == "chown nothing" and who.startswith("other"):
        word = "nothing"
    say("file %o" % mode, who, name, word, look(path))
for mode, who, name in itertools.product((0o6777, 0o2767), WHO, ("chown nothing", "chgrp", "chown", "chmod", "chmod sticky")):
    path = new(mode, what="dir")
    say("dir %o" % mode, who, name, play(who, lambda: attempt(CHANGES[name], path)), look(path))
# A file of a group that its owner is not in.
for who, mode in itertools.product(WHO, (0o2755, 0o2644, 0o6711, 0o1777)):
    path = new(0o666, A, H)
    say("foreign group", who, "%o" % mode, play(who, lambda: attempt(os.chmod, path, mode)), look(path))

# What is made in a setgid directory, by members of its group and others.
for dmode, gid, who, mode in itertools.product((0o777, 0o2777, 0o3777), (A, G, H), WHO, (0o644, 0o2755, 0o2644, 0o6755, 0o1777)):
    d = new(dmode, A, gid, "dir")
    made = play(who, lambda: " ".join([attempt(lambda: os.close(os.open(d + "/f", os.O_CREAT | os.O_WRONLY, mode))),
        attempt(os.mkdir, d + "/d", mode), attempt(os.mkfifo, d + "/p", mode), attempt(os.symlink, "x", d + "/s"),
        attempt(os.mknod, d + "/n", mode | stat.S_IFREG), attempt(os.mknod, d + "/c", mode | stat.S_IFCHR, 0x103)]))
    say("in %o %d" % (dmode, gid), who, "%o" % mode, made, *[look(d + "/" + n) for n in "fdpsnc"])

# Sticky directories: who may remove and rename whose.
for dmode, downer, fowner, who in itertools.product((0o777, 0o1777, 0o1775), (0, A, B), (0, A, B), WHO):
    d, e = new(dmode, downer, G, "dir"), new(0o777, B, B, "dir")
    for n in ("f", "g", "h"):
        open(d + "/" + n, "w").close(); os.chown(d + "/" + n, fowner, fowner)
    os.mkdir(d + "/d"); os.chown(d + "/d", fowner, fowner)
    open(e + "/mine", "w").close(); os.chown(e + "/mine", *WHO[who][:2])
    say("sticky %o %d %d" % (dmode, downer, fowner), who, play(who, lambda: " ".join([
        attempt(os.rename, d + "/f", d + "/new"), attempt(os.rename, d + "/g", e + "/g"), attempt(os.rename, e + "/mine", d + "/h"),
        attempt(os.rename, d + "/d", e + "/d"), attempt(os.rmdir, d + "/d"), attempt(os.unlink, d + "/g"), attempt(os.unlink, d + "/h"),
        attempt(os.link, e + "/mine", d + "/l")])), sorted(os.listdir(d)))

# Who may read, search, own and date.
for mode, who in itertools.product((0, 0o4, 0o40, 0o400, 0o222, 0o111, 0o700, 0o70, 0o7, 0o644), WHO):
    path, d = new(mode, A, G), new(mode, A, G, "dir")
    say("rights %o" % mode, who, play(who, lambda: " ".join([
        attempt(lambda: os.close(os.open(path, os.O_RDONLY))), attempt(lambda: os.close(os.open(path, os.O_WRONLY))),
        attempt(lambda: os.close(os.open(path, os.O_RDWR | os.O_APPEND))), attempt(lambda: "ok" if os.listdir(d) == [] else "?"),
        attempt(os.stat, d + "/none"), attempt(os.mkdir, d + "/x"), attempt(os.utime, path), attempt(os.utime, path, (1, 1)),
        attempt(os.truncate, path, 3), attempt(os.chmod, path, 0o640), attempt(os.chown, path, -1, A),
        *[str(os.access(path, m)) for m in (os.R_OK, os.W_OK, os.X_OK)]]).replace(" os.stat_result", "")), look(path), look(d))
END
py "$WORK/cases.py" "$WORK/reference" >"$WORK/want" || fail "the cases fail on the file system of this machine"
for options in rw exclusive; do
	mount_volume -o $options
	py "$WORK/cases.py" "$MNT/$options" >"$WORK/have" || fail "the cases fail in the mount"
	diff "$WORK/want" "$WORK/have" >"$WORK/diff" || fail "-o $options: $(wc -l <"$WORK/diff") lines differ from $(stat -f -c %T "$WORK"):
$(head -n 40 "$WORK/diff")"
	umount_volume
done
[ "$(wc -l <"$WORK/want")" -gt 800 ] || fail "only $(wc -l <"$WORK/want") cases"
fsck_volume
