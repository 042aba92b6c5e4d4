/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_CHUNK_CACHE_H
#define CORE_DATA_CHUNK_CACHE_H
/*
 * Decoded chunks of a file, as the index folds them: what is in maps is not in them. Guarded by the
 * file's lock; bounded for all files together, though a file may always keep a few.
 */
#include "core/data/data_internal.h"

struct chunk_entry {
	uint64_t number, view, generation;
	struct chunk chunk;
	unsigned merged;   /* versions that make it up */
	uint64_t overlaid; /* file_data.encoded + 1 when that was counted last */
	uint64_t charge;
	_Atomic bool used;
	struct list queue;
};
/* (S) NULL: not known. */
const struct chunk_entry *chunk_cache_find(
	const struct file_data *f, uint64_t view, uint64_t number);
/* (X) Takes `c`. Does nothing when memory is short. */
void chunk_cache_install(struct file_data *f, uint64_t view, uint64_t number, struct chunk *c,
	unsigned merged, uint64_t generation);
/* (X) Forgets all chunks that touch [offset, end). */
void chunk_cache_drop(struct file_data *f, uint64_t offset, uint64_t end);
/* (X) Puts a piece of a map that is being encoded over the chunks that are known. */
void chunk_cache_overlay(struct file_data *f, const struct piece *p);
void chunk_cache_done(struct file_data *f);
/* (S) Charged bytes of known chunks in the range. */
uint64_t chunk_cache_charged(const struct file_data *f, uint64_t offset, uint64_t end);
/* Charged bytes of the chunk, which begins at `base` of the file, in the range. */
uint64_t chunk_charged(const struct chunk *c, uint64_t base, uint64_t offset, uint64_t end);
/*
 * Reads a chunk record from the index (0) and decodes it; -ENOENT gives an empty chunk and
 * *ret_merged 0. `flags` as index_get.
 */
int chunk_read(struct file_data *f, uint64_t view, uint64_t number, unsigned flags,
	struct chunk *ret, unsigned *ret_merged, struct error *err);
/* chunk_read and install (0), D4. */
int chunk_load(struct file_data *f, uint64_t view, uint64_t number, struct error *err);
/* The piece as an extent of the chunk, cut to it. The piece is no bytes and overlaps the chunk. */
struct extent piece_extent(const struct piece *p, uint64_t chunk);

#endif
