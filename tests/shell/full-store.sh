#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The disk below a file:// store is full: writers are told, deleting and reading go on, and nothing that was accepted is lost.
# as: root
. "${0%/*}/functions.sh"
requires_root
mkdir "$STORE"
mount -t tmpfs -o size=12m tmpfs "$STORE" 2>"$WORK/err" || skip "no tmpfs: $(cat "$WORK/err")"

is_state()
{
	[ "$(zerofs status --json "$MNT" | py -c 'import json, sys; print(json.load(sys.stdin)["state"])')" = "$1" ]
}

room()
{
	mount -o "remount,size=$1" "$STORE"
}

mount_volume --memory 64M
head -c 1000000 /dev/urandom >"$WORK/kept"
cp "$WORK/kept" "$MNT/kept"
echo doomed >"$MNT/doomed"
head -c 90000000 /dev/urandom >"$WORK/big"
zerofs flush "$MNT"

expect 1 timeout 60 dd if="$WORK/big" of="$MNT/big" bs=64k
said 'No space left on device'
wait_until 20 is_state refused || fail "the state is not refused: $(zerofs status "$MNT")"
expect 3 zerofs status "$MNT"
printed '^error  *.*No space left on device'

# What adds is refused at once, what durability waits for soon.
start=$(date +%s)
expect 1 timeout 20 dd if=/dev/zero of="$MNT/kept" bs=100 count=1 oflag=append conv=notrunc
said 'No space left on device'
expect 1 timeout 20 mkdir "$MNT/dir"
said 'No space left on device'
expect 1 timeout 20 ln "$MNT/kept" "$MNT/link"
expect 1 timeout 20 fallocate -l 1M "$MNT/kept"
expect 1 timeout 20 mkdir "$MNT/kept"
said 'File exists'
expect 1 timeout 20 sync "$MNT/big"
said 'No space left on device'
expect 1 timeout 20 zerofs flush "$MNT"
said 'No space left on device'
[ $(($(date +%s) - start)) -lt 20 ] || fail "being refused took $(($(date +%s) - start)) s"

# Reading, removing, renaming, changing attributes go on.
drop_pages "$MNT/kept"
timeout 20 cmp "$WORK/kept" "$MNT/kept"
timeout 20 rm "$MNT/doomed"
timeout 20 mv "$MNT/kept" "$MNT/moved"
timeout 20 chmod 600 "$MNT/moved"
[ "$(ls "$MNT")" = "$(printf 'big\nmoved')" ] || fail "the names are $(ls "$MNT")"

# Room again: all goes on by itself, and what was accepted is there.
room 200m
wait_until 20 is_state ok || fail "it does not go on: $(zerofs status "$MNT")"
echo more >>"$MNT/moved"
sync "$MNT/moved" || fail "fsync still fails"
cmp -n "$(stat -c %s "$MNT/big")" "$WORK/big" "$MNT/big"

# Closing waits for room, and says so.
rm "$MNT/big"
zerofs flush "$MNT"
room "$(($(df --output=used -k "$STORE" | tail -n 1) + 100))k"
head -c 3000000 "$WORK/big" >"$MNT/last"
zerofs umount "$MNT" 2>"$WORK/umount" &
umount=$!
wait_until 20 grep -qs "No space left on device" "$WORK/umount" || fail "umount does not say why it waits: $(cat "$WORK/umount")"
kill -0 "$PID" || fail "the process has given up"
room 200m
wait "$umount" || fail "umount failed: $(cat "$WORK/umount")"
wait_pid 0
fsck_volume
zerofs get "$STORE" /last | cmp -n 3000000 - "$WORK/big"
[ "$(zerofs get "$STORE" /moved | tail -c 5)" = more ]

# A volume on a full disk: one line, soon. Reading is possible.
head -c 190000000 /dev/zero >"$STORE/hog" 2>/dev/null || true
room "$(df --output=used -k "$STORE" | tail -n 1 | tr -d ' ')k"
expect 1 timeout 20 zerofs-mount "$STORE" "$MNT"
said 'No space left on device'
[ "$(wc -l <"$WORK/err")" = 1 ] || fail "more than one line: $(cat "$WORK/err")"
expect 0 timeout 20 zerofs ls "$STORE"
