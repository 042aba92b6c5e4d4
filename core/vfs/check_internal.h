/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_CHECK_INTERNAL_H
#define CORE_VFS_CHECK_INTERNAL_H
/*
 * fsck, shared by its files.
 *
 * What must agree with each other is read from one snapshot of the index at one group (check.c
 * picks it). The index is read in key order, which is the order of inode numbers: all stored
 * versions for the live bytes, then every inode with what stands below it, then every entry against
 * the inodes. What only has to be readable (frames, names for paths) is read from a state that
 * moves on where tables vanish (struct check_walk).
 */
#include "core/data/usage.h"
#include "core/index/snapshot.h"
#include "core/vfs/check.h"
#include "core/vfs/engine_internal.h"

struct check_inode {
	uint64_t number : 48;
	uint64_t type : 4;   /* DT_*; 0 = its record is damaged, so nothing else is known */
	uint64_t named : 1;  /* directories: an entry names it, and `parent` has that entry */
	uint64_t mark : 3;   /* check_shape: climbing for rings */
	uint64_t orphan : 1; /* has an orphan record */
	uint64_t wanted : 1; /* check_report: its name is looked for */
	uint64_t parent : 48;
	uint64_t reserved : 16;
	uint32_t nlink;
	/* Entries that name it; of a directory: entries in it that name directories. */
	uint32_t found;
};
static_assert(sizeof(struct check_inode) == 24, "documented in check.h and zerofs(1)");

#define CHECK_BLOCK_INODES 65536u
/* Rising numbers, in blocks that are never moved. */
struct check_inodes {
	struct check_inode **blocks;
	size_t nblocks, cap; /* of `blocks` */
	size_t n;
};

struct check {
	struct vfs_engine *engine; /* NULL: only the store is looked at */
	struct index *index;
	const struct check_options *o;
	struct check_result *result;
	struct error *err;
	struct check_report *report;

	struct index_snapshot *snapshot;
	uint64_t view; /* the newest group that is looked at */
	struct check_inodes inodes;
	struct segment_usages usage;
	bool listed;	     /* usage[].size and marks are filled */
	int64_t allocated;   /* by all inodes, their attributes included */
	bool damaged_inodes; /* there are some, so sums say nothing */
};

/* Marks of struct segment_usage. */
enum {
	CHECK_SEGMENT_MISSING = 1,    /* its object is not there, and should be */
	CHECK_SEGMENT_GONE = 2,	      /* it was collected meanwhile */
	CHECK_SEGMENT_TOLD = 4,	      /* an extent that needs its record was told */
	CHECK_SEGMENT_UNREADABLE = 8, /* its directory was told */
};

/* ---- check.c ---- */

extern const struct index_fold check_fold; /* data's, but what does not fold becomes empty */
int check_scan(struct check *c, struct key first, struct key end, struct index_scan **ret);
/* The folded value of one key, appended to the empty `out`; empty when there is none. */
int check_get(struct check *c, const struct key *k, struct buf *out);
void check_progress(struct check *c, const char *phase, uint64_t done, const char *what);

/* A scan that goes on in a newer state when objects of its own are gone. */
struct check_walk {
	struct check *c;
	struct index_snapshot *snapshot; /* owned unless the check's own */
	struct index_scan *scan;
	uint64_t view;
	struct buf from, end;
};
int check_walk_open(struct check *c, struct key first, struct key end, struct check_walk *ret);
int check_walk_next(struct check_walk *w, struct record *ret); /* as index_scan_next */
void check_walk_close(struct check_walk *w);
/* Follower: to the newest state. 0: it is another one; -EBADMSG it was the newest already, so what
 * is gone should be there. */
int check_refresh(struct check *c, uint64_t manifest);

/* ---- check_report.c: findings ---- */

int check_report_new(struct check *c); /* 0, -ENOMEM */
void check_report_free(struct check_report *r);
/* Of an inode (0 = none): its path is found when findings are told. */
void check_tell(struct check *c, enum check_class class, uint64_t inode, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Of an entry of a directory; `inode` is what it names (0 = nothing, or not to be shown). */
void check_tell_entry(struct check *c, enum check_class class, uint64_t dir, struct slice name,
	uint64_t inode, const char *format, ...) __attribute__((format(printf, 6, 7)));
void check_tell_object(struct check *c, enum check_class class, uint64_t inode, const char *object,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Finds the paths and tells everything that was found so far. 0, or an error. */
int check_emit(struct check *c);
bool check_emitted(const struct check *c);    /* something was told to the caller */
void check_forget(struct check *c);	      /* drops what was not told yet */
void check_describe(struct check_finding *f); /* name, meaning, damage of its class */

/* ---- check_inodes.c ---- */

int check_inode_add(struct check_inodes *t, const struct check_inode *i); /* 0, -ENOMEM */
struct check_inode *check_inode_at(const struct check_inodes *t, size_t i);
struct check_inode *check_find(const struct check *c, uint64_t number); /* NULL: there is none */
void check_inodes_done(struct check_inodes *t);

/* ---- the passes; 0 or an error of reading ---- */
int check_objects(struct check *c);   /* check_objects.c: what lies in the store */
void check_manifest(struct check *c); /* check_manifest.c: jobs and pins */
int check_records(struct check *c);   /* check_records.c: inodes with what stands below them */
int check_entries(struct check *c);   /* check_shape.c: entries against inodes */
void check_shape(struct check *c);
int check_orphans(struct check *c); /* check_counters.c */
int check_counters(struct check *c);
int check_usage(struct check *c);	/* check_segments.c: reads it ... */
void check_live_bytes(struct check *c); /* ... and tells what is wrong */
int check_missing_segments(struct check *c);
/* Whether a segment that was not there should be: 1, 0, or an error. After check_newest (a follower
 * moves to the newest state): the record of a segment goes, durably, before its object. */
int check_segment_missing(struct check *c, uint64_t epoch, uint64_t sequence);
int check_newest(struct check *c);
int check_frames(struct check *c); /* check_frames.c */
int check_tables(struct check *c); /* check_store.c: reads every table ... */
int check_log(struct check *c);	   /* ... and the log from the replay start on */

/* check_extents.c: one chunk record of a regular file. */
struct check_chunks {
	struct check *c;
	uint64_t inode, size;
	uint64_t allocated; /* by chunks so far */
	bool damaged;	    /* one of them does not decode */
	/* the last fault of an extent, so that neighbours make one finding */
	struct {
		enum check_class class;
		uint64_t epoch, sequence, from, bytes;
		bool any;
	} last;
};
int check_chunk(struct check_chunks *w, uint64_t chunk, struct slice value);
void check_chunks_end(struct check_chunks *w);

#endif
