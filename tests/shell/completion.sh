#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The completion knows every command and option that --help has, and completes words.
# as: user
. "${0%/*}/functions.sh"
requires bash

for f in "$HERE/packaging/completion/zerofs.bash" "$HERE/../../packaging/completion/zerofs.bash"; do [ ! -f "$f" ] || file=$f; done
[ -n "${file:-}" ] || fail "no packaging/completion/zerofs.bash"
{
	zerofs --help
	zerofs-mount --help
} >"$WORK/help"
grep -oE -- '--[a-z][a-z-]+' "$WORK/help" | sort -u >"$WORK/options"
[ "$(wc -l <"$WORK/options")" -ge 20 ] || fail "--help shows few options: $(cat "$WORK/options")"
while read -r o; do
	grep -Eq -- "(^|[' ])$o([' )]|\$)" "$file" || fail "the completion lacks $o"
done <"$WORK/options"
zerofs --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' >"$WORK/commands"
[ "$(wc -l <"$WORK/commands")" -ge 10 ] || fail "--help shows few commands"
while read -r c; do
	grep "commands='" "$file" | grep -qw -- "$c" || fail "the completion lacks the command $c"
done <"$WORK/commands"

# complete PROGRAM WORD...: what the last word can become.
completed()
{
	bash -c '
		compopt() { :; } # only bash itself, when it completes, may call it
		. "$1"
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		case $1 in zerofs) _zerofs ;; *) _zerofs_mount ;; esac
		printf "%s\n" "${COMPREPLY[@]}"' bash "$file" "$@"
}
[ "$(completed zerofs fl)" = flush ] || fail "zerofs fl gives $(completed zerofs fl)"
[ "$(completed zerofs -v key ro)" = rotate ] || fail "key ro gives $(completed zerofs -v key ro)"
[ "$(completed zerofs ls --lease s)" = strict ] || fail "--lease s gives $(completed zerofs ls --lease s)"
[ "$(completed zerofs-mount -o ro,passw)" = ro,password_file= ] || fail "-o gives $(completed zerofs-mount -o ro,passw)"
completed zerofs-mount --fo | grep -qx -- --foreground || fail "--fo gives $(completed zerofs-mount --fo)"
: >"$WORK/afile"
[ "$(completed zerofs info "$WORK/afi")" = "$WORK/afile" ] || fail "no files"
