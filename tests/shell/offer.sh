#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Who mounts at a terminal what is not there is asked whether to make it; nobody else is, and what was there once is not offered.
# as: user
. "${0%/*}/functions.sh"
requires_fuse
cat >"$WORK/dialog.py" <<'END'
# dialog.py ANSWER... -- COMMAND...: gives each answer when the program is silent; prints what it said.
import os, pty, select, sys
cut = sys.argv.index("--")
answers, command = sys.argv[1:cut], sys.argv[cut + 1:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
said = b""
while True:
    ready, _, _ = select.select([fd], [], [], 1.0)
    if not ready:
        if answers and said.rstrip(b" ")[-1:] in b":]?":
            os.write(fd, answers.pop(0).encode() + b"\n")
            said += b"\n"
        continue
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    said += data
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.write(said.decode(errors="replace"))
sys.exit(status)
END
ask()
{
	unset ZEROFS_PASSWORD
	expect "$@"
}

ask 1 py "$WORK/dialog.py" n secret -- zerofs-mount "$STORE" "$MNT"
printed 'There is no volume at .*y/N'
[ ! -e "$STORE" ] || fail "something was created although the answer was no"
ask 0 py "$WORK/dialog.py" y secret secret -- zerofs-mount "$STORE" "$MNT"
printed 'There is no volume at .*y/N'
is_mounted "$MNT" || fail "it was not mounted"
echo kept >"$MNT/file"
zerofs umount "$MNT"

# One that is there is opened without a question; one that was there is not made anew.
ask 0 py "$WORK/dialog.py" secret -- zerofs-mount "$STORE" "$MNT"
if grep -q 'y/N' "$WORK/out"; then fail "asked about a volume that is there"; fi
[ "$(cat "$MNT/file")" = kept ] || fail "the file is not there"
zerofs umount "$MNT"
mv "$STORE" "$STORE.away"
ask 1 py "$WORK/dialog.py" secret -- zerofs-mount "$STORE" "$MNT"
if grep -q 'y/N' "$WORK/out"; then fail "offered to make a volume that is away"; fi

# Without a terminal nothing is asked.
ZEROFS_PASSWORD=secret expect 1 zerofs-mount "$WORK/other" "$MNT"
said 'there is no volume'
[ ! -e "$WORK/other" ] || fail "something was created"
