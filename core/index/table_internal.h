/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_TABLE_INTERNAL_H
#define CORE_INDEX_TABLE_INTERNAL_H
/* What table_read.c, table_open.c and table_iter.c share. */
#include "core/base/list.h"
#include "core/base/refcount.h"
#include "core/base/thread.h"
#include "core/index/table_read.h"
#include "core/seal/envelope.h"

/* What an open table keeps in memory. Immutable; reference-counted because readers go on with it
 * when the pool drops it. */
struct table_body {
	struct refcount refs;
	struct budget *budget;
	struct envelope envelope;
	struct buf plain[TABLE_PARTS]; /* the properties' is empty: they are decoded at once */
	struct table_block *blocks;
	size_t nblocks;
	struct table_fragment *fragments;
	size_t nfragments;
	struct table_properties props;
	size_t charge; /* bytes of class CACHE */
};

struct table_pool {
	/* immutable */
	struct store *store;
	const struct volume_keys *keys;
	struct budget *budget;
	struct block_cache *cache;
	uint64_t max_bytes;

	_Atomic uint64_t clock, filter_skips;

	struct mutex lock; /* RANK_CACHE; never together with a table's */
	/* guarded by lock */
	struct list open; /* tables with a body */
	struct list all;  /* handles */
	uint64_t bytes;
};

struct table {
	/* immutable */
	struct refcount refs;
	struct table_pool *pool;
	struct table_meta meta;
	char key[TABLE_KEY_BYTES];

	_Atomic uint64_t last_used; /* clock of the pool */

	struct mutex lock; /* RANK_CACHE */
	struct cond opened;
	/* guarded by lock */
	bool opening;
	struct table_body *body; /* reference; NULL = not open */

	/* guarded by the pool's lock */
	struct list link;
	struct list handle; /* in pool->all */
	size_t pooled;	    /* what it adds to pool->bytes */
};

/* Reads and proves the body. Waits for the store. */
int table_body_read(const struct table *t, struct table_body **ret, struct error *err);
void table_body_unref(struct table_body *b); /* NULL is fine */
/* The body, opened if need be, with a reference. -EWOULDBLOCK with TABLE_CACHED. */
int table_load(struct table *t, unsigned flags, struct table_body **ret, struct error *err);

/* The first block that may hold `key` or what is behind it; nblocks = none. */
size_t table_block_find(const struct table_body *b, struct slice key);
/* The first fragment that ends behind `key`. */
size_t table_fragment_find(const struct table_body *b, struct slice key);
/* Reads the bytes of blocks [first, first + n) into the empty `ret`. */
int table_read_blocks(const struct table *t, const struct table_body *b, size_t first, size_t n,
	struct buf *ret, struct error *err);
/* Opens block `i`, appended to the empty `plain`. */
int table_open_block(const struct table *t, const struct table_body *b, size_t i,
	struct slice sealed, struct buf *plain, struct error *err);
struct block_key table_block_key(const struct table *t, size_t i);

#endif
