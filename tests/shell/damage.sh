#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every kind of object with bytes flipped, cut, swapped, missing: what is read is right, or refused with a clean error;
# never other data, never a crash. Through a reading mount, and for each kind through a writing one.
# as: user
. "${0%/*}/functions.sh"
requires_fuse
mount_volume
mkdir "$MNT/d"
head -c 400000 /dev/urandom >"$MNT/random"
head -c 200000 /dev/zero | tr '\0' q >"$MNT/d/q"
for i in 1 2 3 4 5 6 7 8 9; do echo "small $i" >"$MNT/d/$i"; done
ln -s random "$MNT/link"
umount_volume
# More, which lies in the log only: the process died.
mount_volume
echo late >"$MNT/late"
head -c 100000 /dev/urandom >"$MNT/d/late"
zerofs flush "$MNT"
cp -a "$MNT" "$WORK/want"
crash_volume
cp -a "$STORE" "$WORK/pristine"
cp -a "$XDG_STATE_HOME" "$WORK/state.pristine"
py "$HERE/damage.py" "$WORK" "$MNT" "${DAMAGE_STEP:-2}"
