/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Open files: open, release, read, write, fsync, flush. */
#include "core/base/cleanup.h"
#include "core/vfs/attr.h"
#include "core/vfs/handle.h"
#include "core/vfs/op.h"
#include "core/vfs/truncate.h"
#include "core/vfs/xattr.h"

#include <unistd.h>

/* ---- open ---- */

static int open_mask(int flags)
{
	int mask = 0;

	if ((flags & O_ACCMODE) != O_WRONLY)
		mask |= R_OK;
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
		mask |= W_OK;
	return mask;
}

/* Kinds that are opened here: devices, pipes and sockets are the kernel's, links are followed by
 * who asks. */
static int check_kind(const struct inode *i, int flags)
{
	switch (i->mode & S_IFMT) {
	case S_IFREG:
		return flags & O_DIRECTORY ? -ENOTDIR : 0;
	case S_IFDIR:
		return open_mask(flags) & W_OK ? -EISDIR : 0;
	case S_IFLNK:
		return -ELOOP;
	default:
		return -ENXIO;
	}
}

static int may_open(const struct vfs_cred *c, const struct inode *i, int flags)
{
	struct perm_node n = inode_perm(i);
	int mask = open_mask(flags), r;

	if (!handle_alive(i))
		return -ESTALE;
	r = mask & W_OK ? perm_frozen(n.flags, true) : 0;
	if (r == 0)
		r = perm_check(c, &n, mask);
	if (r == 0 && (mask & W_OK))
		r = perm_frozen(n.flags, (flags & O_APPEND) && !(flags & O_TRUNC));
	if (r < 0)
		return r;
	return flags & O_NOATIME ? perm_owner(c, &n) : 0;
}

static int knows_setid(const struct vfs_cred *c, const struct inode *i)
{
	struct perm_node n = inode_perm(i);

	return perm_knows_setid(c, &n);
}

/* O_TRUNC: opens and empties in one step. */
static int open_truncated(const struct vfs_cred *c, struct inode *i, struct vfs_file *f)
{
	struct data_reserve *reserve = NULL;
	struct op op;
	int r = op_begin(&op, i->engine);

	if (r == 0)
		r = truncate_prepare(i, 0, &reserve);
	if (r == 0) {
		op_add(&op, i);
		op_lock(&op);
		r = may_open(c, i, f->flags);
	}
	if (r == 0 && perm_kills_setid(c, c->kills_setid))
		r = knows_setid(c, i);
	if (r == 0)
		r = op_join(&op, xattr_capability_records(i), xattr_capability_bytes(i));
	if (r == 0) {
		truncate_apply(&op, i, 0, TAKE(reserve));
		xattr_drop_capability(&op, i);
		op_touch(&op, i, true);
		if (perm_kills_setid(c, c->kills_setid))
			inode_kill_setid(i, c);
		handle_install(f, i);
	}
	op_end(&op);
	data_reserve_free(reserve);
	return r;
}

static int open_plain(const struct vfs_cred *c, struct inode *i, struct vfs_file *f)
{
	int r;

	rwlock_rdlock(&i->lock);
	r = may_open(c, i, f->flags);
	if (r == 0)
		handle_install(f, i);
	rwlock_unlock(&i->lock);
	return r;
}

int engine_open(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, int flags, struct vfs_file **ret)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	CLEANUP(handle_free_p) struct vfs_file *f = NULL;
	int r = engine_enter(e);

	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	r = check_kind(i, flags);
	rwlock_unlock(&i->lock);
	if (r < 0)
		return r;
	if (e->o.read_only && (open_mask(flags) & W_OK))
		return -EROFS;
	f = handle_new(flags);
	if (!f)
		return -ENOMEM;
	r = flags & O_TRUNC ? open_truncated(c, i, f) : open_plain(c, i, f);
	if (r == 0)
		*ret = TAKE(f);
	return r;
}

void engine_release(struct vfs *v, struct vfs_file *f)
{
	(void)v;
	handle_close(f);
}

/* ---- read ---- */

int64_t engine_read(struct vfs *v, struct vfs_file *f, uint64_t offset, void *buf, size_t len)
{
	struct vfs_engine *e = engine_of(v);
	struct inode *i = f->inode;
	uint64_t size;
	size_t got = 0;
	int r = engine_enter(e);

	if (r < 0)
		return r;
	if (f->directory)
		return -EISDIR;
	if (!handle_readable(f) && !(f->flags & VFS_OPEN_READ_BACK))
		return -EBADF;
	rwlock_rdlock(&i->lock);
	size = i->size;
	rwlock_unlock(&i->lock);
	if (offset >= size || len == 0)
		return 0;
	if (len > size - offset)
		len = size - offset;
	r = data_read(&i->data, GROUP_NOW, offset, len, buf, inode_size_of, &got, NULL);
	if (r < 0)
		/* What a fenced writer had not sent yet can no longer be read. */
		return e->log && log_fenced(e->log) ? -ESTALE : engine_read_error(r);
	attr_accessed(f);
	return (int64_t)got;
}

/* ---- write ---- */

struct writing {
	const struct vfs_cred *cred;
	struct vfs_file *file;
	uint64_t offset, len;
	const struct slice *parts;
	size_t nparts;
	unsigned flags;
	bool append;
	uint64_t size; /* of the file afterwards */
};

