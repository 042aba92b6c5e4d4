#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Each class of damage, planted below the filesystem: fsck tells it, with its path, and nothing else.
# as: user
. "${0%/*}/functions.sh"
ZEROFS_PASSWORD=test
plant "$STORE" make >"$WORK/numbers"
expect 0 zerofs fsck --data "$STORE"
printed ': clean$'
# Once as people see it.
cp -a "$STORE" "$WORK/pristine"
file=$(sed -n 's/^file //p' "$WORK/numbers")
plant "$STORE" inode "$file" nlink +3
expect 4 zerofs fsck "$STORE"
printed "^link-count: /a/[bc]/[a-z]* (inode $file): 5 links recorded, 2 found; a wrong count"
printed ': 1 findings of damage, 0 of harmless leftovers$'
py "$HERE/fsck-classes.py" "$WORK" "$STORE"
