# SPDX-License-Identifier: GPL-3.0-or-later
"""File locks as programs use them; each function of the table is one behaviour. Children report by
their exit status: 0, or the errno of what failed."""
import errno
import fcntl
import os
import signal
import struct
import sys
import threading
import time

F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
RD, WR, UN = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
MAX = 2**63 - 1


def flock_arg(kind, start, length):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)


def set_lock(fd, kind, start=0, length=0, command=fcntl.F_SETLK):
    fcntl.fcntl(fd, command, flock_arg(kind, start, length))


def wait_lock(fd, kind, start=0, length=0):
    set_lock(fd, kind, start, length, fcntl.F_SETLKW)


def get_lock(fd, kind, start=0, length=0, command=fcntl.F_GETLK):
    """(type, start, length, pid) of what is in the way, or None."""
    kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, flock_arg(kind, start, length)))
    return None if kind == UN else (kind, start, length, pid)


def opened(name="f", flags=os.O_RDWR):
    return os.open(name, flags | os.O_CREAT, 0o644)


class Child:
    """A process that runs call(step), in which step() waits for the parent's go()."""

    def __init__(self, call):
        there, self.to = os.pipe()
        self.back, here = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(there)
            os.close(here)
            return
        os.close(self.to)
        os.close(self.back)
        status = 0

        def step():
            os.write(here, b".")
            if not os.read(there, 1):
                os._exit(99)
        try:
            call(step)
        except OSError as e:
            status = e.errno
        except BaseException as e:  # pylint: disable=broad-except
            print(f"child: {e!r}", flush=True)
            status = 255
        os._exit(status)

    def at_step(self):
        """Waits until the child is at its next step()."""
        assert os.read(self.back, 1) == b"."

    def go(self):
        os.write(self.to, b"!")

    def end(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.to)
        os.close(self.back)
        return status


def in_child(call):
    """The errno that another process gets from call()."""
    return Child(lambda step: call()).end()


def refused(kind, start=0, length=0, name="f"):
    """Whether another process is refused this lock."""
    r = in_child(lambda: set_lock(opened(name), kind, start, length))
    assert r in (0, errno.EAGAIN), r
    return r == errno.EAGAIN


def is_blocked(pid):
    """Sleeping in the kernel for a while: in a request of the mount, as far as these children go."""
    for _ in range(3):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            state = f.read().rsplit(")", 1)[1].split()[0]
        assert state != "Z", f"process {pid} ended instead of waiting"
        if state not in "SD":
            return False
        time.sleep(0.03)
    return True


def wait_blocked(pid):
    while not is_blocked(pid):
        time.sleep(0.01)


# ---- what releases a lock ----

def close_read_only():
    """The process closes a descriptor that is open for reading only, and another one may write."""
    fd = opened(flags=os.O_RDONLY)
    set_lock(fd, RD)
    assert refused(WR) and not refused(RD)
    os.close(fd)
    assert not refused(WR)


def close_any():
    """POSIX: closing any descriptor of the file releases all locks of the process on it."""
    a, b = opened(), opened(flags=os.O_RDONLY)
    set_lock(a, WR, 10, 10)
    assert refused(RD, 0, 11) and not refused(RD, 0, 10)
    os.close(b)
    assert not refused(WR)
    c = os.dup(a)
    set_lock(a, WR)
    os.close(c)
    assert not refused(WR)
    os.close(a)


def fork_inherits_nothing():
    """A child has the descriptor and not the lock; its close releases nothing of the parent's."""
    fd = opened()
    set_lock(fd, WR)
    assert in_child(lambda: set_lock(fd, RD)) == errno.EAGAIN
    assert in_child(lambda: os.close(fd)) == 0
    assert refused(RD)
    # The parent's close does release, although the child has the open file still.
    child = Child(lambda step: step())
    child.at_step()
    os.close(fd)
    assert not refused(WR)
    child.go()
    assert child.end() == 0


