/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_DATA_INTERNAL_H
#define CORE_DATA_DATA_INTERNAL_H
/*
 * What the files of core/data share.
 *
 * Locks, outermost first: a file's lock, `data.lock` (sealing jobs, reframing), a group's lock, `data.reader_lock`. None is held over a store
 * request or a wait for memory.
 *
 * D1  A file has at most one map per group, newest first; all groups older than its oldest map are encoded.
 * D2  A piece of bytes turns into an extent only where it still is the same bytes of the same block.
 * D3  Bytes of a block that a piece shows never change; only what nobody shows is written, under the file's exclusive lock.
 * D4  A chunk that was read from the index is installed only if no map has been encoded meanwhile (file_data.encoded).
 * D5  A map leaves its file only after its records are in the index, in the critical section that moves `encoded`.
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
#define RETRY_MS 10	     /* after -ENOMEM on the commit path, which cannot give up */

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
	unsigned seal_frames; /* of one batch, by memory */
	uint64_t tail_limit, chunk_limit; /* bytes */

	struct mutex lock; /* RANK_DIRTY */
	struct cond sealed; /* a sealing job of some group ended */
	/* guarded by lock */
	struct list reframes; /* struct reframe, waiting or running */
	unsigned nreframes;
	bool stopping;

	struct mutex reader_lock; /* RANK_READER */
	struct cond reader_room;
	uint64_t emergency; /* guarded by reader_lock: bytes of reads that found no cache room */

	/* atomic */
	_Atomic uint64_t generation; /* chunks that were read in an older one are stale (followers) */
	_Atomic uint64_t tail_bytes, chunk_bytes;
	_Atomic uint64_t get_ns; /* moving average of a GET */
	_Atomic uint64_t frames_sealed, plain_sealed, bytes_sealed, frame_hits, frame_misses, gets, get_bytes;
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
	struct list jobs;      /* struct seal_job that no worker has begun */
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

/* ---- chunk_cache.c: decoded chunks of a file ---- */

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
const struct chunk_entry *chunk_cache_find(const struct file_data *f, uint64_t view, uint64_t number);
/* (X) Takes `c`. Does nothing when memory is short. */
void chunk_cache_install(struct file_data *f, uint64_t view, uint64_t number, struct chunk *c, unsigned merged,
	uint64_t generation);
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
 * Reads a chunk record from the index (0) and decodes it; -ENOENT gives an empty chunk and *ret_merged 0. `flags` as index_get.
 */
int chunk_read(struct file_data *f, uint64_t view, uint64_t number, unsigned flags, struct chunk *ret,
	unsigned *ret_merged, struct error *err);
/* chunk_read and install (0), D4. */
int chunk_load(struct file_data *f, uint64_t view, uint64_t number, struct error *err);
/* The piece as an extent of the chunk, cut to it. The piece is no bytes and overlaps the chunk. */
struct extent piece_extent(const struct piece *p, uint64_t chunk);

/* ---- file.c ---- */

/* The file's map of this group, made from `spare` (taken) where there is none. (X) */
struct pending *file_map(struct file_data *f, struct group *g, uint64_t size, struct pending **spare);
struct pending *pending_new(void); /* NULL on ENOMEM */
void pending_free(struct pending *map); /* NULL is fine */
void file_tail_drop(struct file_data *f); /* (X) */
/* (X) Takes the map out of its file's list. */
void file_unlink_map(struct file_data *f, struct pending *map);
/* (X) Moves the count of allocated bytes and books the change in the group. */
void file_account(struct file_data *f, struct group_data *gd, int64_t change);
void map_account(struct pending *map, int64_t change); /* (X) the same by an operation on the map */
/* What the layers of maps from `top` on, and known chunks, charge in the range. (S) */
uint64_t file_charged(const struct file_data *f, const struct pending *top, uint64_t offset, uint64_t end);

/* ---- sealer.c ---- */

/* Starts sealing the full chunks that this write completed, if there is memory for a job. (X) */
void sealer_after_write(struct pending *map, uint64_t offset, uint64_t end);
/* No job of the group begins any more, and none runs. */
void sealer_stop(struct group_data *gd);
/* Seals whatever is still bytes in the group's maps. 0, -ESTALE, -ECANCELED. */
int sealer_finish(struct group_data *gd);

/* ---- encode.c: maps to records ---- */

/* Chunks that could not be encoded yet: what older groups say is not in memory, or it would be too many extents (worn). */
struct deferred {
	struct deferred_chunk {
		struct pending *map;
		uint64_t chunk;
		bool worn;
	} *chunks;
	size_t n, cap, ncold;
};
/* Adds the records of the map to the group and the references to `refs`. 0, -ECANCELED, -ESTALE; waits out -ENOMEM. */
int encode_map(struct pending *map, struct segment_refs *refs, struct deferred *deferred);
/* The same for one chunk that was put off; it may be again, but not when `last`. */
int encode_deferred(const struct deferred_chunk *c, struct segment_refs *refs, struct deferred *deferred, bool last);
/* D5: known chunks get the pieces, `encoded` moves, the map leaves. (0) */
void encode_finish(struct pending *map);

/* ---- group_close.c ---- */

void group_ops_init(struct data *d);

/* ---- reader_plan.c: where bytes come from ---- */

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
 * Fills what is in memory of [offset, end) into `out` and plans the rest, looking from the map `top` (NULL: stored records only) downwards. (S) 0
 * (p->nmissing: load these chunks and plan again from the start), -ENOMEM.
 */
int plan_fill(struct plan *p, struct file_data *f, const struct pending *top, uint64_t offset, uint64_t end,
	uint8_t *out);

/* ---- reader.c ---- */

/*
 * Reads what was planned. (0) -ENOENT: a segment is gone. -EBADMSG names segment and frame. A plan is fetched once.
 */
int reader_fetch(struct data *d, struct plan *p, struct error *err);
/* plan_fill and reader_fetch, loading chunks as needed, from the layer that `top` picks under the file's shared lock. (0) */
struct reader_source {
	struct file_data *file;
	uint64_t view;
	const struct pending *map; /* begin with this map (it must stay), or NULL: the newest */
	bool stored_only;	   /* no maps at all */
};
int reader_read(const struct reader_source *s, uint64_t offset, size_t len, uint8_t *out, struct error *err);
/* Memory for `n` bytes of a request: cache room, or a bounded emergency share. */
enum budget_class reader_memory_get(struct data *d, uint64_t n);
void reader_memory_put(struct data *d, enum budget_class where, uint64_t n);
/* Opens one frame: from memory, cache or store. A new reference. */
int reader_frame(struct data *d, const struct extent *e, struct frame **ret, struct error *err);

/* ---- reframe.c ---- */

/* The chunk may have too many extents: looks at it in the background and writes it anew if so. Never waits. */
void reframe_request(struct file_data *f, uint64_t chunk);
/*
 * Fills the closing map of a chunk that is in too many pieces, from what lies below, so that each frame of the file with any bytes becomes one piece.
 * 0, -ESTALE, -ECANCELED; waits out -ENOMEM.
 */
int reframe_closing(struct pending *map, uint64_t chunk);
/* Pieces in the chunk beyond which reframe_closing is due. */
#define REFRAME_PIECES 64u

#endif
