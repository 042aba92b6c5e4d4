#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# fsck of very many inodes: memory grows by no more than the manual says (24 bytes for each), and paths are still found.
# as: user
. "${0%/*}/functions.sh"
ZEROFS_PASSWORD=test
plant "$STORE" make >"$WORK/numbers"
dir=$(sed -n 's/^c //p' "$WORK/numbers")

# peak: of fsck with 32 MiB, in KiB.
peak()
{
	py -c '
import resource, subprocess, sys
status = subprocess.run(["zerofs", "fsck", "--memory", "32M", sys.argv[1]], stdout=subprocess.DEVNULL).returncode
assert status == int(sys.argv[2]), status
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$STORE" "$1"
}

peak 0 >/dev/null
plant "$STORE" fill "$dir" 400000
many=$(peak 0)
# 9.2 MiB for the inodes; the rest is the process and its caches.
[ "$many" -lt 60000 ] || fail "$many KiB for 400,000 inodes"
plant "$STORE" inode 1200000 nlink +1
expect 4 zerofs fsck "$STORE"
printed '^link-count: /a/c/200000 (inode 1200000): 2 links recorded, 1 found;'
# Whoever looks at a terminal sees how far it is; nobody else does.
[ ! -s "$WORK/err" ] || fail "fsck said: $(cat "$WORK/err")"
py -c '
import os, pty, subprocess, sys
mine, theirs = pty.openpty()
p = subprocess.Popen(["zerofs", "fsck", sys.argv[1]], stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
seen = b""
try:
    while chunk := os.read(mine, 4096):
        seen += chunk
except OSError:
    pass
assert p.wait() == 4
assert b" records" in seen or b" inodes" in seen or b" entries" in seen, seen
assert seen.endswith(b"\r\x1b[K"), seen[-40:]' "$STORE"
