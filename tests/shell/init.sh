#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# zerofs init: a file that can be used as it is, mode 0600, never over another one; questions at a terminal only.
# as: user
. "${0%/*}/functions.sh"
requires script

umask 000
conf=$WORK/.config/zerofs/zerofs.toml
expect 0 zerofs init -c "$WORK/new/zerofs.toml" "$STORE" --password-file password --max-size-gb 1 --memory 64M
[ "$(stat -c %a "$WORK/new/zerofs.toml")" = 600 ] || fail "the mode is $(stat -c %a "$WORK/new/zerofs.toml")"
grep -q "^url = \"file://$STORE\"" "$WORK/new/zerofs.toml" || fail "no address in $(cat "$WORK/new/zerofs.toml")"
grep -q "^password_file = \"$PWD/password\"" "$WORK/new/zerofs.toml" || fail "the password file is not absolute"
grep -q '^max_size_gb = "1000000000B"' "$WORK/new/zerofs.toml" || fail "no quota"
grep -q '^# compression = "auto"' "$WORK/new/zerofs.toml" || fail "no default as a comment"
sum=$(sha256sum "$WORK/new/zerofs.toml")
expect 1 zerofs init -c "$WORK/new/zerofs.toml" /other
said 'is there already'
[ "$(sha256sum "$WORK/new/zerofs.toml")" = "$sum" ] || fail "an existing file was changed"
ln -s "$WORK/nowhere" "$WORK/link"
expect 1 zerofs init -c "$WORK/link"
[ ! -e "$WORK/nowhere" ] || fail "a link was followed"
expect 1 zerofs init -c "$WORK/x.toml" s3://bucket
said 'no store for s3://'
[ ! -e "$WORK/x.toml" ] || fail "a file was made in spite of an error"
expect 1 zerofs init -c /proc/zerofs.toml
said '/proc/zerofs.toml'
if [ "$(id -u)" != 0 ]; then
	expect 0 zerofs init
	printed "wrote $conf"
	rm "$conf"
fi

# Used as it is.
unset ZEROFS_PASSWORD
(umask 077 && echo 'a password' >"$WORK/password")
rm "$WORK/new/zerofs.toml"
expect 0 zerofs init -c "$WORK/new/zerofs.toml" "$STORE" --password-file "$WORK/password"
expect 0 zerofs -c "$WORK/new/zerofs.toml" format
expect 0 zerofs -c "$WORK/new/zerofs.toml" ls
[ ! -s "$WORK/err" ] || fail "the new file gives warnings: $(cat "$WORK/err")"

# At a terminal: three answers, one of them wrong at first.
printf '%s\n' s3://bucket "$STORE" "$WORK/password" '' |
	script -qec "zerofs init -c $WORK/asked.toml" /dev/null >"$WORK/out" 2>&1 || fail "asked: $(cat "$WORK/out")"
grep -q 'no store for s3://' "$WORK/out" || fail "a wrong answer was not refused: $(cat "$WORK/out")"
expect 0 zerofs -c "$WORK/asked.toml" ls
if grep -q '^max_size_gb' "$WORK/asked.toml"; then fail "an empty answer was written"; fi
