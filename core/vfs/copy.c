/* SPDX-License-Identifier: GPL-3.0-or-later */
/* copy_file_range: steps of bounded memory that share the frames of the source (data/share.c). */
#include "core/base/cleanup.h"
#include "core/vfs/attr.h"
#include "core/vfs/handle.h"
#include "core/vfs/lookup.h"
#include "core/vfs/op.h"
#include "core/vfs/xattr.h"

#define COPY_MS_MAX 500		      /* of one call, after its first step */
#define WHOLE_ATTEMPTS 16	      /* after so many a step need not be whole */
#define NEAR_QUOTA_BYTES (128u << 10) /* one step where the quota may not be enough for all */
#define RECORD_BYTES 96u	      /* what the record of a chunk takes, about */
#define RECORDS_MAX 33u		      /* chunks with bytes that one step touches, about */

struct copying {
	const struct vfs_cred *cred;
	struct inode *from, *to;
	uint64_t offset, to_offset, len; /* what is left */
	uint64_t group;			 /* of the last step */
	unsigned attempt;		 /* of the step */
	/* of one step */
	uint64_t want;	/* bytes at most */
	uint64_t quota; /* bytes admitted that are no holes */
};

/* Bytes of the range that lie before the end of the source. */
static uint64_t clamp(const struct inode *from, uint64_t offset, uint64_t len)
{
	uint64_t left = offset < from->size ? from->size - offset : 0;

	return len < left ? len : left;
}

/*
 * What of the copy's next bytes the quota admits: all of them, as a rule; else, where little is
 * left, a hole of the source or a few of its bytes. 0, -ENOSPC, errors of reading and waiting.
 */
static int admit(struct copying *k)
{
	struct vfs_engine *e = k->to->engine;
	uint64_t size, at, end;
	int r = quota_admit(e, k->to, k->to_offset, k->len);

	k->want = k->quota = k->len;
	if (r != -ENOSPC)
		return r;
	rwlock_rdlock(&k->from->lock);
	size = k->from->size;
	rwlock_unlock(&k->from->lock);
	r = data_seek(&k->from->data, size, k->offset, false, &at, NULL);
	if (r < 0 && r != -ENXIO)
		return engine_read_error(r);
	k->quota = 0;
	if (r == -ENXIO || at >= k->offset + k->len)
		return 0;
	if (at > k->offset) {
		k->want = at - k->offset;
		return 0;
	}
	r = data_seek(&k->from->data, size, k->offset, true, &end, NULL);
	if (r < 0 && r != -ENXIO)
		return engine_read_error(r);
	if (r == 0 && end - k->offset < k->want)
		k->want = end - k->offset;
	if (k->want > NEAR_QUOTA_BYTES)
		k->want = NEAR_QUOTA_BYTES;
	k->quota = k->want;
	return quota_admit(e, k->to, k->to_offset, k->want);
}

static int may_copy(const struct copying *k)
{
	struct perm_node n = inode_perm(k->to);
	int r = k->from->gone || k->to->gone ? -ESTALE : perm_frozen(n.flags, false);

	return r == 0 && k->cred->uid ? perm_knows_setid(k->cred, &n) : r;
}

/* The locked files: 0 with *ret bytes that can be copied now (0: the end); -EAGAIN: prepare again.
 */
static int plan(struct copying *k, struct data_share *s, uint64_t *ret)
{
	uint64_t want = clamp(k->from, k->offset, k->want);
	int r = may_copy(k);

	*ret = 0;
	if (r < 0 || want == 0)
		return r;
	*ret = data_share_plan(s, want, k->quota);
	return *ret ? 0 : -EAGAIN;
}

/* Joins a group and applies the plan of `n` bytes; takes it. */
static int commit(struct op *op, struct copying *k, struct data_share *s, uint64_t n)
{
	/* Room for the records, given back at once: it makes a group end that has enough of them.
	 */
	size_t records = n / CHUNK_BYTES < RECORDS_MAX ? n / CHUNK_BYTES + 1 : RECORDS_MAX;
	struct inode *to = k->to;
	int r = op_join(op, records + xattr_capability_records(to),
		records * RECORD_BYTES + xattr_capability_bytes(to));

	if (r < 0) {
		data_share_free(s);
		return r;
	}
	quota_note(op->engine, op->members, data_share_bytes(s));
	op_share(op, to, k->to_offset, s);
	if (k->to_offset + n > to->size)
		to->size = k->to_offset + n;
	if (k->cred->uid != 0)
		inode_kill_setid(to, k->cred);
	xattr_drop_capability(op, to);
	op_touch(op, to, true);
	k->group = op->number;
	return 0;
}

