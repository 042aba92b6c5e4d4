#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Programs that copy attributes and ACLs bring them in, move them within, and take them out whole: cp, rsync, tar.
# as: user root
. "${0%/*}/functions.sh"
requires setfacl getfacl setfattr getfattr rsync tar
mount_volume
mkdir "$MNT/a"
cd "$MNT/a"
mkdir -p d/e
echo text >f
echo text >d/g
ln -s f l
ln f h
setfattr -n user.one -v 1 f
setfattr -n user.empty d/g
setfattr -n user.two -v "$(printf '%04000d' 7)" d
setfacl -m u:1234:rw,g:2345:r f
setfacl -m u:1234:rwx -d -m g:2345:rx d
touch d/inherits
if [ "$(id -u)" = 0 ]; then
	setfattr -h -n trusted.t -v t l
	setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 d/inherits
	chown -h 1234:2345 l f
fi

# state FOLDER: everything of it in text.
state()
{
	(
		cd "$1" && getfacl -PRn . && getfattr -h -R -d -m - -e hex .
	) 2>/dev/null
}
state "$MNT/a" >"$WORK/wanted"
grep -q user.two "$WORK/wanted" || fail "the attributes are not there"
grep -q 'default:group:2345' "$WORK/wanted" || fail "the ACLs are not there"
same()
{
	state "$1" | cmp - "$WORK/wanted" || fail "$2: $(state "$1" | diff "$WORK/wanted" - | head -n 20)"
}

cd "$MNT"
cp -a a b
same b "cp -a"
rsync -aAX a/ c/
same c "rsync -aAX"
tar --xattrs --xattrs-include='*' --acls -cf "$WORK/tar" -C a .
mkdir d
tar --xattrs --xattrs-include='*' --acls -xpf "$WORK/tar" -C d
same d "tar"
cp -a a/. "$WORK/out" 2>/dev/null && cp -a "$WORK/out" e 2>/dev/null && state "$WORK/out" >"$WORK/outside" || true
if cmp -s "$WORK/outside" "$WORK/wanted"; then # $WORK has attributes and ACLs as well
	same e "cp -a there and back"
fi
rsync -aAX --delete a/ c/
same c "rsync once more"
cd /
remount_volume
for copy in a b c d; do same "$MNT/$copy" "$copy after a remount"; done
rm -r "$MNT/a" "$MNT/b" "$MNT/c" "$MNT/d"
umount_volume
fsck_volume
