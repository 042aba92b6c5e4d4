/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Usage and its limit. */
#include "core/vfs/quota.h"
#include "core/base/cleanup.h"
#include "core/data/charged.h"
#include "core/vfs/op.h"

static int read_usage(struct vfs_engine *e, struct usage_record *ret)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct key k = key_counter(COUNTER_USAGE);
	int r = index_get(e->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, NULL);

	if (r == -ENOENT) {
		*ret = (struct usage_record){0};
		return 0;
	}
	return r < 0 ? r : usage_record_decode(buf_slice(&value), ret);
}

int quota_load(struct vfs_engine *e)
{
	struct usage_record u;
	int r = read_usage(e, &u);

	if (r < 0)
		return engine_read_error(r);
	atomic_store(&e->quota.used_bytes, u.bytes);
	atomic_store(&e->quota.used_inodes, u.inodes);
	return 0;
}

void quota_acked(struct vfs_engine *e, struct group *g)
{
	atomic_fetch_add(&e->quota.used_bytes, group_usage_bytes(g));
}

uint64_t quota_used(const struct quota *q)
{
	int64_t n = atomic_load(&q->used_bytes) + atomic_load(&q->pending_bytes);

	return n > 0 ? (uint64_t)n : 0;
}

static bool fits(const struct quota *q, uint64_t more)
{
	uint64_t used = quota_used(q);

	return used <= q->max_bytes && more <= q->max_bytes - used;
}

/* Bytes of holes in [offset, end) of a file of `size`; `end` <= `size`. */
static int count_holes(struct inode *i, uint64_t size, uint64_t offset, uint64_t end, uint64_t *ret)
{
	uint64_t holes = 0, at = offset, next;

	while (at < end) {
		int r = data_seek(&i->data, size, at, false, &next, NULL);

		if (r == -ENXIO)
			next = end;
		else if (r < 0)
			return engine_read_error(r);
		if (next > end)
			next = end;
		holes += next - at;
		at = next;
		if (at == end)
			break;
		r = data_seek(&i->data, size, at, true, &next, NULL);
		if (r < 0 && r != -ENXIO)
			return engine_read_error(r);
		at = r < 0 ? end : next;
	}
	*ret = holes;
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * How much of a write is new, at most. Preallocated ranges look like holes, hence two other bounds:
 * what memory knows to be charged in the range, and what the file has allocated, for it will not
 * have more than its size.
 */
static int growth(struct inode *i, uint64_t offset, uint64_t len, uint64_t *ret)
{
	uint64_t size, allocated, after, below, charged, holes = 0;
	int r = 0;

	rwlock_rdlock(&i->lock);
	size = i->size;
	allocated = i->data.allocated;
	rwlock_unlock(&i->lock);
	after = offset + len > size ? offset + len : size;
	below = offset + len < size ? offset + len : size;
	if (offset < below)
		r = count_holes(i, size, offset, below, &holes);
	if (r < 0)
		return r;
	if (offset + len > size)
		holes += offset + len - (offset > size ? offset : size);
	after = after > allocated ? after - allocated : 0;
	rwlock_rdlock(&i->lock);
	charged = data_charged(&i->data, offset, offset + len);
	rwlock_unlock(&i->lock);
	*ret = least(least(holes, after), len - least(len, charged));
	return 0;
}

int quota_admit(struct vfs_engine *e, struct inode *i, uint64_t offset, uint64_t len)
{
	uint64_t more = len;
	int r = e->log ? log_refused(e->log) : 0;

	if (r < 0) /* better with the writer, who learns of it, than in a memory that nobody can
		      empty */
		return r;
	if (!e->quota.max_bytes || fits(&e->quota, len))
		return 0;
	/* What is not acknowledged yet counts in full where it writes, and not at all where it
	 * removes. */
	if (atomic_load(&e->last_changed) > log_acked(e->log))
		r = engine_wait_durable(e, atomic_load(&e->last_changed), NULL);
	if (r < 0)
		return r;
	if (i)
		r = growth(i, offset, len, &more);
	if (r < 0)
		return r;
	/* Also where the limit was lowered below what is used: what is there can be overwritten. */
	return more == 0 || fits(&e->quota, more) ? 0 : -ENOSPC;
}

void quota_note(struct vfs_engine *e, struct group_inodes *gi, uint64_t bytes)
{
	atomic_fetch_add(&gi->pending_bytes, (int64_t)bytes);
	atomic_fetch_add(&e->quota.pending_bytes, (int64_t)bytes);
}