def killed_holder():
    def hold(step):
        set_lock(opened(), WR)
        fcntl.flock(opened("g"), fcntl.LOCK_EX)
        set_lock(opened("h"), WR, 5, 5, F_OFD_SETLK)
        step()
    child = Child(hold)
    child.at_step()
    fd, g, h = opened(), opened("g"), opened("h")
    assert get_lock(fd, RD) == (WR, 0, 0, child.pid)
    waiters = [Child(lambda step: wait_lock(fd, WR)),
               Child(lambda step: fcntl.flock(opened("g"), fcntl.LOCK_EX)),
               Child(lambda step: set_lock(opened("h"), WR, 0, 0, F_OFD_SETLKW))]
    for w in waiters:
        wait_blocked(w.pid)
    os.kill(child.pid, signal.SIGKILL)
    assert child.end() == -signal.SIGKILL
    for w in waiters:
        assert w.end() == 0
    set_lock(fd, WR)
    fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
    set_lock(h, WR, 0, 0, F_OFD_SETLKW)
    for x in fd, g, h:
        os.close(x)


def exec_keeps():
    """A POSIX lock belongs to the process, so it is there after exec."""
    fd = opened()
    os.set_inheritable(fd, True)

    def hold(step):
        set_lock(fd, WR)
        step()
        os.execv("/bin/sleep", ["sleep", "60"])
    child = Child(hold)
    child.at_step()
    child.go()
    while os.readlink(f"/proc/{child.pid}/exe").endswith("python3") or \
            "python" in os.readlink(f"/proc/{child.pid}/exe"):
        time.sleep(0.01)
    assert refused(RD)
    assert get_lock(fd, RD)[3] == child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.end()
    assert not refused(RD)
    os.close(fd)


# ---- ranges ----

def ranges():
    fd = opened()
    set_lock(fd, RD, 0, 100)
    set_lock(fd, WR, 40, 20)

    def look():
        g = opened()
        assert get_lock(g, RD) == (WR, 40, 20, os.getppid()), get_lock(g, RD)
        assert get_lock(g, WR) == (RD, 0, 40, os.getppid())
        assert get_lock(g, WR, 60) == (RD, 60, 40, os.getppid())
        assert get_lock(g, WR, 100) is None
        assert get_lock(g, RD, 60, 1) is None
    assert in_child(look) == 0
    assert get_lock(fd, WR) is None  # one's own is not in the way
    set_lock(fd, UN, 50, 0)
    assert refused(RD, 49, 1) and not refused(WR, 50, 0)
    set_lock(fd, WR, MAX - 5, 0)
    assert refused(RD, MAX, 1) and not refused(RD, 1000, 1)
    set_lock(fd, UN)
    assert not refused(WR)
    os.close(fd)
    ro, wo = opened(flags=os.O_RDONLY), opened(flags=os.O_WRONLY)
    for f, kind in (ro, WR), (wo, RD):
        try:
            set_lock(f, kind)
            raise AssertionError("a lock that the open mode does not allow")
        except OSError as e:
            assert e.errno == errno.EBADF
    os.close(ro)
    os.close(wo)


def ten_thousand():
    fd = opened()
    started = time.monotonic()
    for i in range(10000):
        set_lock(fd, WR, 2 * i, 1)
    assert refused(WR, 19998, 1) and not refused(WR, 19999, 1)
    for i in range(10000):
        set_lock(fd, RD, 2 * i, 1)
    assert refused(WR) and not refused(RD)
    for i in range(10000):
        set_lock(fd, UN, 2 * i, 1)
    assert not refused(WR)
    print(f"30000 changes of 10000 locks took {time.monotonic() - started:.2f} s")
    os.close(fd)


# ---- waiting ----

def fifo():
    """Who came first is served first."""
    fd = opened()
    set_lock(fd, WR)
    order = opened("order", os.O_RDWR | os.O_APPEND)
    waiters = []
    for n in range(12):
        def take(step, n=n):
            g = opened()
            wait_lock(g, WR, 10, 10)
            os.write(order, bytes([n]))
            set_lock(g, UN)
        waiters.append(Child(take))
        wait_blocked(waiters[-1].pid)
    set_lock(fd, UN)
    for w in waiters:
        assert w.end() == 0
    with open("order", "rb") as f:
        assert f.read() == bytes(range(12))
    os.close(order)
    os.close(fd)


def many_waiters():
    """Two hundred processes for one lock, which protects a counter; and no thread of the mount for each."""
    fd = opened()
    counter = opened("counter")
    os.pwrite(counter, b"0", 0)
    set_lock(fd, WR)

    def add(step):
        g = opened()
        for _ in range(2):
            wait_lock(g, WR)
            n = int(os.pread(counter, 20, 0))
            os.pwrite(counter, str(n + 1).encode(), 0)
            set_lock(g, UN)
    children = [Child(add) for _ in range(200)]
    for c in children[-5:]:
        wait_blocked(c.pid)
    assert open("other", "wb").write(b"x") == 1  # everything else goes on
    set_lock(fd, UN)
    for c in children:
        assert c.end() == 0
    assert os.pread(counter, 20, 0) == b"400"
    os.close(fd)
    os.close(counter)


