/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_MODEL_DATA_WORLD_H
#define TESTS_MODEL_DATA_WORLD_H
/*
 * Store, keys, take-over, index, data and log, wired by hand, with a few files that a test drives
 * as vfs would: lock, join, apply, leave; a record per file that is encoded on touch or when its
 * group closes. Failures end the test.
 */
#include "core/base/list.h"
#include "core/data/data.h"
#include "core/index/maintain.h"
#include "core/store/mem.h"
#include "core/takeover.h"

#define WORLD_FILES 3

struct world_file {
	struct rwlock lock;
	struct file_data data;
	uint64_t inode, size;
	struct group *group; /* that changed it last and has not encoded it; guarded by lock */
	_Atomic unsigned refs;
	int64_t moved, touched; /* as vfs counts what operations did to data.allocated */
	bool corrected_late; /* encoded on touch: its record is put right when its bytes have been
				encoded */
};

struct world {
	struct store *store;
	struct volume_keys *keys;
	struct budget *budget;
	struct takeover_result t;
	struct index *index;
	struct data *data;
	struct log *log;
	struct world_file files[WORLD_FILES];
	uint64_t memory;
};

struct world *world_new(uint64_t memory); /* bytes */
void world_free(struct world *w);
void world_open(struct world *w);
/* `crash`: what was not acknowledged is lost. */
void world_close(struct world *w, bool crash);

/* ---- operations; each returns the number of the group that it went into ---- */

uint64_t world_write(
	struct world *w, struct world_file *f, uint64_t offset, const uint8_t *bytes, size_t len);
uint64_t world_punch(struct world *w, struct world_file *f, uint64_t offset, uint64_t len);
uint64_t world_truncate(struct world *w, struct world_file *f, uint64_t size);
uint64_t world_allocate(struct world *w, struct world_file *f, uint64_t offset, uint64_t len);
/* Everything up to now durable. */
void world_sync(struct world *w);
/* As if the file had left memory, and came back. Nothing happens while it is busy. */
void world_forget(struct world *w, struct world_file *f);
/* Flush, merge, book what was dropped. */
void world_maintain(struct world *w);

/* ---- checks; everything is synced ---- */

/* Live bytes, allocated bytes of all files against their extents, the volume's usage. */
void world_check(struct world *w);

static inline uint64_t world_size_of(const struct file_data *f)
{
	return container_of((struct file_data *)(uintptr_t)f, struct world_file, data)->size;
}

#endif