static bool kills_setid(const struct writing *w)
{
	return (w->flags & VFS_WRITE_KILL_PRIV) ||
	       (!(w->flags & VFS_WRITE_CACHED) && perm_kills_setid(w->cred, false));
}

static int may_write(const struct inode *i, const struct writing *w)
{
	int r = 0;

	if (i->gone)
		return -ESTALE;
	/* What a kernel has taken into its pages already is to be stored whatever happens then. */
	if (!(w->flags & VFS_WRITE_CACHED))
		r = perm_frozen(i->flags, w->append);
	if (r == 0 && kills_setid(w))
		r = knows_setid(w->cred, i);
	if (r < 0)
		return r;
	/* Where the end is was a guess when the bytes were prepared. */
	return w->append && w->offset != i->size ? -EAGAIN : 0;
}

static void apply_write(struct op *op, struct inode *i, struct writing *w, struct data_reserve *r)
{
	quota_note(op->engine, op->members, w->len);
	op_write(op, i, r);
	if (w->offset + w->len > i->size)
		i->size = w->offset + w->len;
	if (kills_setid(w))
		inode_kill_setid(i, w->cred);
	if (!(w->flags & VFS_WRITE_CACHED))
		xattr_drop_capability(op, i);
	if (!(w->flags & VFS_WRITE_KEEP_TIMES))
		op_touch(op, i, true);
	w->size = i->size;
}

/* 0; -EAGAIN: an append whose end has moved. *ret_group: what it went into. */
static int attempt_write(struct inode *i, struct writing *w, uint64_t *ret_group)
{
	struct vfs_engine *e = i->engine;
	struct data_reserve *reserve = NULL;
	uint64_t before;
	struct op op;
	int r = op_begin(&op, e);

	if (r == 0)
		r = quota_admit(e, i, w->offset, w->len);
	before = env_now_ms();
	if (r == 0)
		r = data_prepare_write(e->data, w->offset, w->parts, w->nparts, &reserve);
	engine_raise(&e->longest_wait_ms, env_now_ms() - before);
	if (r == 0) {
		op_add(&op, i);
		op_lock(&op);
		if (w->offset + w->len <= INODE_INLINE_MAX)
			op.inline_after = w->offset + w->len;
		r = may_write(i, w);
	}
	if (r == 0)
		r = op_join(&op, xattr_capability_records(i), xattr_capability_bytes(i));
	if (r == 0)
		apply_write(&op, i, w, TAKE(reserve));
	*ret_group = op.number;
	op_end(&op);
	data_reserve_free(reserve);
	return r;
}

static int write_once(struct inode *i, struct writing *w, uint64_t *ret_group)
{
	int r;

	do {
		if (w->append) {
			rwlock_rdlock(&i->lock);
			w->offset = i->size;
			rwlock_unlock(&i->lock);
		}
		if (w->offset > VFS_FILE_MAX || w->len > VFS_FILE_MAX - w->offset)
			return -EFBIG;
		r = attempt_write(i, w, ret_group); /* somebody else's append went before: one of us
						       always succeeds */
	} while (r == -EAGAIN);
	return r;
}

int64_t engine_write(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t offset,
	const struct slice *parts, size_t nparts, unsigned flags, uint64_t *ret_size)
{
	struct vfs_engine *e = engine_of(v);
	struct inode *i = f->inode;
	struct writing w = {.cred = c,
		.file = f,
		.offset = offset,
		.parts = parts,
		.nparts = nparts,
		.flags = flags};
	uint64_t group = 0;
	int r = engine_enter(e);

	if (r < 0)
		return r;
	if (f->directory)
		return -EISDIR;
	if (!handle_writable(f))
		return -EBADF;
	for (size_t k = 0; k < nparts; k++)
		w.len += parts[k].len;
	w.append = (flags & VFS_WRITE_APPEND) ||
		   ((f->flags & O_APPEND) && !(flags & VFS_WRITE_CACHED));
	if (w.len == 0)
		return 0;
	r = write_once(i, &w, &group);
	if (r < 0)
		return r;
	if ((flags & (VFS_WRITE_SYNC | VFS_WRITE_DSYNC)) || (f->flags & (O_SYNC | O_DSYNC)))
		r = engine_wait_durable(e, group, NULL);
	if (r < 0)
		return r;
	if (ret_size)
		*ret_size = w.size;
	return (int64_t)w.len;
}

/* ---- durability ---- */

int engine_fsync(struct vfs *v, struct vfs_file *f, bool datasync)
{
	struct vfs_engine *e = engine_of(v);
	struct inode *i = f->inode;
	uint64_t group;
	int r = engine_enter(e);

	(void)datasync; /* the commit carries both */
	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	group = i->last_group;
	rwlock_unlock(&i->lock);
	r = engine_wait_durable(e, group, NULL);
	if (r < 0)
		atomic_store(&f->told, true);
	return r;
}

int engine_flush(struct vfs *v, struct vfs_file *f)
{
	struct vfs_engine *e = engine_of(v);

	/* What a fenced writer still held will never be stored, and this file may have a part in
	 * it. */
	if (!e->log || !log_fenced(e->log) || !handle_writable(f) ||
		atomic_exchange(&f->told, true))
		return 0;
	return -ESTALE;
}
