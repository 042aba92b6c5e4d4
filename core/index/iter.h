/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_ITER_H
#define CORE_INDEX_ITER_H
/*
 * One face for everything that yields stored records: memtables, tables, levels, merges. Nothing is
 * folded or hidden here: puts, deletes, deltas and range deletes come out as they are stored; only
 * the top of a merge (merge.h) folds and hides.
 *
 * Order (iter_cmp): key ascending; at one key range deletes before point records; then group
 * descending. So a range delete comes before everything that it covers. Ranges of one iterator may
 * overlap. An iterator belongs to one thread at a time and holds references to what it reads.
 */
#include "core/index/record.h"

struct iter {
	const struct iter_ops *ops;
	bool valid;	   /* there is a current record */
	struct record rec; /* borrowed until the next call */
};

struct iter_ops {
	/*
	 * To the first record at or behind `key`. Range deletes that begin before `key` and cover
	 * it come out first, cut to begin at `key`. 0 (see `valid`), or an error, after which only
	 * close may follow.
	 */
	int (*seek)(struct iter *it, struct slice key, struct error *err);
	int (*next)(struct iter *it, struct error *err);
	void (*close)(struct iter *it);
};

static inline int iter_seek(struct iter *it, struct slice key, struct error *err)
{
	return it->ops->seek(it, key, err);
}
static inline int iter_next(struct iter *it, struct error *err)
{
	return it->ops->next(it, err);
}
static inline void iter_close(struct iter *it) /* NULL is fine */
{
	if (it)
		it->ops->close(it);
}

int iter_cmp(const struct record *a, const struct record *b);

#endif