def signals():
    fd = opened()
    set_lock(fd, WR)

    def wait_interrupted(lock):
        def run(step):
            hits = []
            signal.signal(signal.SIGUSR1, lambda *a: hits.append(1))

            def stop(*a):
                raise InterruptedError(errno.EINTR, "stopped")
            signal.signal(signal.SIGUSR2, stop)
            lock()
            os._exit(77 if hits else 76)
        return Child(run)
    ways = [lambda: wait_lock(opened(), RD), lambda: set_lock(opened(), RD, 0, 0, F_OFD_SETLKW),
            lambda: fcntl.flock(opened("g"), fcntl.LOCK_SH)]
    g = opened("g")
    fcntl.flock(g, fcntl.LOCK_EX)
    for way in ways:
        child = wait_interrupted(way)
        wait_blocked(child.pid)
        os.kill(child.pid, signal.SIGUSR2)
        assert child.end() == errno.EINTR
    # A handler that returns: the wait goes on (Python restarts it, as SA_RESTART would).
    children = [wait_interrupted(way) for way in ways]
    for child in children:
        for _ in range(5):
            wait_blocked(child.pid)
            os.kill(child.pid, signal.SIGUSR1)
    for child in children:
        wait_blocked(child.pid)
    set_lock(fd, UN)
    fcntl.flock(g, fcntl.LOCK_UN)
    for child in children:
        assert child.end() == 77
    # Killed while it waits: dies at once, and takes nothing with it.
    set_lock(fd, WR)
    child = Child(lambda step: wait_lock(opened(), WR))
    wait_blocked(child.pid)
    child2 = Child(lambda step: wait_lock(opened(), WR))
    wait_blocked(child2.pid)
    os.kill(child.pid, signal.SIGKILL)
    assert child.end() == -signal.SIGKILL
    set_lock(fd, UN)
    assert child2.end() == 0
    os.close(fd)
    os.close(g)


def signal_storm():
    """Signals at any moment of a wait, also before it begins and after it ended."""
    fd = opened()

    def run(step):
        g = opened()

        def tick(*a):
            raise InterruptedError
        signal.signal(signal.SIGALRM, tick)
        got = 0
        for n in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + n % 20 * 0.0001)
                wait_lock(g, WR)
                got += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
            except InterruptedError:
                pass
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                set_lock(g, UN)
            except InterruptedError:
                set_lock(g, UN)
        set_lock(g, UN)
    child = [Child(run) for _ in range(3)]
    for _ in range(150):
        wait_lock(fd, WR)
        time.sleep(0.002)
        set_lock(fd, UN)
    for c in child:
        assert c.end() == 0
    assert not refused(WR)
    os.close(fd)


def deadlock():
    """Of two who wait for each other one is told; also of three, and of two readers who both want to write."""
    fd = opened()

    def other(mine, wanted):
        def run(step):
            g = opened()
            set_lock(g, WR, mine, 1)
            step()
            wait_lock(g, WR, wanted, 1)
        return Child(run)
    for length in 2, 3:
        set_lock(fd, WR, 0, 1)
        children = [other(n, (n + 1) % length) for n in range(1, length)]
        for c in children:
            c.at_step()
        for c in children:
            c.go()
            wait_blocked(c.pid)
        try:
            wait_lock(fd, WR, 1, 1)
            raise AssertionError("no deadlock was seen")
        except OSError as e:
            assert e.errno == errno.EDEADLK
        set_lock(fd, UN)
        for c in children:
            assert c.end() == 0

    def reader(step):
        g = opened()
        set_lock(g, RD)
        step()
        wait_lock(g, WR)
    set_lock(fd, RD)
    child = Child(reader)
    child.at_step()
    child.go()
    wait_blocked(child.pid)
    try:
        wait_lock(fd, WR)
        raise AssertionError("no deadlock was seen")
    except OSError as e:
        assert e.errno == errno.EDEADLK
    set_lock(fd, UN)
    assert child.end() == 0
    os.close(fd)


