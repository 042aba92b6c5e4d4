#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The configuration: where it is looked for, what wins over what, what is refused with which message.
# as: user
. "${0%/*}/functions.sh"

conf=$WORK/zerofs.toml
config()
{
	cat >"$conf"
	chmod 0600 "$conf"
}

# ---- precedence ----
printf '%s\n' "$ZEROFS_PASSWORD" >"$WORK/password"
chmod 0600 "$WORK/password"
unset ZEROFS_PASSWORD
config <<END
[storage]
url = "\${TEST_STORE}" # from the environment
password_file = '$WORK/password'
[filesystem]
max_size_gb = "8MiB"
compression = "zstd-19"
[cache]
memory_size_gb = 0.064
[lsm]
flush_interval_secs = 2.5
[servers.nfs]
addresses = ["127.0.0.1:2049",
	"[::1]:2049"]
[aws]
allow_http = "true"
END
TEST_STORE=$STORE
export TEST_STORE
expect 0 zerofs -c "$conf" format
[ ! -s "$WORK/err" ] || fail "a warning for what only describes servers: $(cat "$WORK/err")"
[ -f "$STORE/zerofs.json" ] || fail "the volume of the configuration was not made"
printf 'text' | zerofs --config "$conf" put -p "$STORE" - /a/b || fail "put"
expect 0 zerofs --config "$conf" ls
printed '^a/$'
expect 0 zerofs --config "$conf" get "$STORE" /a/b
[ "$(cat "$WORK/out")" = text ] || fail "get printed something else"
expect 0 zerofs --config "$conf" info --json
expect 0 zerofs --config "$conf" fsck
printed 'clean$'
mkdir -p "$WORK/.config/zerofs"
cp "$conf" "$WORK/.config/zerofs/zerofs.toml"
expect 0 zerofs ls
mv "$WORK/.config/zerofs/zerofs.toml" "$WORK/named.toml"
expect 2 zerofs ls
said 'no configuration names a volume'
ZEROFS_CONFIG=$WORK/named.toml expect 0 zerofs ls
ZEROFS_PASSWORD_FILE=$WORK/password ZEROFS_VOLUME=$STORE expect 0 zerofs ls
ZEROFS_PASSWORD_FILE=$WORK/password ZEROFS_VOLUME=$STORE expect 0 zerofs key list
# The command line wins over the file, the file over the environment.
ZEROFS_VOLUME=$WORK/nothing expect 0 zerofs -c "$conf" ls
expect 1 zerofs -c "$conf" --url "$WORK/nothing" ls
said "no volume at $WORK/nothing"
ZEROFS_PASSWORD=wrong expect 0 zerofs -c "$conf" ls
echo wrong >"$WORK/wrong"
chmod 0600 "$WORK/wrong"
expect 1 zerofs -c "$conf" --password-file "$WORK/wrong" ls
said 'wrong password'

# ---- what a mount makes of it ----
requires_fuse
mount_at "$MNT" "$STORE" -c "$conf" --memory 48M
[ "$(df --output=size -B1 "$MNT" | tail -n 1)" -le $((9 << 20)) ] || fail "the quota of the configuration is not there"
limit=$(zerofs status --json "$MNT" | py -c 'import json,sys; m=json.load(sys.stdin)["memory"]; print(sum(v["limit"] for v in m.values() if isinstance(v, dict)))')
[ "$limit" -le $((120 << 20)) ] || fail "--memory does not win over the configuration: $limit"
umount_volume
zerofs-mount -f -c "$conf" "$MNT" >>"$LOG" 2>&1 </dev/null & # the source comes from the file
PID=$!
wait_until 60 mounted_or_gone "$MNT"
is_mounted "$MNT" || fail "no mount without SOURCE"
umount_volume
zerofs-mount -f -o "config=$conf,max_size=16MiB,noatime" "$STORE" "$MNT" >>"$LOG" 2>&1 </dev/null &
PID=$!
wait_until 60 mounted_or_gone "$MNT"
[ "$(df --output=size -B1 "$MNT" | tail -n 1)" -ge $((12 << 20)) ] || fail "-o max_size= does not win"
umount_volume

