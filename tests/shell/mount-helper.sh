#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# mount.zerofs: mount -t zerofs, lines of fstab (also for users), mount -a, remount, umount; in a mount namespace of its
# own, with the helper where mount(8) looks for it.
# as: root
if [ "${1:-}" != inside ] && [ "$(id -u)" = 0 ] && unshare -m --propagation private true 2>/dev/null; then
	exec unshare -m --propagation private "$0" inside
fi
. "${0%/*}/functions.sh"
requires_root
[ "${1:-}" = inside ] || skip "no mount namespaces here"
requires_fuse
requires findmnt

cp -a /usr/sbin "$WORK/sbin"
for name in mount.zerofs mount.fuse.zerofs; do ln -s "$ZEROFS_BIN/zerofs-mount" "$WORK/sbin/$name"; done
mount --bind "$WORK/sbin" /usr/sbin
[ -L /sbin ] || mount --bind "$WORK/sbin" /sbin
: >"$WORK/fstab"
mount --bind "$WORK/fstab" /etc/fstab
leave()
{
	umount /etc/fstab /usr/sbin 2>/dev/null
	[ -L /sbin ] || umount /sbin 2>/dev/null
}
cleanup_fn leave
(umask 077 && echo 'a password' >"$WORK/password")
unset ZEROFS_PASSWORD
password=$WORK/password
fs_option()
{
	findmnt -n -o OPTIONS "$1" | tr ',' '\n' | grep -qx -- "$2"
}
daemon_pid()
{
	zerofs status --json "$1" | sed 's/.*"pid": *\([0-9]*\).*/\1/'
}
expect 0 zerofs format --password-file "$password" "$STORE"

# ---- by hand ----
expect 0 mount -t zerofs "$STORE" "$MNT" -o "password_file=$password,noatime,nosuid,_netdev,x-anything=1,nofail"
[ "$(findmnt -n -o FSTYPE,SOURCE "$MNT" | tr -s ' ')" = "fuse.zerofs $STORE" ] || fail "it shows as $(findmnt -n "$MNT")"
fs_option "$MNT" noatime && fs_option "$MNT" nosuid || fail "the options are $(findmnt -n -o OPTIONS "$MNT")"
echo data >"$MNT/file"
pid=$(daemon_pid "$MNT")
umount "$MNT"
wait_until 30 is_gone "$pid" || fail "the daemon outlives its mount"
[ "$(zerofs get --password-file "$password" "$STORE" /file)" = data ] || fail "umount lost a file"
expect 0 mount -t fuse.zerofs "$STORE" "$MNT" -o "password_file=$password"
expect 0 zerofs umount "$MNT"

# ---- fstab ----
cat >"$WORK/zerofs.toml" <<END
[storage]
url = "$STORE"
password_file = "$password"
END
chmod 0600 "$WORK/zerofs.toml"
cat >/etc/fstab <<END
$STORE $MNT zerofs _netdev,nofail,x-systemd.automount,password_file=$password,max_size=8M 0 0
none $WORK/second zerofs noauto,config=$WORK/zerofs.toml,ro,defaults 0 0
END
mkdir "$WORK/second"
expect 0 mount -a
is_mounted "$MNT" || fail "mount -a did not mount it"
expect 0 mount -a
[ "$(findmnt -n "$MNT" | wc -l)" = 1 ] || fail "mount -a mounted it twice"
[ "$(df --output=size -B1 "$MNT" | tail -n 1)" -le $((9 << 20)) ] || fail "no quota from fstab"
expect 0 mount "$WORK/second"
[ "$(cat "$WORK/second/file")" = data ] || fail "the second mount does not read"
expect 1 touch "$WORK/second/new"

# ---- remount ----
echo before >"$MNT/remounted"
expect 0 mount -o remount,ro "$MNT"
fs_option "$MNT" ro || fail "it is not read-only"
expect 1 touch "$MNT/new"
said 'Read-only file system'
[ "$(zerofs get --password-file "$password" "$STORE" /remounted)" = before ] || fail "remount,ro left something unstored"
expect 0 mount -o remount,rw,noexec "$MNT"
fs_option "$MNT" rw && fs_option "$MNT" noexec || fail "the options are $(findmnt -n -o OPTIONS "$MNT")"
echo after >"$MNT/remounted"
expect 32 mount -o remount,rw "$WORK/second"
said 'cannot become writable'
expect 32 mount.zerofs none "$WORK" -o remount,ro
said 'not the mount point of a zerofs volume'
pid=$(daemon_pid "$MNT")
umount "$WORK/second" "$MNT"
wait_until 30 is_gone "$pid" || fail "the daemon outlives its mount"

# ---- what mount(8) hands on ----
expect 0 mount.zerofs "$STORE" "$MNT" -sfnv -o "nonsense,config=$WORK/zerofs.toml"
! is_mounted "$MNT" || fail "-f mounted it"
expect 0 mount.zerofs "$STORE" "$MNT" -f -t fuse.zerofs -o "rw,user=somebody,uhelper=x,comment=x,owner,group,users,X-a=b"
expect 1 mount.zerofs "$STORE" "$MNT" -o nonsense
said 'mount.zerofs: unknown option -o nonsense'
expect 1 mount.zerofs "$STORE"
expect 1 mount.zerofs --no-such "$STORE" "$MNT"
expect 1 mount.zerofs "$STORE" "$MNT" -o password=x
expect 32 mount -t zerofs "$WORK/nothing" "$MNT" -o "password_file=$password"
said 'there is no volume'
expect 32 setsid -w mount -t zerofs "$STORE" "$MNT"
said 'no password'
if mount -t zerofs s3://bucket "$MNT" -o "password_file=$password" 2>"$WORK/err"; then fail "s3:// was mounted"; fi
said 'no store for s3:// yet'

# ---- by a user, as fstab permits ----
user=$(getent passwd zerofs-test | cut -d: -f1)
if [ -n "$user" ] && [ -u "$(command -v mount)" ] && command -v fusermount3 >/dev/null; then
	mkdir "$WORK/user"
	(umask 077 && echo 'a password' >"$WORK/user/password")
	mkdir "$WORK/user/mnt" "$WORK/user/state" "$WORK/user/run"
	chmod 0700 "$WORK/user/run"
	chown -R "$user:" "$WORK/user"
	as_user() { setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups env HOME="$WORK/user" XDG_STATE_HOME="$WORK/user/state" \
		XDG_RUNTIME_DIR="$WORK/user/run" "$@"; }
	echo "$WORK/user/store $WORK/user/mnt zerofs noauto,user,password_file=$WORK/user/password 0 0" >/etc/fstab
	expect 0 as_user zerofs format --password-file "$WORK/user/password" "$WORK/user/store"
	expect 0 as_user mount "$WORK/user/mnt"
	fs_option "$WORK/user/mnt" nosuid && fs_option "$WORK/user/mnt" nodev || fail "suid or devices for a user"
	expect 0 as_user touch "$WORK/user/mnt/mine"
	expect 2 ls "$WORK/user/mnt" # not even root, without allow_other
	expect 0 as_user zerofs umount "$WORK/user/mnt"
	! is_mounted "$WORK/user/mnt" || fail "the user's mount is still there"
fi
