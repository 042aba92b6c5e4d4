#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What cannot be checked, or not as a whole: one clear line each, and the objects to blame where the keys open.
# as: user
. "${0%/*}/functions.sh"

# one_line PATTERN: the last expected command said just one line, and it matches.
one_line()
{
	said "$1"
	[ "$(wc -l <"$WORK/err")" = 1 ] || fail "more than one line: $(cat "$WORK/err")"
}

expect 1 zerofs fsck "$WORK/nowhere"
one_line '^zerofs fsck: .*nowhere'
mkdir "$WORK/empty"
expect 1 zerofs fsck "$WORK/empty"
one_line 'there is no volume'
expect 1 zerofs fsck s4://nonsense/x
one_line 's4'

expect 0 zerofs format "$STORE"
expect 0 zerofs fsck --data "$STORE"
head -c 300000 /dev/urandom >"$WORK/bytes"
expect 0 zerofs put "$STORE" "$WORK/bytes" /file
cp -a "$STORE" "$WORK/pristine"

restore()
{
	rm -rf "$STORE" "$XDG_STATE_HOME"
	cp -a "$WORK/pristine" "$STORE"
}

(ZEROFS_PASSWORD=wrong expect 1 zerofs fsck "$STORE")
one_line 'wrong password'
(ZEROFS_PASSWORD= expect 1 zerofs fsck "$STORE")
one_line 'password'

# The superblock: damaged, of the future, not ours.
sed 's/"volume": *"..../"volume":"0000/' "$WORK/pristine/zerofs.json" >"$STORE/zerofs.json"
! cmp -s "$STORE/zerofs.json" "$WORK/pristine/zerofs.json" || fail "the superblock was not changed"
expect 4 zerofs fsck "$STORE"
one_line '^zerofs fsck: '
head -c 20 "$WORK/pristine/zerofs.json" >"$STORE/zerofs.json"
expect 4 zerofs fsck "$STORE"
one_line 'zerofs.json'
sed 's/"format": *1/"format": 99/' "$WORK/pristine/zerofs.json" >"$STORE/zerofs.json"
expect 1 zerofs fsck "$STORE"
one_line 'format\|version'

# A volume that is being made: superblock alone, then keys without a manifest.
restore
rm -rf "$STORE"/[klmtw]*
expect 1 zerofs fsck "$STORE"
one_line 'never finished'
restore
rm -rf "$STORE"/[lmtw]*
expect 1 zerofs fsck "$STORE"
one_line 'manifest\|finished'
restore
rm -rf "$STORE"/keys
expect 4 zerofs fsck "$STORE"
one_line 'key file'

# The log behind the tables: what is damaged, what is missing. The volume does not open, but its objects are told.
restore
mount_volume
echo more >"$MNT/more"
zerofs flush "$MNT"
echo still more >"$MNT/still more"
zerofs flush "$MNT"
crash_volume
rm -rf "$WORK/pristine" && cp -a "$STORE" "$WORK/pristine"
expect 0 zerofs fsck "$STORE"
log=$(find "$STORE/log" -type f | sort | tail -n 2 | head -n 1)
py -c 'import sys; p = sys.argv[1]; b = bytearray(open(p, "rb").read()); b[-100] ^= 1; open(p, "wb").write(b)' "$log"
expect 4 zerofs fsck "$STORE"
printed "^object-damaged: log/[0-9a-f]*/$(basename "$log"): "
[ "$(wc -l <"$WORK/out")" = 1 ] || fail "more than one finding: $(cat "$WORK/out")"
one_line 'log/'
expect 4 zerofs fsck --json "$STORE"
py -c 'import json, sys; o = json.load(open(sys.argv[1])); assert [f["class"] for f in o["findings"]] == ["object-damaged"] and not o["complete"]' "$WORK/out"

# The newest manifest.
restore
manifest=$(find "$STORE/manifest" -type f | sort | tail -n 1)
py -c 'import sys; p = sys.argv[1]; b = bytearray(open(p, "rb").read()); b[-3] ^= 1; open(p, "wb").write(b)' "$manifest"
expect 4 zerofs fsck "$STORE"
printed '^object-damaged: .*manifest'
one_line 'manifest'

# A store that is older than what this machine has seen is told as such.
restore
expect 0 zerofs put "$STORE" "$WORK/bytes" /two
rm -rf "$STORE" && cp -a "$WORK/pristine" "$STORE"
expect 4 zerofs fsck "$STORE"
one_line 'older than what this machine has seen'
expect 0 zerofs fsck --accept-rollback "$STORE"