# ---- secrets that others can read ----
chmod 0644 "$WORK/password"
expect 0 zerofs -c "$conf" ls
said "everybody can read the password file $WORK/password"
chmod 0600 "$WORK/password"
printf 'storage.encryption_password = "correct horse battery staple"\n' >"$WORK/open.toml"
chmod 0644 "$WORK/open.toml"
expect 0 zerofs -c "$WORK/open.toml" ls "$STORE"
said 'holds a secret and everybody can read it'
SECRET='correct horse battery staple'
export SECRET
printf 'storage.encryption_password = "${SECRET}"\n' >"$WORK/open.toml"
expect 0 zerofs -c "$WORK/open.toml" ls "$STORE"
[ ! -s "$WORK/err" ] || fail "a warning although the secret is not in the file: $(cat "$WORK/err")"
mkdir "$WORK/credentials"
cp "$WORK/password" "$WORK/credentials/zerofs-password"
CREDENTIALS_DIRECTORY=$WORK/credentials expect 0 zerofs ls "$STORE"
printf 'a\0b' >"$WORK/zero"
chmod 0600 "$WORK/zero"
expect 1 zerofs --password-file "$WORK/zero" ls "$STORE"
said 'zero byte'
expect 1 zerofs --password-file "$WORK" ls "$STORE"
said 'password file'

# ---- warnings ----
config <<END
telemetry.enabled = false
[replication]
role = "leader"
[cache]
dir = "/x"
END
expect 0 zerofs -c "$conf" --password-file "$WORK/password" ls "$STORE"
said 'keys of ZeroFS that mean nothing here: replication.\* (line 3), telemetry.\* (line 1)'
said 'without effect in this version: cache.dir (line 5)'
[ "$(wc -l <"$WORK/err")" = 2 ] || fail "more than a line each: $(cat "$WORK/err")"

# ---- what is refused: one line, exit status 2, for both programs ----
refused()
{
	for program in "zerofs -c $1 ls" "zerofs-mount -c $1 $STORE $MNT"; do
		# shellcheck disable=SC2086 # words
		expect 2 $program
		said "$2"
		[ "$(wc -l <"$WORK/err")" = 1 ] || fail "not one line: $(cat "$WORK/err")"
	done
}

wrong()
{
	config
	refused "$conf" "$1"
}

wrong 'zerofs.toml, line 2, column 8: the environment variable NO_SUCH is not set' <<'END'
[storage]
url = "${NO_SUCH}"
END
wrong 'line 2, column 1: unknown key "storage.ulr"; the nearest known one is "storage.url"' <<'END'
[storage]
ulr = "x"
END
wrong 'line 1, column 26: filesystem.max_size_gb is a boolean; it must be a size' <<'END'
filesystem.max_size_gb = true
END
wrong 'line 1, column 1: unknown section \[servres.nfs\]' <<'END'
[servres.nfs]
END
wrong 'line 3, column 13: the array that begins here has no end' <<'END'
# a comment
[servers.nfs]
addresses = ["127.0.0.1:2049"
END
wrong 'line 1, column 1: byte 0x7f cannot stand in a text' <"/bin/true"
head -c 2000000 /dev/zero | tr '\0' ' ' >"$WORK/huge"
refused "$WORK/huge" 'more than 1048576 bytes'
refused /dev/zero 'more than 1048576 bytes'
refused "$WORK" "the configuration $WORK is a directory"
refused "$WORK/none" 'cannot open the configuration .*/none: No such file'
chmod 0 "$conf"
if [ "$(id -u)" != 0 ]; then refused "$conf" 'Permission denied'; fi
chmod 0600 "$conf"
mkdir -p "$WORK/.config/zerofs/zerofs.toml"
expect 2 zerofs ls "$STORE"
said 'is a directory'
rmdir "$WORK/.config/zerofs/zerofs.toml"

# ---- options and addresses ----
for o in nonsense no_such=1 password=x encryption_password=x memory=lots compression=gzip max_size_gb= lease=x; do
	expect 2 zerofs-mount -o "ro,$o" "$STORE" "$MNT"
	said "${o%%=*}"
	[ "$(wc -l <"$WORK/err")" = 1 ] || fail "not one line: $(cat "$WORK/err")"
done
expect 2 zerofs-mount -o password=hunter2 "$STORE" "$MNT"
if grep -q hunter2 "$WORK/err"; then fail "the password was repeated"; fi
expect 2 zerofs ls --compression gzip "$STORE"
expect 2 zerofs ls --flush-interval-secs 0 "$STORE"
ZEROFS_PASSWORD=x
export ZEROFS_PASSWORD
for source in my-bucket my-bucket/prefix s3://my-bucket gs://b azure://c/p rados://pool; do
	expect 1 zerofs-mount "$source" "$MNT"
	said 'no .*store.* yet'
	[ "$(wc -l <"$WORK/err")" = 1 ] || fail "not one line: $(cat "$WORK/err")"
done
expect 1 zerofs ls my-bucket
said 's3://my-bucket'
