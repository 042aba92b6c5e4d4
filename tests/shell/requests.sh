#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What things cost in requests to the store: an idle mount, creating files, an fsync, an fsync of nothing.
# as: user
. "${0%/*}/functions.sh"
mount_volume
expect 0 zerofs flush "$MNT"
creates() { status_of store create calls; }

sleep 3 # what follows from making the volume
before=$(creates)
sleep 4
[ "$(creates)" = "$before" ] || fail "an idle mount creates objects"
for i in 1 2 3 4 5 6 7 8 9 10; do echo "$i" >"$MNT/$i"; done
expect 0 zerofs flush "$MNT"
n=$(($(creates) - before))
[ "$n" -ge 1 ] && [ "$n" -le 3 ] || fail "ten small files and a flush cost $n objects"
before=$(creates)
sync "$MNT/1" "$MNT/2" "$MNT/3"
[ "$(creates)" = "$before" ] || fail "an fsync of nothing costs a request"
echo again >"$MNT/1"
sync "$MNT/1"
n=$(($(creates) - before))
[ "$n" -ge 1 ] && [ "$n" -le 2 ] || fail "an fsync of a small file costs $n objects"
before=$(creates)
head -c 64000000 /dev/urandom >"$MNT/big"
expect 0 zerofs flush "$MNT"
n=$(($(creates) - before))
[ "$n" -ge 3 ] && [ "$n" -le 24 ] || fail "64 MB cost $n objects"
umount_volume
