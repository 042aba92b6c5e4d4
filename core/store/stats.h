/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STORE_STATS_H
#define CORE_STORE_STATS_H
/*
 * A layer that counts: requests, bytes and time per operation and kind of object. What it counts
 * are the requests of the layer above it, each once, however often a retry layer below repeats it.
 * Counting costs a few atomic additions; a snapshot is not one instant.
 */
#include "core/store/store.h"

/* What an object is, by the first component of its name (docs/format.md, "Objects"). */
enum store_class {
	STORE_CLASS_SUPERBLOCK, /* zerofs.json */
	STORE_CLASS_KEYS,
	STORE_CLASS_WRITER,
	STORE_CLASS_LOG,
	STORE_CLASS_TABLE,
	STORE_CLASS_MANIFEST,
	STORE_CLASS_OTHER,
	STORE_CLASSES
};

struct stats_count {
	uint64_t calls;	 /* finished, whatever the result */
	uint64_t absent; /* of these: answered -ENOENT or -EEXIST */
	uint64_t failed; /* of these: any other error */
	uint64_t bytes;	 /* of bodies: sent, or received by GET; names found, by LIST */
};

struct stats_time {
	uint64_t total_ns, max_ns; /* of finished calls, waits of the layers below included */
	uint64_t under_way;	   /* calls that have not returned yet */
};

struct stats {
	struct stats_count count[STORE_OPS][STORE_CLASSES];
	struct stats_time time[STORE_OPS];
};

/* Takes `below`. NULL on ENOMEM. */
struct store *stats_new(struct store *below);
void stats_snapshot(struct store *s, struct stats *ret);
/* The counts of one operation over all classes. */
struct stats_count stats_sum(const struct stats *st, enum store_op op);
enum store_class stats_class(const char *key);
/* "superblock", "keys", ... */
const char *stats_class_name(enum store_class c);

#endif
