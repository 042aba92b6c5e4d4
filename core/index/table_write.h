/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_TABLE_WRITE_H
#define CORE_INDEX_TABLE_WRITE_H
/*
 * Writes one table: sorted records are cut to blocks that are sealed as they fill; filter, range
 * deletes, index and properties follow, and the whole becomes one object (docs/format.md "Table").
 * When to begin the next table is the caller's business, but only between two user keys. A writer
 * belongs to one thread.
 */
#include "core/base/budget.h"
#include "core/index/table_format.h"
#include "core/seal/codec.h"
#include "core/seal/keys.h"

struct table_writer;

struct table_writer_options {
	struct store *store; /* borrowed, like all pointers here */
	const struct volume_keys *keys;
	const struct index_fold *fold; /* for filter_prefix; NULL = whole keys only */
	struct budget *budget;	       /* class MERGE; NULL = not accounted */
	uint64_t table_bytes; /* target: what table_writer_full compares with, and the memory that
				 is reserved */
	uint64_t block_bytes; /* target of a plain block */
	struct codec_choice codec;
	/* Rising. Of range deletes of one fragment between which no pin lies only the newest is
	 * written. */
	const uint64_t *pins;
	size_t npins;
};

/*
 * Begins table `id`. Reserves `table_bytes` of class MERGE, for which it may wait: a thread that
 * holds a writer must not begin another one but for table_writer_split, and then with
 * `successor_of`, which shares the reservation (else NULL). 0, -ENOMEM, -ECANCELED, -EBADMSG (no
 * current key).
 */
int table_writer_new(const struct table_writer_options *o, struct table_id id,
	struct table_writer *successor_of, struct table_writer **ret, struct error *err);
/* A point record (in order) or a range delete (in any order relative to the points; empty ranges
 * are ignored). */
int table_writer_add(struct table_writer *w, const struct record *r, struct error *err);
/* Extends the key range of the table by `key`, so that a table without records, written for its
 * dropped references, has one. */
int table_writer_cover(struct table_writer *w, struct slice key);
bool table_writer_empty(const struct table_writer *w);	   /* no record at all */
uint64_t table_writer_bytes(const struct table_writer *w); /* of the object, estimated from above */
/* True from the target size on, and where a part reaches its limit. */
bool table_writer_full(const struct table_writer *w);
/* The next table will begin at user key `at`, above all point keys so far: gives `next` what range
 * deletes cover from there on. */
int table_writer_split(struct table_writer *w, struct slice at, struct table_writer *next);
/*
 * Stores the object. `dropped` (may be NULL) goes into the properties. *ret has everything but
 * `added`; its key buffers are the caller's. 0 stored, durable; -EINVAL a table without key range;
 * errors of store_create.
 */
int table_writer_finish(struct table_writer *w, const struct segment_refs *dropped,
	struct table_meta *ret, struct error *err);
void table_writer_free(struct table_writer *w); /* NULL is fine */

#endif
