#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Work with git: clone, commit, switch, gc, fsck.
# as: user
. "${0%/*}/functions.sh"
requires git
mount_volume
git config --global user.name tester
git config --global user.email tester@example.org
git config --global init.defaultBranch main
git config --global gc.auto 0
git init -q "$WORK/origin"
(
	cd "$WORK/origin"
	for commit in 1 2 3; do
		py - "$commit" <<'END'
import os, random, sys
random.seed(int(sys.argv[1]))
for d in range(12):
    os.makedirs("d%d/sub" % d, exist_ok=True)
    for f in range(12):
        if random.random() < 0.7:
            with open("d%d/%sf%d" % (d, "sub/" if f % 3 == 0 else "", f), "w") as out:
                out.writelines("%d %d\n" % (i, random.randrange(10**6)) for i in range(random.randrange(1, 400)))
END
		git add -A
		git commit -q -m "commit $commit"
	done
)
git clone -q "$WORK/origin" "$MNT/clone"
cd "$MNT/clone"
[ -z "$(git status --porcelain)" ] || fail "the clone is not clean"
git checkout -q HEAD~2
git checkout -q -b work main
for i in 1 2 3 4 5; do
	echo "$i" >>d1/f1
	git commit -q -a -m "change $i"
done
git merge -q main
git gc -q --prune=now
git fsck --full --strict >"$WORK/said" 2>&1 || fail "git fsck: $(cat "$WORK/said")"
git checkout -q main
diff -r --exclude=.git "$WORK/origin" . || fail "the tree differs"
cd /
remount_volume
cd "$MNT/clone"
git fsck --full --strict >"$WORK/said" 2>&1 || fail "git fsck after a remount: $(cat "$WORK/said")"
[ -z "$(git status --porcelain)" ] || fail "not clean after a remount"
diff -r --exclude=.git "$WORK/origin" . || fail "the tree differs after a remount"
cd /
umount_volume
fsck_volume
