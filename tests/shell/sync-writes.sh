#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes that ask for durability have it when they return, at one object each: O_SYNC, O_DSYNC, with O_DIRECT too, RWF_SYNC and
# RWF_DSYNC. Plain ones and O_DIRECT alone ask for nothing. RWF_APPEND appends, RWF_NOWAIT is refused by FUSE kernels.
# as: user
. "${0%/*}/functions.sh"
mount_volume
creates() { status_of store create calls; }
cat >"$WORK/write.py" <<'END'
import errno, mmap, os, sys
from syscalls import fails
os.chdir(sys.argv[1])
kind = sys.argv[2]
opens = {"sync": os.O_SYNC, "dsync": os.O_DSYNC, "direct": os.O_DIRECT, "direct-sync": os.O_DIRECT | os.O_SYNC,
         "direct-dsync": os.O_DIRECT | os.O_DSYNC}
writes = {"rwf-sync": os.RWF_SYNC, "rwf-dsync": os.RWF_DSYNC}
block = mmap.mmap(-1, 4096)
block.write(kind.encode().ljust(16) * 256)
fd = os.open(kind, os.O_RDWR | os.O_CREAT | opens.get(kind, 0))
for i in range(5):
    assert os.pwritev(fd, [block], 4096 * i, writes.get(kind, 0)) == 4096
os.close(fd)
if kind == "plain":
    fd = os.open("append", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"0123456789", 0)
    assert os.pwritev(fd, [b"abc"], 2, 0x10) == 3 # RWF_APPEND
    assert os.pread(fd, 20, 0) == b"0123456789abc"
    fails(errno.EOPNOTSUPP, os.pwritev, fd, [b"abc"], 0, 0x8) # RWF_NOWAIT
    fails(errno.EOPNOTSUPP, os.preadv, fd, [bytearray(3)], 0, os.RWF_NOWAIT)
    fails(errno.EOPNOTSUPP, os.pwritev, fd, [b"abc"], 0, 0x40000000)
    # Past the page cache and through it, the bytes are the same.
    fd, direct = os.open("plain", os.O_RDWR), os.open("plain", os.O_RDWR | os.O_DIRECT)
    m = mmap.mmap(fd, 20480)
    m[5000:5005] = b"mmap!"
    got = mmap.mmap(-1, 4096)
    assert os.preadv(direct, [got], 4096) == 4096 and got[904:909] == b"mmap!"
    block[0:3] = b"NEW"
    assert os.pwritev(direct, [block], 8192) == 4096
    assert os.pread(fd, 3, 8192) == b"NEW" and m[8192:8195] == b"NEW"
    n = mmap.mmap(direct, 20480) # mapping a file that is open for direct I/O
    assert n[8192:8195] == b"NEW"
END
write() { py "$WORK/write.py" "$MNT" "$1" || exit 1; }
for kind in plain direct; do
	zerofs flush "$MNT"
	before=$(creates)
	write $kind
	n=$(($(creates) - before))
	[ "$n" -le 1 ] || fail "five writes, $kind, cost $n objects"
done
for kind in sync dsync direct-sync direct-dsync rwf-sync rwf-dsync; do
	zerofs flush "$MNT"
	before=$(creates)
	write $kind
	n=$(($(creates) - before))
	[ "$n" -ge 5 ] && [ "$n" -le 6 ] || fail "five writes, $kind, cost $n objects"
done
crash_volume
mount_volume
for kind in sync dsync direct-sync direct-dsync rwf-sync rwf-dsync; do
	[ "$(tr -d ' ' <"$MNT/$kind" | head -c $((5 * 256 * ${#kind})) | cksum)" = \
		"$(py -c "import sys; sys.stdout.write('$kind' * 1280)" | cksum)" ] || fail "$kind: the bytes are lost"
done
umount_volume
fsck_volume
