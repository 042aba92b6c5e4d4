/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attributes: getattr, setattr, access, readlink, statfs, and lazy access times. */
#include "core/vfs/attr.h"
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"
#include "core/vfs/inode_acl.h"
#include "core/vfs/op.h"
#include "core/vfs/truncate.h"
#include "core/vfs/xattr.h"

#include <unistd.h>

#define BLOCK_BYTES 4096
#define NO_QUOTA_BYTES (1ull << 60) /* what statfs tells without a quota */

int engine_getattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_attr *ret)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	int r = engine_enter(e);

	(void)c; /* who may reach an inode may see its attributes */
	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	r = handle_alive(i) ? 0 : -ESTALE;
	if (r == 0)
		inode_attr(i, ret);
	rwlock_unlock(&i->lock);
	return r;
}

int engine_access(struct vfs *v, const struct vfs_cred *c, uint64_t inode, int mask)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	struct perm_node n;
	int granted, r = engine_enter(e);

	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	n = inode_perm(i);
	granted = perm_check(c, &n, mask & (R_OK | W_OK | X_OK));
	r = handle_alive(i) ? 0 : -ESTALE;
	rwlock_unlock(&i->lock);
	if (r < 0)
		return r;
	if ((mask & W_OK) && e->o.read_only && !S_ISCHR(n.mode) && !S_ISBLK(n.mode))
		return -EROFS;
	if ((mask & W_OK) && (n.flags & INODE_FLAG_IMMUTABLE))
		return -EPERM;
	return granted;
}

int engine_readlink(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct buf *out)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	int r = engine_enter(e);

	(void)c;
	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	if (!S_ISLNK(i->mode))
		return -EINVAL;
	/* A target never changes. */
	return buf_append(out, i->symlink, i->size);
}

int engine_statfs(struct vfs *v, struct vfs_statfs *ret)
{
	struct vfs_engine *e = engine_of(v);
	int r = engine_enter(e);
	uint64_t total, used;
	int64_t inodes;

	if (r < 0)
		return r;
	total = e->quota.max_bytes ? e->quota.max_bytes : NO_QUOTA_BYTES;
	used = quota_used(&e->quota);
	inodes = atomic_load(&e->quota.used_inodes);
	*ret = (struct vfs_statfs){
		.total_bytes = total,
		.free_bytes = used < total ? total - used : 0,
		.available_bytes = used < total ? total - used : 0,
		.inodes = inodes > 0 ? (uint64_t)inodes : 0,
		.free_inodes = INODE_MAX + 1 - alloc_high_water(&e->alloc),
		.name_max = VFS_NAME_MAX,
		.block_size = BLOCK_BYTES,
	};
	return 0;
}

/* ---- setattr ---- */

struct change {
	const struct vfs_cred *cred;
	unsigned set;
	const struct vfs_attr *in;
	bool may_truncate;
	struct data_reserve *reserve; /* VFS_SET_SIZE */
};

static int may_change(const struct inode *i, const struct change *ch)
{
	struct perm_node n = inode_perm(i);

	if (!handle_alive(i))
		return -ESTALE;
	if (ch->set & VFS_SET_SIZE) {
		if (S_ISDIR(i->mode))
			return -EISDIR;
		if (!S_ISREG(i->mode))
			return -EINVAL;
	}
	return perm_setattr(ch->cred, &n, ch->set, ch->in, ch->may_truncate);
}

static void apply_owner(struct inode *i, const struct change *ch)
{
	/* By the group before. */
	if ((ch->set & (VFS_SET_UID | VFS_SET_GID | VFS_SET_CHOWN)) && !S_ISDIR(i->mode))
		inode_kill_setid(i, ch->cred);
	if (ch->set & VFS_SET_UID)
		i->uid = ch->in->uid;
	if (ch->set & VFS_SET_GID)
		i->gid = ch->in->gid;
	if (ch->set & VFS_SET_MODE) {
		i->mode = (i->mode & S_IFMT) |
			  (perm_chmod_mode(ch->cred, i->gid, ch->in->mode) & 07777);
		inode_acl_chmod(i);
	}
	if ((ch->set & VFS_SET_KILL_PRIV) && !S_ISDIR(i->mode))
		inode_kill_setid(i, ch->cred);
}

