#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A kernel tree is unpacked, compared and built in the mount, and the same objects come out as on the local disk.
# as: user
# long: a build of several minutes
. "${0%/*}/functions.sh"
requires make bc flex bison xz gcc
tarball=$(ls /usr/src/linux-source-*.tar.xz 2>/dev/null | tail -n 1)
[ -n "$tarball" ] || skip "linux-source is not installed"
build()
{
	mkdir "$1/tree"
	tar -xJf "$tarball" -C "$1/tree" --strip-components=1
	(
		cd "$1/tree"
		export KBUILD_BUILD_TIMESTAMP=2026-01-01 KBUILD_BUILD_USER=tester KBUILD_BUILD_HOST=here
		make -s tinyconfig && make -s -j "$(nproc)" vmlinux
	) >"$1/log" 2>&1 || fail "the build below $1 failed: $(tail -n 20 "$1/log")"
}
mkdir "$WORK/local"
mount_volume
build "$MNT"
build "$WORK/local"
cmp "$MNT/tree/vmlinux" "$WORK/local/tree/vmlinux" || fail "the kernels differ"
remount_volume
# Objects and notes of make name the directory in which they were made.
diff -r --no-dereference --exclude='*.o' --exclude='*.a' --exclude='*.elf' --exclude='.*' "$WORK/local/tree" "$MNT/tree" >"$WORK/differences" ||
	fail "the trees differ: $(head -n 20 "$WORK/differences")"
(cd "$MNT/tree" && make -s -j "$(nproc)" vmlinux >"$WORK/again" 2>&1) || fail "a second make failed: $(tail "$WORK/again")"
rm -r "$MNT/tree"
umount_volume
fsck_volume
