# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that Python does not offer, and small checks for the scripts of this folder."""
import ctypes
import errno
import os

AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE, FALLOC_ZERO, FALLOC_INSERT = 1, 2, 8, 16, 32

_libc = ctypes.CDLL(None, use_errno=True)


def _result(r, *names):
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e), *names[:1])


def renameat2(old, new, flags):
    _result(_libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), ctypes.c_uint(flags)), old)


def fallocate(fd, mode, offset, length):
    _result(_libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def link_open(fd, name):
    """Gives an open file a name, as linkat(2) does by way of /proc."""
    _result(_libc.linkat(AT_FDCWD, os.fsencode(f"/proc/self/fd/{fd}"), AT_FDCWD, os.fsencode(name), 0x400), name)


def fails(wanted, call, *args, **keywords):
    """The call fails with this errno."""
    try:
        call(*args, **keywords)
    except OSError as e:
        if e.errno != wanted:
            raise AssertionError(f"{call.__name__}{args}: {errno.errorcode[e.errno]} instead of "
                                 f"{errno.errorcode[wanted]}") from e
        return
    raise AssertionError(f"{call.__name__}{args} succeeded, {errno.errorcode[wanted]} was expected")


def write_file(path, data):
    with open(path, "wb") as f:
        f.write(data)


def read_file(path):
    with open(path, "rb") as f:
        return f.read()


def drop_pages(path):
    """The next read of the file asks the daemon."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def as_user(uid, gid, groups, call):
    """Runs call() in a child with these credentials; its failure is ours."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            call()
            status = 0
        except BaseException:  # the child must not go on as a second parent
            import traceback
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0, f"the part of uid {uid} gid {gid} groups {groups} failed"
