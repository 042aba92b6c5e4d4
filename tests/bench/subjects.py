# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: a zerofs mount, and the baselines it is compared with. Each has `path` for a workload."""
import json
import os
import shutil
import subprocess
import time

MOUNT_PATIENCE_S = 120
PASSWORD = "correct horse battery staple"
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program did not do what it should; the run goes on with the next workload."""


class Place:
    """The programs, and a private directory for everything that a run leaves behind."""

    def __init__(self, build, work):
        self.mount = os.path.join(build, "fuse/zerofs-mount")
        self.zerofs = os.path.join(build, "cli/zerofs")
        self.nothing = os.path.join(build, "tests/bench/bench-nothing")
        self.work_program = os.path.join(build, "tests/bench/bench-work")
        self.work = work
        self.made = 0
        runtime = os.path.join(work, "run")
        os.mkdir(runtime, 0o700)
        self.env = dict(os.environ, HOME=work, XDG_STATE_HOME=os.path.join(work, "state"), XDG_RUNTIME_DIR=runtime,
                        ZEROFS_PASSWORD=PASSWORD, LC_ALL="C.UTF-8")
        self.env.pop("ZEROFS_PASSWORD_FILE", None)

    def directory(self, name):
        """A new directory of that name."""
        self.made += 1
        path = os.path.join(self.work, f"{name}-{self.made}")
        os.mkdir(path)
        return path

    def run(self, *command):
        """Runs a program; its standard output."""
        done = subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise Failed(f"{os.path.basename(command[0])} {' '.join(command[1:])}: "
                         f"status {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def bench_work(self, workload, path, **options):
        """Runs a workload; its lines as {name: value}."""
        arguments = []
        for name, value in options.items():
            arguments += ["--" + name.replace("_", "-"), str(value)]
        lines = self.run(self.work_program, workload, *arguments, path).splitlines()
        return {name: float(value) for name, value, _unit in (line.split() for line in lines)}


def is_mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return any(line.split()[4] == path for line in f)


def memory(pid):
    """Resident bytes of a process: (peak, now)."""
    found = {}
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        for line in f:
            key, _, rest = line.partition(":")
            if key in ("VmHWM", "VmRSS"):
                found[key] = int(rest.split()[0]) * 1024
    return found["VmHWM"], found["VmRSS"]


def cpu_seconds(pid):
    """User and system time of a process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Mounted:
    """A daemon in the foreground with a mount point."""
    name = ""

    def __init__(self, place):
        self.place = place
        self.path = place.directory("mnt")
        self.daemon = None

    def spawn(self, *command):
        """Starts the daemon; returns the seconds until its mount is there."""
        log = open(os.path.join(self.place.work, "log"), "ab")
        with log:
            start = time.monotonic()
            self.daemon = subprocess.Popen(command, env=self.place.env, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log)
        while not is_mounted(self.path):
            if self.daemon.poll() is not None or time.monotonic() - start > MOUNT_PATIENCE_S:
                raise Failed(f"{' '.join(command)} did not mount; see the log")
            time.sleep(0.001)
        os.stat(self.path)  # the first request is answered
        return time.monotonic() - start

    def detach(self):
        self.place.run("umount" if os.geteuid() == 0 else "fusermount3", *([] if os.geteuid() == 0 else ["-u"]),
                       self.path)

    def stop(self):
        """Unmounts and waits for the daemon; kills what does not end."""
        if not self.daemon:
            return
        try:
            if is_mounted(self.path):
                self.detach()
            self.daemon.wait(MOUNT_PATIENCE_S)
        except (Failed, subprocess.TimeoutExpired):
            self.daemon.kill()
            self.daemon.wait()
            subprocess.run(["umount", "-l", self.path], check=False)
        self.daemon = None

    def drop(self):
        self.stop()

    def cpu(self):
        return cpu_seconds(self.daemon.pid)

    def memory(self):
        return memory(self.daemon.pid)


class Zerofs(Mounted):
    """A fresh volume in a directory, mounted."""
    name = "zerofs"

    def __init__(self, place, parameters=""):
        super().__init__(place)
        self.store = place.directory("store")
        self.url = "file://" + self.store + parameters
        self.start("--create")

    def start(self, *options):
        return self.spawn(self.place.mount, "-f", *options, self.url, self.path)

    def drop(self):
        self.stop()
        shutil.rmtree(self.store)

    def status(self):
        return json.loads(self.place.run(self.place.zerofs, "status", "--json", self.path))

    def flush(self):
        self.place.run(self.place.zerofs, "flush", self.path)

    def puts(self):
        """Objects and bytes sent to the store so far."""
        store = self.status()["store"]
        return tuple(store["create"][k] + store["put"][k] for k in ("calls", "bytes"))


class Nothing(Mounted):
    """The same request loop over a file system that only remembers names."""
    name = "nothing"

    def __init__(self, place):
        super().__init__(place)
        self.spawn(place.nothing, self.path)


class Local:
    """A directory of the local file system."""
    name = "local"

    def __init__(self, place):
        self.path = place.directory("local")

    def drop(self):
        shutil.rmtree(self.path)


class RawStore:
    """A store of the same kind as the volume's, without a file system."""
    name = "store"

    def __init__(self, place, parameters=""):
        self.directory = place.directory("raw")
        self.path = "file://" + self.directory + parameters

    def drop(self):
        shutil.rmtree(self.directory)
