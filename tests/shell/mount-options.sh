#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# -o ro, sync, noexec, fsname; a read-only mount beside the writer follows it.
# as: user
. "${0%/*}/functions.sh"

expect 0 zerofs format "$STORE"
mount_volume -o noatime,fsname=mine
grep " $MNT " /proc/self/mountinfo | grep -q ' mine ' || fail "fsname= is ignored"
umount_volume
mount_volume -o noexec,noatime,x-anything,defaults
grep " $MNT " /proc/self/mountinfo | grep -q 'noexec' || fail "noexec is ignored"
printf '#!/bin/sh\nexit 0\n' >"$MNT/program"
chmod +x "$MNT/program"
expect 126 sh -c "'$MNT/program'"

# A follower sees what is stored, and nothing can be written there.
head -c 100000 /dev/urandom >"$MNT/data"
zerofs flush "$MNT"
writer=$PID
mkdir "$WORK/second"
mount_at "$WORK/second" "$STORE" -o ro
follower=$PID
cmp "$MNT/data" "$WORK/second/data"
expect 1 touch "$WORK/second/new"
said 'Read-only file system'
expect 1 rm "$WORK/second/data"
[ "$(stat -c %a "$WORK/second/program")" = 755 ] || fail "the mode differs"
echo later >"$MNT/later"
zerofs flush "$MNT"
wait_until 15 test -f "$WORK/second/later" || fail "the follower does not see a new file"
[ "$(cat "$WORK/second/later")" = later ] || fail "the follower sees other data"
rm "$MNT/later"
zerofs flush "$MNT"
wait_until 15 test ! -e "$WORK/second/later" || fail "the follower does not see a removal"
expect 0 zerofs umount "$WORK/second"
wait_until 20 is_gone "$follower" || fail "the follower does not end"
PID=$writer
umount_volume

# sync: what write returned from is durable.
mount_volume -o sync
printf 'at once' >"$MNT/synced"
crash_volume
[ "$(zerofs get "$STORE" /synced)" = 'at once' ] || fail "-o sync lost a file that was written"
fsck_volume
