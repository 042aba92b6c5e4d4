#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The state and the runtime directory cannot be used, or lie below the mount point: mounting works all the same, with a warning.
# as: user
. "${0%/*}/functions.sh"
state=$XDG_STATE_HOME

# try WARNING [NAME=VALUE...]: mounts with that environment, writes, unmounts; the message, or none for "".
try()
{
	warning=$1
	shift
	: >"$LOG"
	env "$@" zerofs-mount -f --create "$STORE" "$MNT" >>"$LOG" 2>&1 </dev/null &
	PID=$!
	wait_until 60 mounted_or_gone "$MNT" || fail "$*: not mounted within a minute"
	is_mounted "$MNT" || fail "$*: not mounted"
	echo "$*" >"$MNT/file" || fail "$*: cannot write"
	env "$@" timeout 20 zerofs umount "$MNT" 2>"$WORK/err" || [ -n "$warning" ] || fail "$*: $(cat "$WORK/err")"
	wait_pid 0
	if [ -n "$warning" ]; then
		grep -q "warning: .*$warning" "$LOG" || fail "$*: no \"$warning\" in: $(cat "$LOG")"
	else
		[ ! -s "$LOG" ] || fail "$*: $(cat "$LOG")"
	fi
	[ "$(zerofs get "$STORE" /file)" = "$*" ] || fail "$*: the file is not there"
}

try '' A=b
[ -n "$(ls "$state/zerofs")" ] || fail "nothing is remembered in the state directory"

# The state directory.
mkdir "$WORK/closed" "$WORK/unreadable"
chmod 0555 "$WORK/closed"
try 'rolled back will not be noticed' XDG_STATE_HOME="$WORK/closed"
mkdir "$WORK/unreadable/zerofs"
chmod 0000 "$WORK/unreadable/zerofs"
try 'rolled back will not be noticed' XDG_STATE_HOME="$WORK/unreadable"
: >"$WORK/file"
try 'rolled back will not be noticed' XDG_STATE_HOME="$WORK/file"
try 'rolled back will not be noticed' XDG_STATE_HOME="$WORK/$(printf '%0600d' 0)"
try '' XDG_STATE_HOME=relative HOME="$WORK/home"
[ -d "$WORK/home/.local/state/zerofs" ] || fail "a relative XDG_STATE_HOME was not ignored"
if [ ! -w "$(getent passwd "$(id -u)" | cut -d: -f6)" ]; then
	try 'rolled back will not be noticed' -u HOME -u XDG_STATE_HOME
fi

# The runtime directory.
try '' -u XDG_RUNTIME_DIR
try '' XDG_RUNTIME_DIR="$WORK/none"
try '' XDG_RUNTIME_DIR=relative
try '' XDG_RUNTIME_DIR="$WORK/closed"
try '' XDG_RUNTIME_DIR=/
mkdir -p "$WORK/$(printf '%0120d' 0)"
try '' XDG_RUNTIME_DIR="$WORK/$(printf '%0120d' 0)"
mkdir "$WORK/squat"
: >"$WORK/squat/zerofs"
try 'cannot reach this process' XDG_RUNTIME_DIR="$WORK/squat"

# Both below the mount point: the process must not wait for itself, neither at the start nor when it remembers or ends.
mkdir "$MNT/home" "$MNT/run"
chmod 0700 "$MNT/run"
HOME=$MNT/home XDG_RUNTIME_DIR=$MNT/run zerofs-mount -f "$STORE" "$MNT" >>"$LOG" 2>&1 </dev/null &
PID=$!
wait_until 20 mounted_or_gone "$MNT"
is_mounted "$MNT" || fail "not mounted with its places below the mount point"
timeout 20 sh -c "echo below >'$MNT/file'" || fail "it waits for itself"
sleep 1.5 # the time after which it remembers
timeout 20 cat "$MNT/file" >/dev/null || fail "it waits for itself"
kill -TERM "$PID"
wait_until 20 is_gone "$PID" || fail "it does not end"
[ "$(zerofs get "$STORE" /file)" = below ]
