/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_INDEX_INTERNAL_H
#define CORE_INDEX_INDEX_INTERNAL_H
/*
 * What the files of core/index share: the index itself and its versions.
 *
 * A version is an immutable snapshot: the memtables, a manifest, a handle for each of its tables.
 * Readers take a reference to the current one; flush, merge and adoption install the next. Records
 * of groups up to the manifest's last_group that are still in a memtable of the version are not
 * read from there: the tables hold them, perhaps folded already (floor in memtable.h).
 */
#include "core/index/index.h"
#include "core/index/maintain.h"
#include "core/index/maintain_internal.h"
#include "core/index/memtable.h"
#include "core/index/table_read.h"
#include "core/index/table_write.h"

struct index_memtable {
	struct memtable *table;
	/* guarded by the index's lock; shared by all versions that hold it */
	uint64_t low, high; /* groups begun in it; 0 = none */
	unsigned open;	    /* groups not acknowledged yet */
	bool closed;	    /* takes no further group */
	struct refcount refs;
};

/* The tables of one manifest. Shared by the versions that differ only in their memtables. */
struct index_tables {
	struct refcount refs;
	struct manifest *manifest;		/* reference */
	struct table **levels[MANIFEST_LEVELS]; /* as in the manifest; references */
};

struct index_version {
	struct refcount refs;
	struct index_tables *tables; /* reference */
	struct manifest *manifest;   /* of `tables`, like the levels */
	struct table **levels[MANIFEST_LEVELS];
	size_t nmem;
	struct index_memtable *mem[]; /* newest first; references */
};

struct index {
	/* immutable after open */
	struct index_options o;
	struct block_cache *cache;
	struct table_pool *pool;

	struct mutex lock; /* RANK_INDEX */
	struct cond
		changed; /* a version was installed, a group acknowledged, or all is cancelled */
	/* guarded by lock */
	struct index_version *current; /* reference */
	struct index_memtable *active; /* takes new groups; borrowed from current; NULL = none */
	uint64_t last_begun;	       /* group */
	unsigned unsealed;	       /* groups begun and not sealed */
	bool cancelled;
	int refused;		    /* index_refuse() */
	struct index_writer writer; /* epoch 0 = not set */
	uint64_t next_counter;	    /* of the writer's tables */
	struct maintain maintain;   /* of flush, merge and sweep */

	_Atomic bool busy; /* index_set_busy */
	/* atomic counters */
	_Atomic uint64_t flushes, merges, flushed_bytes, merged_bytes, throttled_max_ms;
};

/* The current version with a reference. Never NULL. */
struct index_version *index_version_get(struct index *ix);
void index_version_put(struct index_version *v);
/* Before the index is shared. 0, -ENOMEM. */
int index_first_version(struct index *ix, struct manifest *m);
/*
 * Makes `m` (a reference is taken) the manifest of the next version, unless the current manifest
 * has the same or a higher number. Memtables all of whose groups are acknowledged and in the tables
 * of the resulting manifest (last_group) leave the version. Tables that the former version has keep
 * their handles. Wakes who waits for `changed`. 0, -ENOMEM.
 */
int index_install(struct index *ix, struct manifest *m, struct error *err);
/* A version without memtables; the next group to begin may be any above `upto`. No group is begun
 * and not sealed. Cannot fail: waits for memory. */
void index_drop_memtables(struct index *ix, uint64_t upto);
/* Makes a new memtable the active one. 0, -ENOMEM. */
int index_new_memtable_locked(struct index *ix);
/* index_scan_open and index_scan_versions over a version whose reference is taken, also on failure.
 * `fold` is borrowed until the close. */
int index_scan_version(struct index *ix, struct index_version *v, const struct index_fold *fold,
	uint64_t view, struct slice first, struct slice end, unsigned flags,
	struct index_scan **ret, struct error *err);
int index_scan_version_stored(struct index *ix, struct index_version *v, struct slice first,
	struct slice end, bool no_memtables, struct index_scan **ret, struct error *err);
/* The dropped references of the version's tables that manifests above `settled` added, summed. */
int index_version_unsettled(struct index *ix, const struct index_version *v, uint64_t settled,
	struct segment_refs *out, struct error *err);
/* What a reader is told when a table's object is gone (D10). Passes other results on. */
int index_gone(struct index *ix, int r, struct error *err);

/* Iterators for a merge of memtables of `v` whose groups are all <= `upto`, newest first, for
 * merge_compact_open: flush. The array and the iterators are the caller's; *ret_n may be 0. 0,
 * -ENOMEM. */
int index_flush_inputs(struct index *ix, struct index_version *v, uint64_t upto, struct iter ***ret,
	size_t *ret_n);
/* The handle of a table of the version, borrowed from it; NULL = not there. */
struct table *index_version_table(const struct index_version *v, struct table_id id);
/* Options of a table writer of this index. `pins` is borrowed by the writer. */
struct table_writer_options index_writer_options(
	const struct index *ix, const uint64_t *pins, size_t npins);

#endif
