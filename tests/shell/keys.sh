#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# change-password and key list|add|remove|rotate: of a volume at rest, and of one that is mounted meanwhile.
# as: user
. "${0%/*}/functions.sh"

pass()
{
	(umask 077 && printf '%s\n' "$2" >"$WORK/$1")
}
field()
{
	py -c 'import json,sys; o=json.load(open(sys.argv[1]))
for k in sys.argv[2:]: o = o[int(k)] if isinstance(o, list) else o[k]
print(o)' "$WORK/out" "$@"
}

expect 0 zerofs format "$STORE"
printf 'first' | zerofs put "$STORE" - /first || fail "put"
first=$ZEROFS_PASSWORD
pass second 'second password'
pass third 'third password'
unset ZEROFS_PASSWORD
pass first "$first"
ZEROFS_PASSWORD_FILE=$WORK/first
export ZEROFS_PASSWORD_FILE

# ---- usage ----
expect 2 zerofs key
expect 2 zerofs key nonsense "$STORE"
expect 2 zerofs key remove
expect 2 zerofs key remove "$STORE" x
expect 2 zerofs key list
said 'which volume'
expect 1 zerofs key list "$WORK/nothing"
said 'there is no volume'
expect 1 setsid -w zerofs change-password "$STORE"
said 'new-password-file'

# ---- passwords ----
expect 0 zerofs key list --json "$STORE"
[ "$(field slots 0 kind)" = password ] && [ "$(field slots 0 opened)" = True ] || fail "the list is $(cat "$WORK/out")"
[ "$(field ring 0 current)" = True ] || fail "the ring is $(cat "$WORK/out")"
expect 1 zerofs key remove "$STORE" 1
said 'the last one'
before=$(cd "$STORE" && find . -type f | sort | xargs sha256sum)
expect 0 zerofs change-password --dry-run --new-password-file "$WORK/second" "$STORE"
printed 'nothing was stored'
expect 0 zerofs key add --dry-run --recovery --json "$STORE"
expect 0 zerofs key rotate --dry-run "$STORE"
[ "$(cd "$STORE" && find . -type f | sort | xargs sha256sum)" = "$before" ] || fail "a dry run changed the store"
expect 0 zerofs change-password --new-password-file "$WORK/second" --password-file "$WORK/first" "$STORE"
printed "the old one still stands in $WORK/first"
expect 1 zerofs ls "$STORE"
said 'wrong password'
ZEROFS_PASSWORD_FILE=$WORK/second
expect 0 zerofs key add --new-password-file "$WORK/third" --json "$STORE"
[ "$(field slot)" = 2 ] || fail "the new slot is $(cat "$WORK/out")"
expect 0 zerofs --password-file "$WORK/third" ls "$STORE"
expect 0 zerofs key remove --dry-run --json "$STORE" 2
[ "$(field dry_run)" = True ] || fail "$(cat "$WORK/out")"
expect 0 zerofs --password-file "$WORK/third" ls "$STORE"
expect 0 zerofs key remove "$STORE" 2
expect 1 zerofs --password-file "$WORK/third" ls "$STORE"
expect 1 zerofs key remove "$STORE" 2
said 'no slot 2'

# ---- a recovery key, also typed badly ----
expect 0 zerofs key add --recovery --json "$STORE"
key=$(field recovery_key)
pass recovery "$key"
expect 0 zerofs --password-file "$WORK/recovery" ls "$STORE"
pass recovery "$(printf %s "$key" | tr 'A-Z' 'a-z' | tr -d -)"
expect 0 zerofs --password-file "$WORK/recovery" ls "$STORE"
pass mistyped "$(printf %s "$key" | sed 's/^\(.\{14\}\)\(.\)/\1U/')"
expect 1 zerofs --password-file "$WORK/mistyped" ls "$STORE"
said 'typing mistake in group 3'
expect 0 zerofs change-password --password-file "$WORK/recovery" --new-password-file "$WORK/third" "$STORE"
expect 1 zerofs ls "$STORE"
ZEROFS_PASSWORD_FILE=$WORK/third
expect 0 zerofs key add --recovery "$STORE"
printed 'not shown again'
grep -Eq '^    ([0-9A-Z]{5}-){6}[0-9A-Z]{5}$' "$WORK/out" || fail "no key in groups: $(cat "$WORK/out")"

# ---- while it is mounted ----
requires_fuse
mount_at "$MNT" "$STORE"
writer=$PID
mkdir "$WORK/view"
mount_at "$WORK/view" "$STORE" -o ro
follower=$PID
PID=$writer
echo second >"$MNT/second"
expect 0 zerofs key rotate "$STORE"
printed 'key 2 seals'
expect 0 zerofs change-password --new-password-file "$WORK/first" "$STORE"
ZEROFS_PASSWORD_FILE=$WORK/first
echo third >"$MNT/third"
expect 0 zerofs flush "$MNT"
wait_until 15 test -f "$WORK/view/third" || fail "the follower does not follow after a rotation"
umount_volume
mount_at "$MNT" "$STORE"
[ "$(cat "$MNT/first" "$MNT/second" "$MNT/third")" = "$(printf 'firstsecond\nthird')" ] || fail "what an older key sealed differs"
echo fourth >"$MNT/fourth"
expect 0 zerofs flush "$MNT"
wait_until 15 test -f "$WORK/view/fourth" || fail "an older follower does not see what the new key sealed"
[ "$(cat "$WORK/view/fourth")" = fourth ] || fail "the follower reads something else"
umount_volume
expect 0 zerofs umount "$WORK/view"
wait_until 20 is_gone "$follower" || fail "the follower does not end"
fsck_volume
expect 0 zerofs key list "$STORE"
printed '^key  2 .*current'
printed '^key  1 .*older'
[ "$(find "$STORE/keys" -type f | wc -l)" = 1 ] || fail "older key files were left"
