/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_CHECK_INTERNAL_H
#define CORE_VFS_CHECK_INTERNAL_H
/*
 * fsck, shared by its files. The index is read twice in key order, which is the order of inode
 * numbers: first every inode with what stands below it, then every entry against the inodes. What
 * is remembered is 48 bytes for each inode.
 */
#include "core/vfs/engine_internal.h"

struct check_inode {
	uint64_t number, parent, size, allocated;
	uint32_t nlink, found, subdirs;
	uint8_t type; /* DT_* */
	uint8_t mark; /* check_tree: climbing for rings */
	bool orphan;  /* has an orphan record */
};

struct check {
	struct vfs_engine *engine;
	const struct check_options *o;
	struct check_result *result;
	struct error *err;
	struct check_inode *inodes; /* rising numbers */
	size_t n, cap;
	uint64_t xattr_bytes; /* of names and values, which the usage counter has too */
};

/* Tells one finding. */
void check_finding(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* NULL when there is no such inode. */
struct check_inode *check_find(struct check *c, uint64_t number);

#define CHECK_PATH_MAX 4096
/* "/a/b" of a directory, with `name` (may be empty) behind it; unprintable bytes as "?". Returns
 * `out`. */
const char *check_path(struct check *c, uint64_t dir, struct slice name, char out[CHECK_PATH_MAX]);

/* check_tree.c: inodes, entries, chunks, the shape of the tree. 0 or an error of reading. */
int check_collect(struct check *c);
int check_entries(struct check *c);
void check_shape(struct check *c);
/* check_usage.c: orphans, counters, live bytes, frames. */
int check_orphans(struct check *c);
int check_counters(struct check *c);
int check_live_bytes(struct check *c);
int check_frames(struct check *c);

#endif
