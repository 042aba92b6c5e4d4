# SPDX-License-Identifier: GPL-3.0-or-later
"""damage.py WORK MNT STEP: the sweep of damage.sh. WORK/pristine is the store, WORK/want the tree that it holds."""
import os
import shutil
import signal
import subprocess
import sys
import time

WORK, MNT, STEP = sys.argv[1], sys.argv[2], int(sys.argv[3])
STORE = WORK + "/store"
ROOT = os.geteuid() == 0


def objects():
    found = {}
    for folder, _, names in os.walk(WORK + "/pristine"):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), WORK + "/pristine")
            kind = path.split("/")[0] + (".alive" if path.endswith(".alive") else "")
            found.setdefault(kind, []).append(path)
    return {kind: sorted(paths) for kind, paths in found.items()}


def tree(top):
    """Relative path -> content; None for a directory; an OSError where reading failed."""
    found = {}

    def broken(error):
        found[os.path.relpath(error.filename, top)] = error

    for folder, dirs, names in os.walk(top, onerror=broken):
        for name in dirs + names:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, top)
            try:
                if os.path.islink(path):
                    found[key] = os.readlink(path).encode()
                elif os.path.isdir(path):
                    found[key] = None
                else:
                    with open(path, "rb") as f:
                        found[key] = f.read()
            except OSError as error:
                found[key] = error
    return found


def mutations(data, others):
    """Name and new bytes (None = removed) of each damage of an object."""
    n = len(data)
    for at in sorted({0, 9, 20, 40, 50, 95, 96, n // 3, n // 2, n - 64, n - 20, n - 1}):
        if 0 <= at < n:
            yield f"byte {at} of {n} flipped", data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1:]
    for size in sorted({0, 95, n // 2, n - 64, n - 1}):
        if 0 <= size < n:
            yield f"cut to {size} of {n}", data[:size]
    yield "longer", data + b"\0"
    yield "zeros", bytes(n)
    for name, other in others:
        if other != data:
            yield f"replaced by {name}", other
    yield "removed", None


def wait_for_mount(p):
    for _ in range(4500):
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            if any(line.split()[4] == MNT for line in f):
                return True
        if p.poll() is not None:
            return False
        time.sleep(0.01)
    raise AssertionError("no mount and no error within 45 s")


def unmount():
    subprocess.run(["umount", "-l", MNT] if ROOT else ["fusermount3", "-u", "-z", MNT], check=False)


def attempt(options):
    """Mounts and reads everything: the tree, or the message of the refusal."""
    shutil.rmtree(os.environ["XDG_STATE_HOME"])
    shutil.copytree(WORK + "/state.pristine", os.environ["XDG_STATE_HOME"])
    p = subprocess.Popen(["zerofs-mount", "-f", *options, STORE, MNT], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        seen = tree(MNT) if wait_for_mount(p) else None
    finally:
        if p.poll() is None:
            unmount()
        try:
            said = p.communicate(timeout=30)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGABRT)
            p.communicate()
            raise AssertionError("the process does not end") from None
    assert p.returncode >= 0, f"ended by signal {-p.returncode}: {said}"
    assert "Sanitizer" not in said and "runtime error" not in said, said
    if seen is None:
        assert p.returncode in (1, 4) and said.strip(), f"status {p.returncode}, message {said!r}"
    return seen


def judge(seen, want, lost):
    """Whether everything was there; raises when something was wrong. `lost`: an older state of the volume is no failure."""
    if seen is None:
        return False
    failed = [path for path, value in seen.items() if isinstance(value, OSError)]
    for path, value in seen.items():
        if not isinstance(value, OSError):
            assert path in want and value == want[path], f"{path}: other data"
    for path in want:
        above = [path.rsplit("/", n)[0] for n in range(path.count("/") + 1)]
        assert lost or path in seen or "." in failed or any(p in failed for p in above), f"{path} is missing"
    return not failed and len(seen) == len(want)


def main():
    want = tree(WORK + "/want")
    counts = {}
    number = tried = bad = 0
    for kind, paths in sorted(objects().items()):
        right = refused = 0
        chosen = paths if len(paths) <= 2 else [paths[0], paths[-1]]
        for path in chosen:
            with open(f"{WORK}/pristine/{path}", "rb") as f:
                data = f.read()
            others = []
            for other in paths[:1] + paths[-1:]:
                with open(f"{WORK}/pristine/{other}", "rb") as f:
                    others.append((other, f.read()))
            for name, damaged in mutations(data, others):
                number += 1
                if number % STEP:
                    continue
                shutil.rmtree(STORE, ignore_errors=True)
                shutil.copytree(WORK + "/pristine", STORE)
                os.remove(f"{STORE}/{path}")
                if damaged is not None:
                    with open(f"{STORE}/{path}", "wb") as f:
                        f.write(damaged)
                try:
                    # Every sixth case by a writer, which takes over. The newest objects of a process that was killed can be
                    # taken away unnoticed: nobody has remembered them yet.
                    tried += 1
                    ok = judge(attempt([] if tried % 6 == 0 else ["-o", "ro"]), want,
                               damaged is None and kind in ("log", "manifest", "writer"))
                except AssertionError as error:
                    print(f"{path}: {name}: {error}")
                    bad += 1
                    continue
                right += ok
                refused += not ok
        counts[kind] = (right, refused)
        print(f"{kind}: {right} times everything was right, {refused} times something was refused")
    assert set(counts) >= {"zerofs.json", "keys", "writer", "log", "table", "manifest"}, "a kind is missing"
    for kind in ("zerofs.json", "keys", "log", "table", "manifest"):
        assert counts[kind][1] > 0, f"no damage of {kind} was ever noticed"
    sys.exit(1 if bad else 0)


main()
