# SPDX-License-Identifier: GPL-3.0-or-later
"""Plants each class of finding into a copy of a volume and compares what `zerofs fsck --json` says with what it must."""
import glob
import json
import os
import shutil
import subprocess
import sys

WORK, STORE = sys.argv[1:3]
N = {}
with open(WORK + "/numbers", encoding="utf-8") as f:
    for line in f:
        name, value = line.split()
        N[name] = int(value)
A, B, C, FILE, SMALL, OTHER, SYMBOLIC, FIFO = (
    N[n] for n in ("a", "b", "c", "file", "small", "other", "symbolic", "fifo"))
DIR, REG, LNK = 4, 8, 10
FILE_PATH, NOBODY = "/a/b/file", 4711000


# ---- keys and values, docs/format.md ----

def be(n):
    return n.to_bytes(8, "big").hex()


def varint(n):
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return (out + bytes([n])).hex()


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def inode_key(n):
    return be(n) + "01"


def chunk_key(n, chunk=0):
    return be(n) + "04" + be(chunk)


def counter_key(n):
    return be(0) + "11" + f"{n:02x}"


def orphan_key(n):
    return be(0) + "12" + be(n)


def segment_key(epoch, sequence):
    return be(0) + "10" + be(epoch) + be(sequence)


def allocated_extent(length):
    return "01" + varint(3) + varint(length)


def usage(data, inodes):
    return ["delta", counter_key(1), zigzag(data) + zigzag(inodes)]


# ---- objects ----

def path_of(key):
    parts = key.split("/")
    if parts[0] == "log":
        return f"{STORE}/log/{parts[1]}/{parts[2][:13]}/{parts[2]}"
    return f"{STORE}/{key}"


def first(kind, largest=False):
    found = sorted(glob.glob(f"{STORE}/{kind}/**", recursive=True))
    found = [p for p in found if os.path.isfile(p) and not p.endswith(".alive")]
    return max(found, key=os.path.getsize) if largest else found[-1]


def key_of(path):
    parts = os.path.relpath(path, STORE).split("/")
    return "/".join(parts[:2] + parts[3:]) if parts[0] == "log" else "/".join(parts)


def read(path):
    with open(path, "rb") as stored:
        return stored.read()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        os.remove(path)
    with open(path, "wb") as stored:
        stored.write(data)


def flip(path, at):
    data = bytearray(read(path))
    data[at] ^= 0x41
    write(path, bytes(data))


def log(epoch, sequence):
    return f"log/{epoch:016x}/{sequence:016x}"


def plant(*words):
    subprocess.run(["plant", STORE, *[str(w) for w in words]], check=True, stdout=subprocess.DEVNULL)


