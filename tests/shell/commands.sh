#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The commands that need no mount: format, info, put, ls, get, fsck, debug; their exit status and where they write.
# as: user
. "${0%/*}/functions.sh"

expect 0 zerofs --version
printed '^zerofs [0-9]'
expect 0 zerofs-mount --version
expect 0 zerofs --help
printed 'Usage: zerofs COMMAND'
expect 0 zerofs-mount --help
printed 'Usage: zerofs-mount'
expect 2 zerofs
expect 2 zerofs no-such-command
said 'no-such-command'
expect 2 zerofs ls
expect 2 zerofs ls --no-such-option x
expect 2 zerofs info --memory lots "$STORE"
expect 2 zerofs-mount "$STORE"
expect 2 zerofs-mount -o no-such-option "$STORE" "$MNT"
said 'no-such-option'

expect 0 zerofs format "$STORE"
expect 1 zerofs format "$STORE"
[ -f "$STORE/zerofs.json" ] || fail "no superblock was made"

head -c 3000000 /dev/urandom >"$WORK/big"
printf 'a line\n' >"$WORK/small"
: >"$WORK/empty"
expect 0 zerofs put "$STORE" "$WORK/big" /big
expect 0 zerofs put -p "$STORE" "$WORK/small" /a/b/c/small
expect 0 zerofs put "$STORE" "$WORK/empty" /empty
printf 'from a pipe' | zerofs put "$STORE" - /piped || fail "put from standard input"
expect 1 zerofs put "$STORE" "$WORK/small" /no/such/dir
expect 1 zerofs put "$STORE" "$WORK/no-such-file" /x
expect 0 zerofs ls "$STORE"
printed '^big$'
printed '^a/$'
expect 0 zerofs ls -a "$STORE" /a/b/c
printed 'small$'
expect 1 zerofs ls "$STORE" /nowhere
said '/nowhere'

zerofs get "$STORE" /big | cmp - "$WORK/big" || fail "big differs"
expect 0 zerofs get "$STORE" /a/b/c/small "$WORK/small.2"
cmp "$WORK/small" "$WORK/small.2"
expect 0 zerofs get "$STORE" /empty
[ ! -s "$WORK/out" ] || fail "the empty file is not empty"
[ "$(zerofs get "$STORE" /piped)" = 'from a pipe' ] || fail "the piped file differs"
expect 1 zerofs get "$STORE" /a
expect 1 zerofs get "$STORE" /nowhere
[ ! -s "$WORK/out" ] || fail "an error was printed on standard output"

# Replaced by something shorter.
expect 0 zerofs put "$STORE" "$WORK/small" /big
zerofs get "$STORE" /big | cmp - "$WORK/small" || fail "big was not replaced"

expect 0 zerofs info "$STORE"
printed '^volume  *[0-9a-f]\{32\}$'
expect 0 zerofs info --json "$STORE"
py -c 'import json, sys; o = json.load(open(sys.argv[1])); assert o["role"] == "follower" and len(o["volume"]) == 32' \
	"$WORK/out"
expect 0 zerofs fsck "$STORE"
printed 'clean$'
expect 0 zerofs fsck --data "$STORE"

# Every object can be dumped, and nothing in the store shows a name or a content.
expect 0 zerofs debug "$STORE"
grep -q 'zerofs.json$' "$WORK/out" || fail "the list of objects has no superblock"
awk '{ print $NF }' "$WORK/out" >"$WORK/keys"
kinds=$(sed 's,/.*,,' "$WORK/keys" | sort -u | tr '\n' ' ')
[ "$kinds" = 'keys log manifest table writer zerofs.json ' ] || fail "the kinds of objects are $kinds"
while read -r key; do
	got=0
	zerofs debug "$STORE" "$key" >"$WORK/out" 2>"$WORK/err" || got=$?
	case $key in # a table that a merge has replaced can no longer be opened
	table/*) [ $got = 0 ] || said 'not in the newest manifest' ;;
	*) [ $got = 0 ] || fail "debug $key: $(cat "$WORK/err")" ;;
	esac
	[ -s "$WORK/out" ] || fail "the dump of $key is empty"
done <"$WORK/keys"
expect 1 zerofs debug "$STORE" log/0000000000000009/0000000000000000
if grep -rlE 'a line|from a pipe|piped|small' "$STORE"; then fail "plain bytes lie in the store"; fi
