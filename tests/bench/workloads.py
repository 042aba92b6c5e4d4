# SPDX-License-Identifier: GPL-3.0-or-later
"""
The workloads: each makes its subjects once, then runs them one after the other in every round. `measure` returns
{figure: value} for one subject and round; the table of figures says what they mean.
"""
import os
import time

from subjects import Local, Nothing, RawStore, Zerofs

FAR = "?delay_ms=30"
MIB = 1 << 20


class Workload:
    """A name, a description, and figures: {key: (description, unit)}."""
    name = ""
    about = ""
    figures = {}
    once = False  # too long for rounds

    def __init__(self, place, options):
        self.place = place
        self.options = options

    def size(self, full, quick):
        return quick if self.options.quick else full

    def subjects(self):
        return [Zerofs(self.place), Nothing(self.place), Local(self.place)]

    def prepare(self, subject):
        """Before the first round."""

    def measure(self, subject, number):
        raise NotImplementedError

    def fresh(self, subject, number):
        """A directory of this round within the subject."""
        path = os.path.join(subject.path, f"round{number}")
        os.mkdir(path)
        return path

    def work(self, workload, path, **options):
        return self.place.bench_work(workload, path, **options)


def with_cpu(subject, operations, run):
    """Runs it; adds the daemon's CPU per operation in microseconds."""
    if isinstance(subject, (Local, RawStore)):
        return run()
    before = subject.cpu()
    found = run()
    found["cpu"] = (subject.cpu() - before) * 1e6 / operations
    return found


class Creates(Workload):
    name = "creates"
    about = "create and close empty files, one thread"
    threads, full, quick = 1, 20000, 5000
    figures = {
        "creates_rate": ("rate", "files/s"),
        "creates_median": ("one file, median", "us"),
        "creates_longest": ("one file, longest", "ms"),
        "cpu": ("CPU of the daemon per file", "us"),
    }

    def measure(self, subject, number):
        count = self.size(self.full, self.quick)
        path = self.fresh(subject, number)
        return with_cpu(subject, count * self.threads,
                        lambda: self.work("creates", path, threads=self.threads, count=count))


class CreatesParallel(Creates):
    name = "creates-8"
    about = "the same, eight threads in eight directories"
    threads, full, quick = 8, 5000, 1000


class Lookups(Workload):
    name = "lookups"
    about = "stat of names that do not exist and that the kernel does not remember, one thread"
    figures = {
        "lookups_rate": ("rate", "lookups/s"),
        "cpu": ("CPU of the daemon per lookup", "us"),
    }

    def measure(self, subject, number):
        count = self.size(20000, 5000)
        path = self.fresh(subject, number)
        return with_cpu(subject, count, lambda: self.work("lookups", path, count=count))


class Reads(Workload):
    name = "reads"
    about = "random 4 KiB reads with O_DIRECT, one thread, from a file that fits the daemon's caches"
    figures = {
        "reads_rate": ("rate", "reads/s"),
        "cpu": ("CPU of the daemon per read", "us"),
    }
    bytes = 32 * MIB

    def prepare(self, subject):
        self.work("fill", subject.path, bytes=self.bytes)
        self.work("reads", subject.path, bytes=self.bytes, count=8192)

    def measure(self, subject, number):
        count = self.size(20000, 5000)
        return with_cpu(subject, count, lambda: self.work("reads", subject.path, bytes=self.bytes, count=count))


