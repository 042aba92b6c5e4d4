# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2119,SC2120,SC2015,SC2012
# Sourced by every script of this folder. Gives it a private directory with an empty place for a store ($STORE), a mount
# point ($MNT) and a home, and takes everything away again at the end: mounts, daemons, files.
#
# ZEROFS_BIN names the directory of zerofs and zerofs-mount, TEST_BIN that of the test programs written in C.
# A script succeeds with 0, fails with anything else, and skips with 77 and the reason as its last line.
set -eu

: "${ZEROFS_BIN:?is the directory of zerofs and zerofs-mount}" "${TEST_BIN:=$ZEROFS_BIN}"
PATH=$ZEROFS_BIN:$TEST_BIN:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/zerofs-test.XXXXXX")
chmod 0755 "$WORK"
STORE=$WORK/store
MNT=$WORK/mnt
LOG=$WORK/log
HOME=$WORK
XDG_STATE_HOME=$WORK/state
XDG_RUNTIME_DIR=$WORK/run
ZEROFS_PASSWORD='correct horse battery staple'
LC_ALL=C.UTF-8
PYTHONPATH=$HERE
PYTHONDONTWRITEBYTECODE=1
export PATH HOME XDG_STATE_HOME XDG_RUNTIME_DIR ZEROFS_PASSWORD LC_ALL PYTHONPATH PYTHONDONTWRITEBYTECODE
unset ZEROFS_PASSWORD_FILE ZEROFS_VOLUME ZEROFS_CONFIG XDG_CONFIG_HOME CREDENTIALS_DIRECTORY 2>/dev/null || true
umask 022
mkdir "$MNT" "$XDG_RUNTIME_DIR"
chmod 0700 "$XDG_RUNTIME_DIR"
: >"$LOG"
PID=
CLEANUP_FNS=

# Calls the function $1 at the end, the last one registered first.
cleanup_fn()
{
	CLEANUP_FNS="$1 $CLEANUP_FNS"
}

detach_all()
{
	awk -v w="$WORK/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do
		if [ "$(id -u)" = 0 ]; then umount -l "$m"; else fusermount3 -u -z "$m"; fi || true
	done
}

at_end()
{
	status=$?
	trap - EXIT
	set +e
	for f in $CLEANUP_FNS; do $f; done
	if [ "$status" != 0 ] && [ "$status" != 77 ] && [ -s "$LOG" ]; then
		echo "--- messages:"
		tail -n 120 "$LOG"
	fi
	detach_all
	# What still runs below $WORK is ours: daemons name their mount point on the command line.
	for p in /proc/[0-9]*; do
		case $(tr '\0' ' ' 2>/dev/null <"$p/cmdline") in
		*zerofs-mount*"$WORK"/*) kill -KILL "${p#/proc/}" 2>/dev/null ;;
		esac
	done
	chmod -R u+rwx "$WORK" 2>/dev/null
	rm -rf "$WORK"
	exit "$status"
}
trap at_end EXIT
trap 'exit 1' HUP INT TERM

fail()
{
	echo "$(basename "$0"): $*"
	exit 1
}

skip()
{
	echo "$*"
	exit 77
}

# requires PROGRAM...: skips without them.
requires()
{
	for program; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

requires_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
}

requires_fuse()
{
	[ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "/dev/fuse cannot be opened by this user"
	[ "$(id -u)" = 0 ] || requires fusermount3
}

# Python as Debian has it: a version manager's may be slow to start.
py()
{
	/usr/bin/python3 "$@"
}

# expect STATUS COMMAND...: runs it with its output in $WORK/out and $WORK/err.
expect()
{
	wanted=$1
	shift
	got=0
	"$@" >"$WORK/out" 2>"$WORK/err" </dev/null || got=$?
	[ "$got" = "$wanted" ] && return 0
	echo "\"$*\" ended with $got instead of $wanted:"
	cat "$WORK/out" "$WORK/err"
	exit 1
}

# said PATTERN: the last expected command said so on its standard error.
said()
{
	grep -q -- "$1" "$WORK/err" || fail "no \"$1\" in the message: $(cat "$WORK/err")"
}

# printed PATTERN: the same for standard output.
printed()
{
	grep -q -- "$1" "$WORK/out" || fail "no \"$1\" in the output: $(cat "$WORK/out")"
}

is_mounted()
{
	awk -v m="$1" '$5 == m { found = 1 } END { exit !found }' /proc/self/mountinfo
}

# wait_until SECONDS COMMAND...: until it succeeds; fails after that time.
wait_until()
{
	tenths=$(($1 * 20))
	shift
	while ! "$@"; do
		tenths=$((tenths - 1))
		[ "$tenths" -gt 0 ] || return 1
		sleep 0.05
	done
}

# Ended, whether or not its parent has asked for its status.
is_gone()
{
	case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in
	'' | Z* | X*) return 0 ;;
	esac
	return 1
}

mounted_or_gone()
{
	is_mounted "$1" || is_gone "$PID"
}

# mount_at MOUNTPOINT SOURCE [OPTION...]: in the foreground, as a background job of the shell, so that messages and exit
# status can be seen. Sets PID.
mount_at()
{
	at=$1 source=$2
	shift 2
	requires_fuse
	zerofs-mount -f "$@" "$source" "$at" >>"$LOG" 2>&1 </dev/null &
	PID=$!
	wait_until 60 mounted_or_gone "$at" || fail "$source was not mounted within a minute"
	is_mounted "$at" || fail "zerofs-mount $* $source failed"
}

# mount_volume [OPTION...]: mounts $STORE (or $SOURCE) on $MNT; made when it is not there yet.
mount_volume()
{
	mount_at "$MNT" "${SOURCE:-$STORE}" --create "$@"
}

# Waits until everything is stored and the process has ended well.
umount_volume()
{
	zerofs umount "$MNT" || fail "zerofs umount failed"
	wait_pid 0
}

# wait_pid STATUS: $PID ends with it.
wait_pid()
{
	ended=0
	wait "$PID" || ended=$?
	[ "$ended" = "$1" ] || fail "zerofs-mount ended with $ended instead of $1"
	PID=
}

# As a power cut of this machine would do it: no cleaning up, nothing is flushed.
crash_volume()
{
	kill -KILL "$PID"
	wait "$PID" 2>/dev/null || true
	PID=
	if [ "$(id -u)" = 0 ]; then umount -l "$MNT"; else fusermount3 -u -z "$MNT"; fi
}

remount_volume()
{
	umount_volume
	mount_volume "$@"
}

# The volume is without damage, every byte of it. What a crash left for the next sweep is none.
fsck_volume()
{
	zerofs fsck --data "$STORE" >"$WORK/fsck" 2>&1 || [ $? = 3 ] || fail "fsck: $(cat "$WORK/fsck")"
}

# status_of KEY [KEY]: a number from the status of the mount.
status_of()
{
	zerofs status --json "$MNT" | py -c '
import json, sys
o = json.load(sys.stdin)
for k in sys.argv[1:]:
    o = o[k]
print(o)' "$@"
}

# drop_pages FILE...: what the kernel keeps of these files, so that the next read asks the daemon.
drop_pages()
{
	py -c '
import os, sys
for name in sys.argv[1:]:
    fd = os.open(name, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)' "$@"
}
