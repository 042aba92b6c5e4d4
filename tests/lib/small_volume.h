/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_LIB_SMALL_VOLUME_H
#define TESTS_LIB_SMALL_VOLUME_H
/*
 * A whole volume in memory, wired by hand: store, keys, take-over, index, data, log, engine. Made
 * on first open, taken over on each further one. No background maintenance: tests flush and merge
 * when they want to. Failures end the test (ck_assert).
 */
#include "core/index/maintain.h"
#include "core/store/mem.h"
#include "core/takeover.h"
#include "core/vfs/engine.h"

struct small_volume {
	struct store *store;
	struct volume_keys *keys;
	struct budget *budget;
	struct takeover_result t;
	struct index *index;
	struct data *data;
	struct log *log;
	struct vfs_engine *engine;
	struct vfs *vfs;
};

struct small_volume_options {
	const char
		*name; /* of the mem:// store; also one that a test opened with layers of its own */
	struct store *store;	    /* taken; NULL = mem_store_open(name) */
	uint64_t memory;	    /* 0 = 64 MiB */
	uint64_t max_bytes;	    /* quota, 0 = none */
	uint64_t inode_cache_bytes; /* 0 = 8 MiB */
	struct atime_policy atime;
	uint64_t flush_interval_ms, quiet_ms; /* 0 = the log's defaults of 5000, 1000 */
};

/* Opens for writing; makes the volume when the store is empty. NULL options are the defaults for
 * store "test". */
struct small_volume *small_volume_open(const struct small_volume_options *o);
/* Everything becomes durable; all files must have been released. */
void small_volume_close(struct small_volume *v);
/*
 * Power is cut: nothing that was not acknowledged reaches the store any more (as far as no request
 * is under way). Then release files and call small_volume_close(), which has no effect on the store
 * now.
 */
void small_volume_cut(struct small_volume *v);
/* Everything up to now durable and in tables, dropped references booked, tables merged until there
 * is nothing to do. */
void small_volume_maintain(struct small_volume *v);
/* vfs_check with data; prints findings; returns how many. */
uint64_t small_volume_check(struct small_volume *v);

extern const struct vfs_cred test_root; /* uid 0, gid 0 */

#endif