/* Whether capabilities of the file do not survive it. */
static bool drops_capability(const struct inode *i, unsigned set)
{
	return !S_ISDIR(i->mode) &&
	       (set & (VFS_SET_UID | VFS_SET_GID | VFS_SET_SIZE | VFS_SET_KILL_PRIV));
}

static void apply_times(struct op *op, struct inode *i, const struct change *ch)
{
	op_touch(op, i, false);
	if (ch->set & VFS_SET_ATIME)
		i->atime = ch->in->atime;
	if (ch->set & VFS_SET_MTIME)
		i->mtime = ch->in->mtime;
	if (ch->set & VFS_SET_ATIME_NOW)
		i->atime = op->now;
	if (ch->set & VFS_SET_MTIME_NOW)
		i->mtime = op->now;
	if (ch->set & VFS_SET_CTIME)
		i->ctime = ch->in->ctime;
}

static void apply_change(struct op *op, struct inode *i, struct change *ch)
{
	apply_owner(i, ch);
	if (drops_capability(i, ch->set))
		xattr_drop_capability(op, i);
	if (ch->set & VFS_SET_SIZE) {
		truncate_apply(op, i, ch->in->size, TAKE(ch->reserve));
		i->mtime = op->now;
		if (perm_kills_setid(ch->cred, false))
			inode_kill_setid(i, ch->cred);
	}
	apply_times(op, i, ch);
	if (ch->set & VFS_SET_FLAGS)
		i->flags = (i->flags & ~(uint64_t)INODE_FLAGS_SETTABLE) |
			   (ch->in->flags & INODE_FLAGS_SETTABLE);
}

static int change_inode(
	struct vfs_engine *e, struct inode *i, struct change *ch, struct vfs_attr *ret)
{
	struct op op;
	int r = op_begin(&op, e);

	if (r == 0 && (ch->set & VFS_SET_SIZE))
		r = truncate_prepare(i, ch->in->size, &ch->reserve);
	if (r == 0) {
		op_add(&op, i);
		op_lock(&op);
		op.inline_after = ch->set & VFS_SET_SIZE ? INODE_INLINE_MAX : 0;
		r = may_change(i, ch);
	}
	if (r == 0 && ch->set)
		r = op_join(&op, xattr_capability_records(i), xattr_capability_bytes(i));
	if (r == 0 && ch->set)
		apply_change(&op, i, ch);
	if (r == 0)
		inode_attr(i, ret);
	op_end(&op);
	data_reserve_free(ch->reserve);
	return r;
}

int engine_setattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_file *f,
	unsigned set, const struct vfs_attr *in, struct vfs_attr *ret)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	struct change ch = {.cred = c, .set = set, .in = in};
	int r = engine_enter(e);

	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	ch.may_truncate = f && f->inode == i && handle_writable(f);
	return change_inode(e, i, &ch, ret);
}

/* ---- access times ---- */

static bool wants_atime(const struct inode *i, struct timespec now)
{
	if (i->gone || (i->flags & INODE_FLAG_NOATIME))
		return false;
	return atime_changes(
		&i->engine->o.atime, S_ISDIR(i->mode), i->atime, i->mtime, i->ctime, now);
}

/* Whether an operation would get its index memory at once: a read never waits for that. */
static bool index_has_room(struct vfs_engine *e)
{
	return budget_used(e->o.budget, BUDGET_MEMTABLE) <
	       budget_limit(e->o.budget, BUDGET_MEMTABLE) / 2;
}

void attr_accessed(struct vfs_file *f)
{
	struct inode *i = f->inode;
	struct vfs_engine *e = i->engine;
	struct timespec now = env_realtime();
	struct op op;
	bool wanted;

	if (e->o.read_only || (f->flags & O_NOATIME) || !handle_readable(f))
		return;
	rwlock_rdlock(&i->lock);
	wanted = wants_atime(i, now);
	rwlock_unlock(&i->lock);
	if (!wanted || !index_has_room(e))
		return;
	/* Lazy: rides along with the next change of anything; an error costs an access time and
	 * nothing else. */
	if (op_begin(&op, e) == 0) {
		op.lazy = true;
		op_add(&op, i);
		op_lock(&op);
		if (wants_atime(i, now) && op_join(&op, 0, 0) == 0)
			i->atime = now;
	}
	op_end(&op);
}
