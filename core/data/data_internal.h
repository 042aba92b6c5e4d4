/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_DATA_INTERNAL_H
#define CORE_DATA_DATA_INTERNAL_H
/*
 * What the files of core/data share.
 *
 * Locks, outermost first: a file's lock, `data.lock` (sealing jobs, reframing), a group's lock,
 * `data.reader_lock`. None is held over a store request or a wait for memory.
 *
 * D1  A file has at most one map per group, newest first; all groups older than its oldest map are
 * encoded. D2  A piece of bytes turns into an extent only where it still is the same bytes of the
 * same block. D3  Bytes of a block that a piece shows never change; only what nobody shows is
 * written, under the file's exclusive lock. D4  A chunk that was read from the index is installed
 * only if no map has been encoded meanwhile (file_data.encoded). D5  A map leaves its file only
 * after its records are in the index, in the critical section that moves `encoded`.
 */
#include "core/base/diag.h"
#include "core/base/map.h"
#include "core/base/thread.h"
#include "core/base/workers.h"
#include "core/data/data.h"
#include "core/data/flights.h"
#include "core/data/frame_cache.h"
#include "core/data/pending.h"
#include "core/data/segments.h"
#include "core/seal/frame.h"

#define TAIL_BLOCK_BYTES 4096u
#define CHUNK_MERGED_MAX 8u /* versions to fold beyond which the whole record is written */
#define SEAL_FRAMES_MAX 16u /* frames of one batch */
#define RETRY_MS 10	    /* after -ENOMEM on the commit path, which cannot give up */

struct data {
	/* immutable after open (log: after data_set_log) */
	struct data_options o;
	struct log *log;
	struct group_ops group_ops;
	struct data_owner_ops owner;
	struct frame_cache *frames;
	struct segments *segments;
	struct flights *flights;
	struct workers *sealers; /* early sealing: may wait for an older group to close */
	struct workers *closers; /* the group that is closing: waits for no other group */
	struct workers *fetchers;
	struct workers *reframers;
	unsigned seal_frames;		  /* of one batch, by memory */
	uint64_t tail_limit, chunk_limit; /* bytes */

	struct mutex lock;  /* RANK_DIRTY */
	struct cond sealed; /* a sealing job of some group ended */
	/* guarded by lock */
	struct list reframes; /* struct reframe, waiting or running */
	unsigned nreframes;
	bool stopping;

	struct mutex reader_lock; /* RANK_READER */
	struct cond reader_room;
	uint64_t emergency; /* guarded by reader_lock: bytes of reads that found no cache room */

	/* atomic */
	_Atomic uint64_t
		generation; /* chunks that were read in an older one are stale (followers) */
	_Atomic uint64_t tail_bytes, chunk_bytes;
	_Atomic uint64_t get_ns; /* moving average of a GET */
	_Atomic uint64_t frames_sealed, plain_sealed, bytes_sealed, frame_hits, frame_misses, gets,
		get_bytes;
};

struct group_data {
	/* immutable */
	struct data *data;
	struct group *group;
	struct index_group *records;
	/* owned by the layer above */
	void *vfs;

	struct mutex lock; /* RANK_DIRTY; never together with data.lock */
	/* guarded by lock */
	struct list maps;	  /* struct pending */
	struct segment_refs refs; /* booked so far */
	/* guarded by data.lock */
	struct list jobs; /* struct seal_job that no worker has begun */
	unsigned jobs_running;
	/* atomic */
	_Atomic int64_t usage_bytes, usage_inodes;
};

static inline struct group_data *group_data_of(const struct group *g)
{
	return g->payload;
}
static inline uint64_t chunk_of(uint64_t offset)
{
	return offset / CHUNK_BYTES;
}
static inline uint64_t file_key_inode(const struct file_data *f)
{
	return f->inode & INODE_MAX; /* the view in the upper bits is no part of stored keys */
}

/* ---- file.c ---- */

/* The file's map of this group, made from `spare` (taken) where there is none. (X) */
struct pending *file_map(
	struct file_data *f, struct group *g, uint64_t size, struct pending **spare);
struct pending *pending_new(void);	  /* NULL on ENOMEM */
void pending_free(struct pending *map);	  /* NULL is fine */
void file_tail_drop(struct file_data *f); /* (X) */
/* (X) Takes the map out of its file's list. */
void file_unlink_map(struct file_data *f, struct pending *map);
/* (X) Moves the count of allocated bytes and books the change in the group. */
void file_account(struct file_data *f, struct group_data *gd, int64_t change);
void map_account(struct pending *map, int64_t change); /* (X) the same by an operation on the map */
/* What the layers of maps from `top` on, and known chunks, charge in the range. (S) */
uint64_t file_charged(
	const struct file_data *f, const struct pending *top, uint64_t offset, uint64_t end);

/* ---- sealer.c ---- */

/* Starts sealing the full chunks that this write completed, if there is memory for a job. (X) */
void sealer_after_write(struct pending *map, uint64_t offset, uint64_t end);
/* No job of the group begins any more, and none runs. */
void sealer_stop(struct group_data *gd);
/* Seals whatever is still bytes in the group's maps. 0, -ESTALE, -ECANCELED. */
int sealer_finish(struct group_data *gd);

/* ---- group_close.c ---- */

void group_ops_init(struct data *d);

#endif
