/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_CHECK_H
#define CORE_VFS_CHECK_H
/*
 * fsck: looks at everything that a volume has and tells what is wrong, a line for each finding.
 * Changes nothing. docs/design.md "The check" says how it works, zerofs(1) what each class means.
 */
#include "core/base/buf.h"
#include "core/base/error.h"

#include <stdio.h>

struct store;
struct vfs_engine;
struct volume_keys;

/* The order is that of the manual. */
enum check_class {
	/* the tree */
	CHECK_ROOT,
	CHECK_INODE_DAMAGED,
	CHECK_ENTRY_DAMAGED,
	CHECK_ENTRY_PLACE,
	CHECK_ENTRY_NO_INODE,
	CHECK_ENTRY_TYPE,
	CHECK_NAME_TWICE,
	CHECK_COOKIE,
	CHECK_COOKIE_TWICE,
	CHECK_DIRECTORY_TWICE,
	CHECK_PARENT,
	CHECK_UNREACHABLE,
	CHECK_NO_ENTRY,
	CHECK_LINKS,
	CHECK_RECORDS_NO_INODE,
	CHECK_XATTR_NO_INODE,
	CHECK_XATTR_SUMMARY,
	CHECK_ACL,
	CHECK_RECORD_UNKNOWN,
	/* orphans */
	CHECK_ORPHAN_NO_INODE,
	CHECK_ORPHAN_MISSING,
	CHECK_ORPHAN_WRONG,
	CHECK_ORPHAN_LEFT,
	/* the bytes of files */
	CHECK_EXTENTS_PLACE,
	CHECK_EXTENTS_DAMAGED,
	CHECK_EXTENT_END,
	CHECK_EXTENT_SEGMENT,
	CHECK_EXTENT_OUTSIDE,
	CHECK_EXTENT_DIRECTORY,
	CHECK_FRAME,
	CHECK_ALLOCATED,
	/* counters */
	CHECK_LIVE_BYTES,
	CHECK_USAGE_BYTES,
	CHECK_USAGE_INODES,
	CHECK_NEXT_INODE,
	CHECK_COUNTER,
	/* the manifest */
	CHECK_JOB,
	CHECK_PIN,
	/* objects */
	CHECK_SEGMENT_RECORD,
	CHECK_OBJECT_MISSING,
	CHECK_OBJECT_DAMAGED,
	CHECK_OBJECT_UNKNOWN,
	CHECK_TABLE_UNUSED,
	CHECK_SEGMENT_UNUSED,
	CHECK_KEY_FILE_OLD,
	CHECK_CLAIM_UNUSED,
	CHECK_CLASSES
};

struct check_finding {
	enum check_class class;
	const char *name;    /* its keyword */
	bool damage;	     /* else a leftover that does no harm */
	uint64_t inode;	     /* 0 = of none */
	const char *path;    /* in the volume, UTF-8, other bytes as \xNN; NULL = it has none */
	const char *object;  /* key in the store; NULL */
	const char *text;    /* what is wrong */
	const char *meaning; /* what that means for who uses the volume */
};

struct check_options {
	bool data; /* open every frame */
	void (*finding)(void *arg, const struct check_finding *f);
	/* What it is doing, and how far: `done` of `what`. Often; may be NULL. */
	void (*progress)(void *arg, const char *phase, uint64_t done, const char *what);
	void *arg;

	/* Filled by volume_check, NULL or false in tests of the engine alone: */
	struct store *store; /* compare the index with the objects */
	const struct volume_keys *keys;
	bool writer_lives; /* another process holds the volume: what its sweeps delete is no
			      finding */
	/* Follower: moves the index to the newest state, tail and manifest in agreement
	 * (follower_settle). */
	int (*refresh)(void *arg, struct error *err);
	void *refresh_arg;
};

struct check_result {
	uint64_t inodes, directories, entries, extents, segments, objects;
	uint64_t damage, leftovers; /* findings of both kinds */
	uint64_t waiting;	    /* objects that the next sweep deletes, as always */
	uint64_t read;		    /* bytes of frames */
};

/*
 * Needs 24 bytes for each inode, 56 for each segment and 24 for each table, 10 MiB for findings and
 * frames, beside the caches of the volume. Findings come in a fixed order. 0 when everything could
 * be looked at, whatever was found; -EAGAIN: another process changes the volume faster than it can
 * be read; other errors. Waits for the store.
 */
int vfs_check(struct vfs_engine *e, const struct check_options *o, struct check_result *ret,
	struct error *err);
/* What can be told of a volume that does not open: objects, tables, the log. `index` stands at the
 * newest manifest; NULL when that does not open either. */
struct index;
int vfs_check_store(struct index *index, const struct check_options *o, struct check_result *ret,
	struct error *err);

/* "class: path (inode N) object: text; meaning", without a newline. */
void check_print(const struct check_finding *f, FILE *out);

#endif
