/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_VERSIONS_H
#define CORE_INDEX_VERSIONS_H
/*
 * The versions of one key that a point lookup gathers from source after source, newest first, until
 * one ends the search: a put, a delete, or a range delete that hides all older ones. Keeps the
 * blocks that values are borrowed from. Belongs to one thread.
 */
#include "core/index/block_cache.h"
#include "core/index/record.h"

#define VERSIONS_INLINE 16

struct versions {
	struct slice key;
	uint64_t view;	/* newer groups are not seen */
	uint64_t cover; /* newest range delete seen, 0 = none: hides older groups */
	bool ended;	/* nothing older matters */
	bool deleted;	/* ended by a delete or a range delete */
	size_t n, cap;
	struct record *recs; /* puts and deltas, newest first */
	size_t nblocks, capblocks;
	struct block **blocks;
	struct record inline_recs[VERSIONS_INLINE];
	struct block *inline_blocks[VERSIONS_INLINE];
};

void versions_init(struct versions *v, struct slice key, uint64_t view);
void versions_done(struct versions *v);
/* A range delete of this group covers the key. */
void versions_cover(struct versions *v, uint64_t group);
/* The next version, older than those before; sets `ended` where it ends the search. Value is
 * borrowed. 0, -ENOMEM. */
int versions_add(struct versions *v, uint64_t group, enum record_op op, struct slice value);
/* Keeps `b` (takes the reference, also on failure) until versions_done. 0, -ENOMEM. */
int versions_hold(struct versions *v, struct block *b);

#endif
