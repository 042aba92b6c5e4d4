/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of size and of what is allocated: truncate, fallocate, seek. */
#include "core/vfs/truncate.h"
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"
#include "core/vfs/op.h"
#include "core/vfs/xattr.h"

/* ---- truncate ---- */

int truncate_prepare(struct inode *i, uint64_t size, struct data_reserve **ret)
{
	if (size > VFS_FILE_MAX)
		return -EFBIG;
	return data_prepare_change(i->engine->data, ret);
}

void truncate_apply(struct op *op, struct inode *i, uint64_t size, struct data_reserve *r)
{
	/* Also where it grows: bytes that stand in the inode become as long as the file. */
	op_punch(op, i, size, UINT64_MAX, r);
	i->size = size;
}

/* ---- fallocate ---- */

struct allocation {
	const struct vfs_cred *cred;
	unsigned mode;
	uint64_t offset, len;
	struct data_reserve *punch, *allocate; /* what this kind needs */
};

static bool allocates(const struct allocation *a)
{
	return !(a->mode & VFS_FALLOC_PUNCH);
}

static bool clears(const struct allocation *a)
{
	return a->mode & (VFS_FALLOC_PUNCH | VFS_FALLOC_ZERO);
}

static int check_mode(const struct allocation *a)
{
	const unsigned plain = VFS_FALLOC_KEEP_SIZE,
		       punch = VFS_FALLOC_PUNCH | VFS_FALLOC_KEEP_SIZE;
	const unsigned zero = VFS_FALLOC_ZERO | VFS_FALLOC_KEEP_SIZE;

	if ((a->mode & ~plain) && a->mode != punch && (a->mode & ~zero))
		return -EOPNOTSUPP;
	if (a->len == 0)
		return -EINVAL;
	if (a->offset > VFS_FILE_MAX || a->len > VFS_FILE_MAX - a->offset)
		return -EFBIG;
	return 0;
}

static int prepare(struct inode *i, struct allocation *a)
{
	struct data *d = i->engine->data;
	int r = 0;

	if (clears(a))
		r = data_prepare_change(d, &a->punch);
	if (r == 0 && allocates(a))
		r = data_prepare_change(d, &a->allocate);
	return r;
}

static int may_allocate(const struct inode *i, const struct allocation *a)
{
	struct perm_node n;

	if (i->gone)
		return -ESTALE;
	/* Space behind the end is as good as an append. */
	if (perm_frozen(i->flags, !(a->mode & ~VFS_FALLOC_KEEP_SIZE)) < 0)
		return -EPERM;
	n = inode_perm(i);
	return a->cred->uid ? perm_knows_setid(a->cred, &n) : 0;
}

static void apply(struct op *op, struct inode *i, struct allocation *a)
{
	uint64_t end = a->offset + a->len, after = i->size;

	if (!(a->mode & VFS_FALLOC_KEEP_SIZE) && end > after)
		after = end;
	if (clears(a))
		op_punch(op, i, a->offset, a->len, TAKE(a->punch));
	if (allocates(a) && a->offset < after)
		op_allocate(op, i, a->offset, (end < after ? end : after) - a->offset,
			TAKE(a->allocate));
	i->size = after;
	xattr_drop_capability(op, i);
	op_touch(op, i, true);
	if (a->cred->uid != 0) /* no request says that they go */
		inode_kill_setid(i, a->cred);
}

/* One step, at most DATA_ALLOCATE_MAX bytes. */
static int allocate_step(struct inode *i, struct allocation *a)
{
	struct vfs_engine *e = i->engine;
	struct op op;
	int r = op_begin(&op, e);

	if (r == 0 && allocates(a))
		r = quota_admit(e, i, a->offset, a->len);
	if (r == 0)
		r = prepare(i, a);
	if (r == 0) {
		op_add(&op, i);
		op_lock(&op);
		op.inline_after = INODE_INLINE_MAX;
		r = may_allocate(i, a);
	}
	if (r == 0)
		r = op_join(&op, xattr_capability_records(i), xattr_capability_bytes(i));
	if (r == 0) {
		if (allocates(a))
			quota_note(e, op.members, a->len);
		apply(&op, i, a);
	}
	op_end(&op);
	data_reserve_free(TAKE(a->punch));
	data_reserve_free(TAKE(a->allocate));
	return r;
}

int engine_fallocate(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, unsigned mode,
	uint64_t offset, uint64_t len)
{
	struct vfs_engine *e = engine_of(v);
	struct allocation a = {.cred = c, .mode = mode, .offset = offset, .len = len};
	uint64_t end = offset + len;
	int r = engine_enter(e);

	if (r == 0)
		r = check_mode(&a);
	if (r < 0)
		return r;
	if (!handle_writable(f))
		return -EBADF;
	if (!S_ISREG(f->inode->mode))
		return S_ISDIR(f->inode->mode) ? -EISDIR : -ENODEV;
	if (allocates(&a)) {
		/* All of it or nothing, as far as the quota goes; the steps below only bound the
		 * memory. */
		r = quota_admit(e, f->inode, offset, len);
		if (r < 0)
			return r;
	}
	while (r == 0 && a.offset < end) {
		a.len = end - a.offset;
		if (allocates(&a) && a.len > DATA_ALLOCATE_MAX)
			a.len = DATA_ALLOCATE_MAX;
		r = allocate_step(f->inode, &a);
		a.offset += a.len;
	}
	return r;
}

/* ---- seek ---- */

int64_t engine_seek(struct vfs *v, struct vfs_file *f, uint64_t offset, int whence)
{
	struct vfs_engine *e = engine_of(v);
	struct inode *i = f->inode;
	uint64_t size, found;
	int r = engine_enter(e);

	if (r < 0)
		return r;
	if (f->directory)
		return -EINVAL;
	rwlock_rdlock(&i->lock);
	size = i->size;
	rwlock_unlock(&i->lock);
	if (offset >= size)
		return -ENXIO;
	r = data_seek(&i->data, size, offset, whence == VFS_SEEK_HOLE, &found, NULL);
	if (r == -ENXIO)
		return r;
	return r < 0 ? engine_read_error(r) : (int64_t)found;
}
