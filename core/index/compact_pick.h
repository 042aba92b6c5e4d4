/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_COMPACT_PICK_H
#define CORE_INDEX_COMPACT_PICK_H
/*
 * What to merge next: a pure function of the shape of the tree. Leveled: level 0 takes flushed
 * tables, which may overlap; every deeper level is sorted without overlap and ten times as large as
 * the one above it. A merge takes tables of one level together with all that they overlap in the
 * next. A table that overlaps nothing there is moved instead: an edit that rewrites nothing.
 *
 * Urgency: a full level 0 (flushes wait for it); tables heavy with deletes, because what
 * these hide is space that nobody gets back and a burden on whoever reads the range otherwise, also
 * when nothing is written any more; then the level that is fullest for its size.
 */
#include "core/index/manifest.h"

#define COMPACT_LEVEL0_TABLES 4 /* from here on level 0 wants to be merged */
#define COMPACT_FACTOR 10	/* size of a level over the level above it */

/* A live table, for the policy. */
struct compact_table {
	struct slice first, last; /* both inclusive here */
	uint64_t size;		  /* bytes */
	bool blocked; /* must not be merged now, but may be moved: its dropped references are not
			 booked */
	bool heavy;   /* holds many deletes */
};

struct compact_state {
	const struct compact_table
		*levels[MANIFEST_LEVELS]; /* level 0 newest first, the others by first key */
	size_t n[MANIFEST_LEVELS];
	uint64_t level1_bytes;
};

struct compact_choice {
	unsigned from, to; /* levels; to = from + 1 */
	size_t from_first,
		from_n;	       /* a run of tables of `from`; of level 0 always the oldest ones */
	size_t to_first, to_n; /* all tables of `to` that the run overlaps */
	bool move;	       /* one table, to_n = 0: change its level only */
	bool bottom;	       /* nothing in deeper levels overlaps the inputs */
};

/* True and the choice. False: nothing to do, or (*ret_blocked) what there is to do is blocked. */
bool compact_pick(const struct compact_state *s, struct compact_choice *ret, bool *ret_blocked);

/* Tables of a sorted level that overlap [first, last]: [*ret_first, *ret_first + n). Returns n. */
size_t compact_overlap(const struct compact_table *t, size_t n, struct slice first,
	struct slice last, size_t *ret_first);

#endif
