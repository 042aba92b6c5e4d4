/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_READER_H
#define CORE_DATA_READER_H
/*
 * Reading in two steps: a plan, made under the file's shared lock, takes what is in memory and
 * notes which frames hold the rest; then the frames are fetched without any lock.
 */
#include "core/data/data_internal.h"

#define PLAN_INLINE 16
#define PLAN_MISSING_MAX 64

struct plan_item {
	uint8_t *out;
	uint32_t len;	 /* 0 once it is there */
	uint32_t want;	 /* owned by reader_fetch */
	struct extent e; /* e.skip: the first byte wanted, in the frame */
};
struct plan {
	struct plan_item *items; /* `few`, or allocated */
	size_t n, cap;
	struct plan_item few[PLAN_INLINE];
	uint64_t missing[PLAN_MISSING_MAX]; /* chunks that are not known */
	size_t nmissing;
	uint64_t view;
};
void plan_init(struct plan *p, uint64_t view);
void plan_done(struct plan *p);
/*
 * Fills what is in memory of [offset, end) into `out` and plans the rest, looking from the map
 * `top` (NULL: stored records only) downwards. (S) 0 (p->nmissing: load these chunks and plan again
 * from the start), -ENOMEM.
 */
int plan_fill(struct plan *p, struct file_data *f, const struct pending *top, uint64_t offset,
	uint64_t end, uint8_t *out);

/*
 * Reads what was planned. (0) -ENOENT: a segment is gone. -EBADMSG names segment and frame. A plan
 * is fetched once.
 */
int reader_fetch(struct data *d, struct plan *p, struct error *err);
/* plan_fill and reader_fetch, loading chunks as needed, from the layer that `top` picks under the
 * file's shared lock. (0) */
struct reader_source {
	struct file_data *file;
	uint64_t view;
	const struct pending *map; /* begin with this map (it must stay), or NULL: the newest */
	bool stored_only;	   /* no maps at all */
};
int reader_read(const struct reader_source *s, uint64_t offset, size_t len, uint8_t *out,
	struct error *err);
/* Chunks [from, to) that the index does not have; counts while file_data.encoded is `encoded`. All
 * zero: none. */
struct reader_absent {
	uint64_t from, to, encoded;
};
/* What covers a place of the file. */
struct reader_span {
	enum piece_kind kind;
	uint64_t end;		   /* the same up to here at least */
	const struct piece *piece; /* PIECE_BYTES: the bytes */
	struct extent extent;	   /* PIECE_EXTENT: `skip` is that of the place asked for */
};
/* Looks at `at` of a file that is not inline. (S) False: its chunk must be loaded first. */
bool reader_span_at(const struct reader_source *s, const struct reader_absent *a, uint64_t at,
	struct reader_span *ret);
/* Loads the chunk, or finds out how many are not there. (0) */
int reader_span_load(
	const struct reader_source *s, uint64_t number, struct reader_absent *a, struct error *err);
/* Memory for `n` bytes of a request: cache room, or a bounded emergency share. */
enum budget_class reader_memory_get(struct data *d, uint64_t n);
void reader_memory_put(struct data *d, enum budget_class where, uint64_t n);
/* Opens one frame: from memory, cache or store. A new reference. */
int reader_frame(struct data *d, const struct extent *e, struct frame **ret, struct error *err);

#endif
