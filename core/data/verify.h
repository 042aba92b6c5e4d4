/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_VERIFY_H
#define CORE_DATA_VERIFY_H
/*
 * Opens frames as they lie in the store, past every cache, and compares them with the directory of
 * their segment (fsck --data). Extents are gathered in batches and read in the order in which they
 * lie, neighbours with one request. About 8 MiB of memory and the directories of a few segments.
 * Not thread-safe.
 */
#include "core/data/extents.h"

struct data;
struct verify;

enum verify_fault {
	VERIFY_GONE,	  /* the segment is not in the store, nor on its way there */
	VERIFY_FRAME,	  /* the frame does not open, or lies beyond the end of the object */
	VERIFY_DIRECTORY, /* the segment's directory says something else about the frame */
	VERIFY_SEGMENT,	  /* the directory cannot be read; once for each time it was tried */
};

struct verify_ops {
	void (*bad)(void *arg, uint64_t inode, uint64_t chunk, const struct extent *e,
		enum verify_fault fault, const char *why);
	void *arg;
};

int verify_new(struct data *d, const struct verify_ops *ops, struct verify **ret); /* 0, -ENOMEM */
/* Takes the frames of one chunk of a file; a batch that is full is read. Faults are told in the
 * order of these calls. 0 or an error that says nothing about the frames. */
int verify_chunk(
	struct verify *v, uint64_t inode, uint64_t chunk, const struct chunk *c, struct error *err);
int verify_flush(struct verify *v, struct error *err); /* reads what is left */
uint64_t verify_bytes(const struct verify *v);	       /* read so far */
void verify_free(struct verify *v);		       /* NULL is fine */

#endif
