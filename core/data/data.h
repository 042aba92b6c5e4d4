/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DATA_DATA_H
#define CORE_DATA_DATA_H
/*
 * The bytes of files: dirty pieces per (file, group), sealing into segments, extents, reading. And
 * the close of a group, since the last extents are known only when everything is sealed.
 *
 * Each file's state is a `struct file_data` inside the inode of the layer above. It is guarded by
 * the inode's lock (an rwlock that data knows by pointer): functions marked (X) want it held
 * exclusively, (S) at least shared, (0) not held: they take it themselves.
 *
 * How bytes move: data_write puts pieces into the map of the open group; full chunks are sealed
 * early by workers, the rest when the group closes; then the map is encoded as chunk deltas into
 * the group and dropped. Reads look through the maps, newest group first, then at the chunk's
 * extents. A map of a closed group never changes but for bytes turning into extents.
 */
#include "core/base/budget.h"
#include "core/data/extents.h"
#include "core/data/fold.h"
#include "core/data/group.h"
#include "core/data/keyspace.h"
#include "core/data/usage.h"
#include "core/index/index.h"
#include "core/log/log.h"

#define INLINE_BYTES_MAX 2048 /* of a file whose bytes stand in its inode */
#define DATA_ALLOCATE_MAX                                                                          \
	(16ull << 30) /* bytes of one data_allocate: more in several operations                    \
		       */

struct data;
struct file_data;
struct group_data; /* what a group holds for data and vfs: the payload of a struct group */

/* Given by vfs. */
struct data_owner_ops {
	/* A file that has dirty pieces, or work under way, must stay in memory. */
	void (*file_ref)(struct file_data *f);
	void (*file_unref)(struct file_data *f);
	/* The group is closing and its data are encoded: add the records of everything last changed
	 * in it that no later operation has encoded already. Committer thread; 0, or -ECANCELED. */
	int (*encode)(void *arg, struct group *g);
	void (*acked)(void *arg, struct group *g);
	/* The group will never be acknowledged: forget what was changed in it. May be NULL. */
	void (*dropped)(void *arg, struct group *g);
	void *arg;
};

struct data_options {
	struct store *store;
	const struct volume_keys *keys;
	struct index *index;
	struct budget *budget;
	struct codec_choice codec;
	const struct data_owner_ops *owner; /* NULL for a follower */
	unsigned seal_threads;		    /* 0 = number of cores */
	uint64_t frame_cache_bytes;	    /* upper limit; the budget may give less */
	uint64_t max_gap_bytes; /* holes between frames that one GET reads over, 16 KiB */
};
int data_open(const struct data_options *o, struct data **ret, struct error *err);
/* The table to give to log_open; then data_set_log. A follower has no log. */
const struct group_ops *data_group_ops(struct data *d);
void data_set_log(struct data *d, struct log *l);
/* Ends background work that joins groups, and waits for it: before log_close. Reads and writes go
 * on. May be called several times; not while a lock is held. */
void data_stop(struct data *d);
/* After the log, and after data_file_done of all files; no read is under way. NULL is fine. */
void data_close(struct data *d);
/* Followers: the index has moved (replay, another manifest), so chunks that are cached are old. */
void data_invalidate(struct data *d);

/* ---- files ---- */

struct pending; /* the map of one group */

struct file_data {
	struct data *data;   /* immutable */
	uint64_t inode;	     /* immutable */
	struct rwlock *lock; /* the inode's lock */
	/* guarded by *lock */
	struct pending *pending;    /* maps of groups not encoded yet, newest first */
	struct chunk_cache *chunks; /* decoded chunks, folded as the index says */
	uint64_t encoded;      /* counts encodes: a chunk read from the index before one is stale */
	uint8_t *inline_bytes; /* NULL unless the file is inline */
	uint32_t inline_len;
	bool is_inline; /* all bytes of the file are inline (true for an empty new file) */
	uint8_t *tail;	/* bytes of the partial last 4 KiB block, when known */
	uint64_t tail_start;
	uint32_t tail_len;
	/* Bytes that count for st_blocks: exact after each close of a group, about right before;
	 * below 0 modulo 2^64 for a moment when a truncate came in between (file.c). */
	uint64_t allocated;
};

/* A new (`fresh`: nothing stored, inline) or a loaded file; where that is inline,
 * data_file_set_inline follows. */
void data_file_init(struct file_data *f, struct data *d, uint64_t inode, struct rwlock *lock,
	bool fresh, uint64_t allocated);
int data_file_set_inline(struct file_data *f, struct slice bytes); /* 0, -ENOMEM */
/* Frees everything; nothing may be pending. */
void data_file_done(struct file_data *f);
/* Whether anything is pending or under way (the file must stay in memory). (S) */
bool data_file_busy(const struct file_data *f);

/* What a change needs, allocated before locks are taken so that applying cannot fail. */
struct data_reserve;
/* Prepares a write at `offset`: copies the bytes; waits for BUDGET_DIRTY, and for the store where a
 * stream is ahead of it. (0) *ret is for one data_write, or freed. -ENOMEM, -ECANCELED. */
int data_prepare_write(struct data *d, uint64_t offset, const struct slice *parts, size_t nparts,
	struct data_reserve **ret);
/* Prepares data_punch, data_allocate or data_remove. */
int data_prepare_change(struct data *d, struct data_reserve **ret);
void data_reserve_free(struct data_reserve *r); /* NULL is fine */
/* Apply in group `g`; cannot fail; take the reserve. (X) `size` is the file's size before the call.
 * The usage of the volume is booked by data itself. */
void data_write(struct file_data *f, struct group *g, uint64_t size, struct data_reserve *r);
/*
 * [offset, offset + len) reads as zeros; len UINT64_MAX = to the end of all (truncate, remove). (X)
 * A truncate that makes the file longer calls it too, with the new size as `offset`: bytes that
 * stand in the inode must become as long as the file.
 */
void data_punch(struct file_data *f, struct group *g, uint64_t size, uint64_t offset, uint64_t len,
	struct data_reserve *r);
/*
 * Charges what has no bytes yet in the range, which then still reads as zeros. (X) The range ends
 * at the latest where the file ends after the operation: space behind the end of a file is not
 * kept. At most DATA_ALLOCATE_MAX bytes.
 */
void data_allocate(struct file_data *f, struct group *g, uint64_t size, uint64_t offset,
	uint64_t len, struct data_reserve *r);

/*
 * Reads [offset, offset + len), which lies below `size`, into `out`; zeros where nothing is. (0)
 * Takes the lock shared, copies the extents, and reads without it. *ret_size: the size under that
 * lock, given by `size_of` (the caller's inode). -EBADMSG names segment and frame. For view !=
 * GROUP_NOW only stored records count.
 */
int data_read(struct file_data *f, uint64_t view, uint64_t offset, size_t len, uint8_t *out,
	uint64_t (*size_of)(const struct file_data *f), size_t *ret_len, struct error *err);
/* SEEK_DATA / SEEK_HOLE at or after `offset` in a file of `size`. (0) -ENXIO as lseek. */
int data_seek(struct file_data *f, uint64_t size, uint64_t offset, bool hole, uint64_t *ret,
	struct error *err);
struct data_stats {
	uint64_t dirty_bytes, frames_sealed, plain_sealed, bytes_sealed, frame_hits, frame_misses,
		gets, get_bytes;
};
void data_stats(struct data *d, struct data_stats *ret);
void data_trim(struct data *d, uint64_t keep); /* leaves `keep` bytes of cached frames */

#endif