class Write(Workload):
    name = "write"
    about = "write 1 GiB of incompressible bytes in order, then fsync"
    figures = {
        "write_rate": ("rate, fsync included", "MiB/s"),
        "write_fsync": ("the fsync", "ms"),
        "cpu": ("CPU of the daemon per MiB", "us"),
        "put_ratio": ("bytes sent to the store per byte written", ""),
    }

    def subjects(self):
        return super().subjects() + [RawStore(self.place)]

    def measure(self, subject, number):
        size = self.size(1 << 30, 128 * MIB)
        if isinstance(subject, RawStore):
            return {"write_rate": self.work("objects", subject.path, bytes=size)["objects_rate"]}
        path = self.fresh(subject, number)
        before = subject.puts()[1] if isinstance(subject, Zerofs) else 0
        found = with_cpu(subject, size // MIB, lambda: self.work("write", path, bytes=size))
        if isinstance(subject, Zerofs):
            found["put_ratio"] = (subject.puts()[1] - before) / size
        os.unlink(os.path.join(path, "stream0"))
        return found


class Overwrite(Workload):
    name = "overwrite"
    about = "4 KiB writes at random places of a 4 GiB file, fsync after every 64"
    figures = {
        "overwrite_rate": ("rate", "writes/s"),
        "overwrite_fsync_median": ("one fsync, median", "ms"),
        "cpu": ("CPU of the daemon per write", "us"),
        "put_ratio": ("bytes sent to the store per byte written", ""),
        "objects": ("objects sent to the store per fsync", ""),
    }

    def file_size(self):
        return self.size(4 << 30, 256 * MIB)

    def prepare(self, subject):
        self.work("fill", subject.path, bytes=self.file_size())

    def measure(self, subject, number):
        count = self.size(8192, 2048)
        before = subject.puts() if isinstance(subject, Zerofs) else None
        found = with_cpu(subject, count, lambda: self.work("overwrite", subject.path, bytes=self.file_size(),
                                                           count=count, per_sync=64))
        if before:
            after = subject.puts()
            found["put_ratio"] = (after[1] - before[1]) / found["overwrite_bytes"]
            found["objects"] = (after[0] - before[0]) / (count / 64)
        return found


class Fsync(Workload):
    name = "fsync"
    about = "append 4 KiB and fsync, one thread, every request to the store takes 30 ms"
    threads, full, quick = 1, 100, 30
    figures = {
        "append_fsync_median": ("one fsync, median", "ms"),
        "append_fsync_longest": ("one fsync, longest", "ms"),
        "append_fsyncs_per_30ms": ("in 30 ms", "fsyncs"),
        "objects": ("objects sent to the store per fsync", ""),
    }

    def subjects(self):
        return [Zerofs(self.place, FAR), RawStore(self.place, FAR)]

    def measure(self, subject, number):
        count = self.size(self.full, self.quick)
        if isinstance(subject, RawStore):
            found = self.work("object-latency", subject.path, threads=self.threads, count=count)
            return {"append_fsync_median": found["object_latency_median"]}
        path = self.fresh(subject, number)
        subject.flush()
        before = subject.puts()
        found = self.work("append", path, threads=self.threads, count=count)
        found["objects"] = (subject.puts()[0] - before[0]) / found["append_fsyncs"]
        return found


class FsyncParallel(Fsync):
    name = "fsync-64"
    about = "the same, 64 threads with a file each"
    threads, full, quick = 64, 20, 10


class MountTime(Workload):
    name = "mount"
    about = "mount until the first request is answered: a volume with a million empty files, and an empty one"
    figures = {
        "mount": ("near store", "ms"),
        "mount_far": ("every request to the store takes 30 ms", "ms"),
        "requests_far": ("requests to the store until then", ""),
        "resident": ("resident memory then", "MiB"),
    }

    def subjects(self):
        full, empty = Zerofs(self.place), Zerofs(self.place)
        full.name, empty.name = "zerofs", "empty volume"
        return [full, empty]

    def prepare(self, subject):
        if subject.name == "zerofs":
            self.work("populate", subject.path, threads=2, count=self.size(500000, 10000))

    def measure(self, subject, number):
        near = subject.url
        subject.stop()
        found = {"mount": subject.start() * 1e3, "resident": subject.memory()[1] / MIB}
        subject.stop()
        subject.url = near + FAR
        found["mount_far"] = subject.start() * 1e3
        found["requests_far"] = sum(v["calls"] for v in subject.status()["store"].values() if isinstance(v, dict))
        subject.stop()
        subject.url = near
        subject.start()
        return found


class Soak(Workload):
    name = "soak"
    about = "create empty files at full speed, two threads, directories of 10000, for minutes (baselines for a tenth of it)"
    once = True
    figures = {
        "soak_seconds": ("time", "s"),
        "soak_rate": ("rate", "files/s"),
        "soak_p999": ("999 of 1000 files are made within", "us"),
        "soak_longest": ("longest wait of any operation", "ms"),
        "throttled": ("longest throttling by the index", "ms"),
        "peak": ("peak resident memory", "MiB"),
        "cpu": ("CPU of the daemon per file", "us"),
    }

    def measure(self, subject, number):
        seconds = self.options.soak if isinstance(subject, Zerofs) else max(self.options.soak // 10, 1)
        before = 0 if isinstance(subject, Local) else subject.cpu()
        found = self.work("soak", self.fresh(subject, number), threads=2, seconds=seconds)
        found["soak_seconds"] = seconds
        if not isinstance(subject, Local):
            found["cpu"] = (subject.cpu() - before) * 1e6 / (found["soak_rate"] * seconds)
            found["peak"] = subject.memory()[0] / MIB
        if isinstance(subject, Zerofs):
            found["throttled"] = subject.status()["index"]["throttled_max_ms"]
        return found


class Memory(Workload):
    name = "memory"
    about = "resident memory of the daemon"
    figures = {
        "fresh": ("just mounted", "MiB"),
        "small_files": ("peak, while files were created by two threads", "MiB"),
        "stream": ("peak, while a file was written and read", "MiB"),
        "idle": ("60 idle seconds after that", "MiB"),
        "idle_cpu": ("CPU of the daemon in those seconds", "ms"),
    }

    def subjects(self):
        return [Zerofs(self.place), Nothing(self.place)]

    def measure(self, subject, number):
        path = self.fresh(subject, number)
        size = self.size(512 * MIB, 128 * MIB)
        found = {}
        if number == 0:
            found["fresh"] = subject.memory()[1] / MIB
        self.work("populate", path, threads=2, count=self.size(50000, 10000))
        found["small_files"] = subject.memory()[0] / MIB
        self.work("fill", path, bytes=size)
        self.work("reads", path, bytes=size, count=10000)
        found["stream"] = subject.memory()[0] / MIB
        if isinstance(subject, Zerofs):
            subject.flush()
        before = subject.cpu()
        time.sleep(60)
        found["idle"] = subject.memory()[1] / MIB
        found["idle_cpu"] = (subject.cpu() - before) * 1e3
        return found


ALL = [Creates, CreatesParallel, Lookups, Reads, Write, Overwrite, Fsync, FsyncParallel, MountTime, Memory, Soak]
