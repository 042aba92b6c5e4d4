#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# From this tree to a mounted volume: installs what the build needs (Debian and relatives; sudo only for that), builds, makes a
# volume in your data directory, mounts it at ~/zerofs-quickstart and shows that it works. Can be run again: what exists is used as it is.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
build=${ZEROFS_BUILD:-$top/build/quickstart}
store=${XDG_DATA_HOME:-$HOME/.local/share}/zerofs/quickstart
password=${XDG_CONFIG_HOME:-$HOME/.config}/zerofs/quickstart.password
mountpoint=${ZEROFS_MOUNTPOINT:-$HOME/zerofs-quickstart} # not ~/zerofs, where this tree may well lie
packages='gcc libc6-dev meson ninja-build pkg-config libfuse3-dev fuse3 libsodium-dev libssl-dev liblz4-dev libzstd-dev libjansson-dev'

step() { printf '\n== %s\n' "$*"; }

install_packages()
{
	command -v dpkg-query >/dev/null || return 0
	missing=
	for p in $packages; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	step "installing$missing"
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	# shellcheck disable=SC2086 # words
	$sudo env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends "$@"' sh $missing
}

check_fuse()
{
	if [ "$(id -u)" = 0 ] && [ ! -e /dev/fuse ]; then mknod -m 0666 /dev/fuse c 10 229; fi
	if [ "$(id -u)" = 0 ] && [ ! -e /etc/mtab ]; then ln -s ../proc/self/mounts /etc/mtab; fi # fusermount3 -u looks into it
	if [ "$(id -u)" = 0 ] && [ ! -e /etc/mtab ]; then ln -s ../proc/self/mounts /etc/mtab; fi # fusermount3 wants it
	if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
		echo "/dev/fuse cannot be opened by this user; as root: modprobe fuse; chmod 0666 /dev/fuse" >&2
		exit 1
	fi
}

build_programs()
{
	step "building in $build"
	[ -f "$build/build.ninja" ] || meson setup "$build" "$top" --buildtype=release -Dtests=false -Dbench=false >/dev/null
	ninja -C "$build"
	PATH=$build/cli:$build/fuse:$PATH
}

make_volume()
{
	if [ ! -s "$password" ]; then
		step "making a password in $password"
		mkdir -p "$(dirname "$password")"
		(umask 077 && head -c 24 /dev/urandom | base64 >"$password")
	fi
	export ZEROFS_PASSWORD_FILE="$password"
	unset ZEROFS_PASSWORD 2>/dev/null || true
	if [ ! -e "$store/zerofs.json" ]; then
		step "making a volume at $store"
		mkdir -p "$(dirname "$store")"
		zerofs format "$store"
	fi
}

mount_volume()
{
	if findmnt -n -t fuse.zerofs "$mountpoint" >/dev/null; then
		step "already mounted at $mountpoint"
		return
	fi
	step "mounting at $mountpoint"
	mkdir -p "$mountpoint"
	if [ -n "$(ls -A "$mountpoint")" ]; then
		echo "$mountpoint is not empty; move away what is in it and start this again" >&2
		exit 1
	fi
	zerofs-mount "$store" "$mountpoint"
}

show()
{
	step "writing, storing and reading a file"
	echo "Hello from zerofs, $(date)" >"$mountpoint/hello.txt"
	zerofs flush "$mountpoint"
	cat "$mountpoint/hello.txt"
	df -h "$mountpoint"
	zerofs status "$mountpoint"
}

install_packages
check_fuse
build_programs
make_volume
mount_volume
show
cat <<END

It works: $mountpoint is a zerofs volume. It is stored, encrypted, in
    $store
with the password in
    $password      (keep a copy: without it the data are lost)

Unmount:      $build/cli/zerofs umount $mountpoint
Mount again:  $build/fuse/zerofs-mount --password-file $password $store $mountpoint
More:         README.md; man -l $build/man/zerofs-mount.1 $build/man/zerofs.1
END
