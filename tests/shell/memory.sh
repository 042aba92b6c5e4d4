#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# --memory holds: streaming in and out, and many small files, under 64 MiB.
# as: user
. "${0%/*}/functions.sh"
mount_volume --memory 64M
dd if=/dev/urandom of="$MNT/stream" bs=1M count=300 2>/dev/null
drop_pages "$MNT/stream"
cat "$MNT/stream" >/dev/null
py - "$MNT" <<'END'
import os, sys
for d in range(20):
    os.mkdir("%s/%d" % (sys.argv[1], d))
    for i in range(300):
        with open("%s/%d/%d" % (sys.argv[1], d, i), "wb") as f:
            f.write(b"x" * 3000)
END
find "$MNT" -type f -exec cat {} + >/dev/null
peak=$(status_of memory peak_resident)
echo "peak resident $((peak >> 20)) MiB"
# 16 MiB on top are the program, its threads and the allocator's waste; Argon2id's 64 MiB are given back before.
[ "$peak" -le $((96 << 20)) ] || fail "$peak bytes were resident with --memory 64M"
umount_volume
fsck_volume