def fsck(*options):
    p = subprocess.run(["zerofs", "fsck", "--json", *options, STORE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, check=False)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


# ---- the cases: name, how it is planted, options, what is found as (class, path, inode, object), status ----

CASES = []


def case(name, do, found, status=4, data=False):
    CASES.append((name, do, found, status, data))


def words(*all_words):
    return lambda: plant(*all_words)


def entry(directory, name, inode, kind, cookie="0"):
    return ["entry", directory, name, inode, kind, cookie]


case("root", words("del", inode_key(1), ",", *usage(0, -1)),
     [("root-missing", "/", 1, None), ("records-no-inode", "/", 1, None),
      ("unreachable", "/a", A, None)])
case("inode damaged", words("put", inode_key(FILE), "0102"), [("inode-damaged", FILE_PATH, FILE, None)])
case("directory inode damaged", words("put", inode_key(B), "01"), [("inode-damaged", "/a/b", B, None)])
case("entry damaged", words("unentry", B, "small", ",", "put", be(B) + "02" + be(99 << 7) + b"small".hex(), "00"),
     [("entry-damaged", "/a/b/small", None, None), ("cookie-wrong", "/a/b/small", None, None),
      ("inode-no-entry", None, SMALL, None)])
case("entry in a file", words(*entry(SMALL, "below", FILE, REG)), [("entry-in-file", "/a/b/small", SMALL, None)])
case("entry without inode", words(*entry(B, "none", NOBODY, REG)), [("entry-no-inode", "/a/b/none", NOBODY, None)])
case("entry type", words("unentry", B, "small", ",", *entry(B, "small", SMALL, LNK)),
     [("entry-type", "/a/b/small", SMALL, None)])
case("name twice", words(*entry(B, "small", SMALL, REG, 1), ",", "inode", SMALL, "nlink", "+1"),
     [("name-twice", "/a/b/small", SMALL, None)])
case("cookie wrong", words("unentry", B, "small", ",", *entry(B, "small", SMALL, REG, "=1234567")),
     [("cookie-wrong", "/a/b/small", SMALL, None)])
case("cookie twice", words(*entry(B, "one", SMALL, REG, f"={77 << 7}"), ",", *entry(B, "two", SMALL, REG, f"={77 << 7}"),
                           ",", "inode", SMALL, "nlink", "+2"),
     [("cookie-wrong", "/a/b/one", SMALL, None), ("cookie-wrong", "/a/b/two", SMALL, None),
      ("cookie-twice", "/a/b/two", SMALL, None)])
case("directory twice", words(*entry(1, "second", C, DIR), ",", "inode", 1, "nlink", "+1"),
     [("directory-twice", "/second", C, None)])
case("parent wrong", words("inode", C, "parent", 1), [("parent-wrong", "/a/c", C, None)])
case("ring", words("unentry", A, "c", ",", *entry(C, "c", C, DIR), ",", "inode", C, "parent", C, ",",
                   "inode", C, "nlink", "+1", ",", "inode", A, "nlink", "-1"),
     [("unreachable", f"(inode {C})/c", C, None)])
case("inode without entry", words("unentry", B, "small"), [("inode-no-entry", None, SMALL, None)])
case("directory without entry", words("unentry", A, "c", ",", "inode", A, "nlink", "-1"),
     [("inode-no-entry", None, C, None)])
case("link count", words("inode", SMALL, "nlink", "+1"), [("link-count", "/a/b/small", SMALL, None)])
case("link count of a directory", words("inode", B, "nlink", "+1"), [("link-count", "/a/b", B, None)])
case("strange name", words("inode", FIFO, "nlink", "+1"),
     [("link-count", "/a/c/f\u00efl\\xffe\\x0a", FIFO, None)])
case("extents of nobody", words("put", chunk_key(NOBODY), allocated_extent(4096)),
     [("records-no-inode", None, NOBODY, None)])
case("xattr of nobody", words("put", be(NOBODY) + "03" + b"user.x".hex(), "00"),
     [("xattr-no-inode", None, NOBODY, None)])
case("xattr without summary", words("put", be(SMALL) + "03" + b"user.x".hex(), "00", ",", *usage(7, 0)),
     [("xattr-summary", "/a/b/small", SMALL, None)])
case("xattr summary too large", words("inode", SMALL, "tag7", "0100000000000000" + "0900000000000000"),
     [("xattr-summary", "/a/b/small", SMALL, None)])
case("xattr summary damaged", words("inode", SMALL, "tag7", "01"), [("xattr-summary", "/a/b/small", SMALL, None)])
case("access ACL", words("inode", SMALL, "tag1", "02000000ff"), [("acl-damaged", "/a/b/small", SMALL, None)])
case("default ACL", words("inode", C, "tag2", "0100000001000700ffffffff"), [("acl-damaged", "/a/c", C, None)])
case("unknown record", words("put", be(SMALL) + "09", "00"), [("record-unknown", None, None, None)])
case("unknown record of the volume", words("put", be(0) + "0a01", "00"), [("record-unknown", None, None, None)])
case("orphan of nobody", words("put", orphan_key(NOBODY), ""), [("orphan-no-inode", None, NOBODY, None)])
case("no orphan record", words("unentry", B, "small", ",", "inode", SMALL, "nlink", 0),
     [("orphan-missing", None, SMALL, None)])
case("orphan with a name", words("put", orphan_key(SMALL), ""), [("orphan-wrong", "/a/b/small", SMALL, None)])
case("orphan left", words("unentry", B, "small", ",", "inode", SMALL, "nlink", 0, ",", "put", orphan_key(SMALL), ""),
     [("orphan-left", None, SMALL, None)], status=3)
case("extents of a directory", words("put", chunk_key(C), allocated_extent(4096)),
     [("extents-in-other", "/a/c", C, None)])
case("extents damaged", words("put", chunk_key(OTHER), "0102"), [("extents-damaged", "/other", OTHER, None)])
case("extents that do not fold", words("delta", chunk_key(OTHER), "0102"), [("extents-damaged", "/other", OTHER, None)])
case("extents beyond the end", words("inode", OTHER, "size", 270000), [("extent-beyond-end", "/other", OTHER, None)])
case("extent without a segment", words("extent", OTHER, "epoch", 1000),
     [("extent-no-segment", "/other", OTHER, log(1001, 1))], data=True)
case("extent outside", words("extent", OTHER, "place", 1000000), [("extent-outside", "/other", OTHER, log(1, 1))],
     data=True)
case("directory of a segment", words("directory", 1, 1), [("extent-directory", "/other", OTHER, log(1, 1))], data=True)
case("allocated", words("inode", OTHER, "allocated", "+4096", ",", *usage(4096, 0)),
     [("allocated-wrong", "/other", OTHER, None)])
case("live bytes", words("delta", segment_key(1, 1), "00" + zigzag(77)), [("live-bytes", None, None, log(1, 1))])
case("usage bytes", words(*usage(5, 0)), [("usage-bytes", None, None, None)])
case("usage inodes", words(*usage(0, -2)), [("usage-inodes", None, None, None)])
case("next inode", words("put", counter_key(2), varint(3)), [("next-inode", "/a/c/f\u00efl\\xffe\\x0a", FIFO, None)])
case("counter 1", words("put", counter_key(1), "80"), [("counter-damaged", None, None, None)])
case("counter 2", words("put", counter_key(2), "80"), [("counter-damaged", None, None, None)])
case("counter 3", words("put", counter_key(3), "80"), [("counter-damaged", None, None, None)])
case("job", words("job", 77), [("job-of-nobody", None, None, "MANIFEST")])
case("pin", words("pin", "x"), [("pin-of-nobody", None, None, "MANIFEST")])
case("segment record", words("delta", segment_key(1, 1), "ff"), [("segment-record", None, None, log(1, 1))], data=True)
case("segment record without salt", words("put", segment_key(1, 1), "00" + zigzag(300000)),
     [("segment-record", None, None, log(1, 1))], data=True)


def flip_frame():
    flip(path_of(log(1, 1)), 2000)


def flip_two():
    flip(path_of(log(1, 0)), 2000)
    flip(path_of(log(1, 0)), 90000)


def flip_tail():
    data = read(path_of(log(1, 1)))
    flip(path_of(log(1, 1)), int.from_bytes(data[-56:-48], "little"))


def lose_segment():
    os.remove(path_of(log(1, 1)))


def lose_table():
    os.remove(first("table"))


def lose_claim():
    os.remove(first("writer"))


def foreign():
    write(f"{STORE}/some/thing", b"x")
    write(f"{STORE}/log/readme", b"x")


def unused_table():
    table = first("table")
    write(table[:-1] + "f", read(table))


def unused_segment():
    # Above the end of epoch 1, which the manifest of a second writer records.
    plant("put", orphan_key(NOBODY), "", ",", "del", orphan_key(NOBODY))
    write(path_of(log(1, 0x50)), read(path_of(log(1, 1))))


def old_keys():
    plant("keys")


def stray_beat():
    write(f"{STORE}/writer/00000000000000ff.alive", b"x")


def bad_keys():
    write(f"{STORE}/keys/0000000000000002", b"x" * 300)


case("frame", flip_frame, [("frame-damaged", "/other", OTHER, log(1, 1))], data=True)
case("two frames", flip_two, [("frame-damaged", FILE_PATH, FILE, log(1, 0))], data=True)
case("segment's end", flip_tail, [("object-damaged", None, None, log(1, 1))], data=True)
case("segment missing", lose_segment,
     [("object-missing", None, None, log(1, 1)), ("extent-no-segment", "/other", OTHER, log(1, 1))], data=True)
case("table missing", lose_table, [("object-missing", None, None, "TABLE")])
case("table damaged", lambda: flip(first("table"), 200), [("object-damaged", None, None, "TABLE")])
case("table cut", lambda: write(first("table"), read(first("table"))[:-1]), [("object-damaged", None, None, "TABLE")])
case("claim missing", lose_claim, [("object-missing", None, None, "CLAIM")])
case("claim damaged", lambda: flip(first("writer"), 100), [("object-damaged", None, None, "CLAIM")])
case("key file damaged", bad_keys, [("object-damaged", None, None, "keys/0000000000000002")])
case("unknown objects", foreign, [("object-unknown", None, None, "log/readme"), ("object-unknown", None, None, "some/thing")],
     status=3)
case("unused table", unused_table, [("table-unused", None, None, "UNUSED")], status=3)
case("unused segment", unused_segment, [("segment-unused", None, None, log(1, 0x50))], status=3)
case("old key file", old_keys, [("key-file-old", None, None, "keys/0000000000000001")], status=3)
case("stray heartbeat", stray_beat, [("claim-unused", None, None, "writer/00000000000000ff.alive")], status=3)


def resolve(name, before):
    """Objects whose names are known only once the volume is there."""
    if name == "MANIFEST":
        return key_of(first("manifest"))
    if name == "UNUSED":
        return before["TABLE"][:-1] + "f"
    return before.get(name, name)


def check(name, do, expected, status, data):
    shutil.rmtree(STORE)
    shutil.copytree(WORK + "/pristine", STORE)
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)
    before = {"TABLE": key_of(first("table")), "CLAIM": key_of(first("writer"))}
    do()
    code, out, err = fsck(*(["--data"] if data else []))
    try:
        answer = json.loads(out)
    except ValueError:
        return f"no JSON: {out} {err}"
    found = [(f["class"], f["path"], f["inode"], f["object"]) for f in answer["findings"]]
    want = [(c, p, i, resolve(o, before)) for c, p, i, o in expected]
    if sorted(found, key=str) != sorted(want, key=str):
        return f"found {json.dumps(answer['findings'], indent=1)}\nwanted {want}\n{err}"
    if code != status or answer["complete"] is not True or err:
        return f"status {code} instead of {status}, complete {answer['complete']}, {err}"
    if answer["damage"] + answer["leftovers"] != len(found) or (answer["damage"] > 0) != (status == 4):
        return f"counts {answer}"
    if any(not f["text"] or not f["meaning"] for f in answer["findings"]):
        return "a finding without text"
    return fsck(*(["--data"] if data else []))[1] != out and "the second check says something else"


def main():
    bad = 0
    only = sys.argv[3:]
    for one in CASES:
        if only and one[0] not in only:
            continue
        wrong = check(*one)
        if wrong:
            print(f"{one[0]}: {wrong}")
            bad += 1
    print(f"{len(CASES)} cases, {bad} wrong")
    sys.exit(1 if bad else 0)


main()