/* 0 with *ret bytes copied, none at the end of the source; -EAGAIN: once more. */
static int step(struct copying *k, uint64_t *ret)
{
	struct data_share *share = NULL;
	struct op op;
	uint64_t n = 0;
	int r = op_begin(&op, k->to->engine);

	if (r == 0)
		r = admit(k);
	if (r == 0) {
		r = data_share_prepare(
			&k->from->data, k->offset, k->want, k->attempt >= WHOLE_ATTEMPTS, &share);
		r = r < 0 ? engine_read_error(r) : 0;
	}
	if (r == 0) {
		op_add(&op, k->from);
		op_add(&op, k->to);
		op_lock(&op);
		op.source = k->from == k->to ? NULL : k->from;
		if (k->to_offset + k->want <= INODE_INLINE_MAX)
			op.inline_after = k->to_offset + k->want;
		r = plan(k, share, &n);
	}
	if (r == 0 && n > 0)
		r = commit(&op, k, TAKE(share), n);
	op_end(&op);
	data_share_free(share);
	*ret = r == 0 ? n : 0;
	return r;
}

/* Until everything is copied, or enough time went by. 0, or why the next step failed. */
static int copy_steps(struct copying *k, uint64_t *ret_done)
{
	uint64_t began = env_now_ms(), n;

	while (k->len > 0) {
		int r = step(k, &n);

		if (r == -EAGAIN) {
			lookup_pause(k->attempt++);
			continue;
		}
		if (r < 0 || n == 0)
			return r;
		k->attempt = 0;
		*ret_done += n;
		k->offset += n;
		k->to_offset += n;
		k->len -= n;
		if (env_now_ms() - began > COPY_MS_MAX)
			return 0;
	}
	return 0;
}

static int check_files(const struct vfs_file *from, const struct vfs_file *to)
{
	if (from->directory || to->directory)
		return -EISDIR;
	if (!handle_readable(from) || !handle_writable(to) || (to->flags & O_APPEND))
		return -EBADF;
	return 0;
}

/* Cuts the copy at the end of the source; 0, -EFBIG, -EINVAL. */
static int check_range(struct copying *k)
{
	rwlock_rdlock(&k->from->lock);
	k->len = clamp(k->from, k->offset, k->len);
	rwlock_unlock(&k->from->lock);
	if (k->len == 0)
		return 0;
	if (k->to_offset > VFS_FILE_MAX || k->len > VFS_FILE_MAX - k->to_offset)
		return -EFBIG;
	if (k->from == k->to && k->offset < k->to_offset + k->len &&
		k->to_offset < k->offset + k->len)
		return -EINVAL;
	return 0;
}

int64_t engine_copy_range(struct vfs *v, const struct vfs_cred *c, struct vfs_file *from,
	uint64_t offset, struct vfs_file *to, uint64_t to_offset, uint64_t len)
{
	struct vfs_engine *e = engine_of(v);
	struct copying k = {.cred = c,
		.from = from->inode,
		.to = to->inode,
		.offset = offset,
		.to_offset = to_offset,
		.len = len};
	uint64_t done = 0;
	int r = engine_enter(e);

	if (r == 0)
		r = check_files(from, to);
	if (r == 0 && e->o.read_only)
		r = -EROFS;
	if (r == 0)
		r = check_range(&k);
	if (r == 0)
		r = copy_steps(&k, &done);
	if (r < 0 && done == 0)
		return r;
	if (done > 0)
		attr_accessed(from);
	if (done > 0 && (to->flags & (O_SYNC | O_DSYNC))) {
		r = engine_wait_durable(e, k.group, NULL);
		if (r < 0)
			return r;
	}
	return (int64_t)done;
}