# ---- open file descriptions, BSD locks ----

def ofd():
    a, b = opened(), opened()
    set_lock(a, WR, 0, 10, F_OFD_SETLK)
    try:
        set_lock(b, RD, 5, 1, F_OFD_SETLK)
        raise AssertionError("two open file descriptions share a lock")
    except OSError as e:
        assert e.errno == errno.EAGAIN
    try:
        set_lock(b, RD, 5, 1)
        raise AssertionError("a process's lock beside an open file description's")
    except OSError as e:
        assert e.errno == errno.EAGAIN
    assert get_lock(b, RD, 0, 0, F_OFD_GETLK)[:3] == (WR, 0, 10)
    os.close(opened())  # closing another descriptor does not matter
    c = os.dup(a)
    os.close(a)
    assert refused(RD)
    # A child that has the description has the lock.
    child = Child(lambda step: step())
    child.at_step()
    os.close(c)
    assert refused(RD)
    child.go()
    assert child.end() == 0
    deadline = time.monotonic() + 10  # RELEASE is sent in the background
    while refused(RD) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not refused(RD)
    os.close(b)


def ofd_circle():
    """Two descriptions of one process wait for each other's ranges: no deadlock, a third thread resolves it."""
    a, b = opened(), opened()
    set_lock(a, WR, 0, 1, F_OFD_SETLK)
    set_lock(b, WR, 1, 1, F_OFD_SETLK)
    errors = []

    def wait(fd, at):
        try:
            set_lock(fd, WR, at, 1, F_OFD_SETLKW)
        except OSError as e:
            errors.append(e)
    threads = [threading.Thread(target=wait, args=(a, 1)), threading.Thread(target=wait, args=(b, 0))]
    for t in threads:
        t.start()
        time.sleep(0.1)
    set_lock(a, UN, 0, 1, F_OFD_SETLK)
    threads[1].join()
    set_lock(b, UN, 0, 0, F_OFD_SETLK)
    threads[0].join()
    assert not errors, errors
    os.close(a)
    os.close(b)


def bsd():
    a, b = opened(), opened()
    set_lock(a, WR)
    fcntl.flock(b, fcntl.LOCK_EX)  # apart from POSIX locks
    try:
        fcntl.flock(a, fcntl.LOCK_SH | fcntl.LOCK_NB)
        raise AssertionError("shared beside exclusive")
    except OSError as e:
        assert e.errno == errno.EAGAIN
    fcntl.flock(b, fcntl.LOCK_SH)
    fcntl.flock(a, fcntl.LOCK_SH)
    try:
        fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise AssertionError("exclusive beside shared")
    except OSError as e:
        assert e.errno == errno.EAGAIN
    fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the failed conversion lost a's lock
    ro = opened(flags=os.O_RDONLY)

    def other(step):
        os.close(b)  # which it inherited
        fcntl.flock(opened(flags=os.O_RDONLY), fcntl.LOCK_EX)
    child = Child(other)
    wait_blocked(child.pid)
    c = os.dup(b)
    os.close(b)
    assert is_blocked(child.pid)
    os.close(c)  # the last descriptor
    assert child.end() == 0
    deadline = time.monotonic() + 10
    while True:
        try:
            fcntl.flock(ro, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            assert time.monotonic() < deadline
    # A child shares it, and may release it.
    assert in_child(lambda: fcntl.flock(ro, fcntl.LOCK_UN)) == 0
    fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(ro)
    os.close(a)


def unlinked():
    """Locks are the inode's: a name that went, or another one, does not matter."""
    fd = opened("u")
    os.link("u", "u2")
    set_lock(fd, WR)
    assert refused(RD, name="u2")
    os.unlink("u")
    os.rename("u2", "u3")
    assert refused(RD, name="u3")
    os.unlink("u3")
    assert in_child(lambda: set_lock(os.open(f"/proc/{os.getppid()}/fd/{fd}", os.O_RDWR), RD)) == errno.EAGAIN
    os.close(fd)


def directory():
    fd = os.open(".", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert in_child(lambda: fcntl.flock(os.open(".", os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)) == errno.EAGAIN
    os.close(fd)


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    for behaviour in sys.argv[2:]:
        begin = time.monotonic()
        globals()[behaviour]()
        print(f"{behaviour}: {time.monotonic() - begin:.2f} s", flush=True)
