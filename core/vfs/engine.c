/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine's life: counters, root directory, orphans; its operations table. */
#include "core/vfs/engine.h"
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"
#include "core/vfs/kept.h"
#include "core/vfs/op.h"
#include "core/vfs/owner.h"

#include <assert.h>
#include <stdlib.h>

#define ROOT_MODE (S_IFDIR | 0755)

static const struct vfs_ops engine_ops = {
	.lookup = engine_lookup,
	.create = engine_create,
	.mknod = engine_mknod,
	.mkdir = engine_mkdir,
	.symlink = engine_symlink,
	.tmpfile = engine_tmpfile,
	.link = engine_link,
	.unlink = engine_unlink,
	.rmdir = engine_rmdir,
	.rename = engine_rename,
	.readlink = engine_readlink,
	.getattr = engine_getattr,
	.setattr = engine_setattr,
	.forget = engine_forget,
	.access = engine_access,
	.statfs = engine_statfs,
	.open = engine_open,
	.release = engine_release,
	.read = engine_read,
	.write = engine_write,
	.fsync = engine_fsync,
	.flush = engine_flush,
	.fallocate = engine_fallocate,
	.seek = engine_seek,
	.copy_range = engine_copy_range,
	.readdir = engine_readdir,
	.getxattr = engine_getxattr,
	.setxattr = engine_setxattr,
	.listxattr = engine_listxattr,
	.removexattr = engine_removexattr,
	.getlk = engine_getlk,
	.setlk = engine_setlk,
	.cancel_lk = engine_cancel_lk,
	.sync = engine_sync,
	.set_events = engine_set_events,
};

/* ---- small things that all files use ---- */

int engine_enter(struct vfs_engine *e)
{
	/* A writer that was replaced never answers again. */
	if (e->log && log_fenced(e->log))
		return -ESTALE;
	return e->o.may_answer ? e->o.may_answer(e->o.arg) : 0;
}

int engine_read_error(int r)
{
	switch (r) {
	case -EBADMSG:
	case -EPROTONOSUPPORT:
		return -EBADMSG;
	case -ENOMEM:
	case -ECANCELED:
	case -ESTALE:
		return r;
	default:
		return -EIO; /* also the store's own "access denied": it says nothing about this
				file */
	}
}

int engine_wait_durable(struct vfs_engine *e, uint64_t group, struct error *err)
{
	return e->log && group ? log_wait(e->log, group, err) : 0;
}

void engine_raise(_Atomic uint64_t *max, uint64_t value)
{
	uint64_t old = atomic_load_explicit(max, memory_order_relaxed);

	while (old < value && !atomic_compare_exchange_weak(max, &old, value))
		;
}

/* Access times that are only in the open group are committed with it. */
static void push_lazy(struct vfs_engine *e)
{
	if (atomic_load(&e->lazy_group) < log_open_group(e->log) || log_fenced(e->log))
		return;
	group_leave(group_join(e->log), true);
	engine_raise(&e->last_changed, atomic_load(&e->lazy_group));
}

int engine_sync(struct vfs *v, struct error *err)
{
	struct vfs_engine *e = engine_of(v);
	int r = engine_enter(e);

	if (r < 0)
		return error_set(err, r, "this process may not answer any more");
	if (!e->log)
		return 0;
	push_lazy(e);
	return engine_wait_durable(e, atomic_load(&e->last_changed), err);
}

/* ---- life ---- */

int vfs_engine_new(const struct vfs_engine_options *o, struct vfs_engine **ret, struct error *err)
{
	struct vfs_engine *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return error_set(err, -ENOMEM, "no memory for the file system");
	e->vfs.ops = &engine_ops;
	e->o = *o;
	e->quota.max_bytes = o->max_bytes;
	e->index = o->index;
	e->group_records_max = budget_limit(o->budget, BUDGET_MEMTABLE) / 8;
	r = name_hash_init(&e->hash, o->keys);
	if (r < 0) {
		free(e);
		return error_set(err, r, "the key ring has no key 1");
	}
	owner_init(e, &e->owner);
	inode_table_init(&e->table, o->inode_cache_bytes);
	alloc_init(&e->alloc, INODE_ROOT + 1);
	events_init(&e->events);
	lock_table_init(&e->locks, o->budget, &e->events);
	mutex_init(&e->rename, RANK_RENAME);
	mutex_init(&e->groups_lock, RANK_GROUP_INODES);
	list_init(&e->groups);
	kept_init(e);
	*ret = e;
	return 0;
}

const struct data_owner_ops *vfs_engine_owner(struct vfs_engine *e)
{
	return &e->owner;
}

struct vfs *vfs_engine_vfs(struct vfs_engine *e)
{
	return &e->vfs;
}

static int load_next_inode(struct vfs_engine *e, struct error *err)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT;
	struct key k = key_counter(COUNTER_NEXT_INODE);
	struct cursor c;
	uint64_t next;
	int r = index_get(e->index, GROUP_NOW, key_slice(&k), 0, &value, NULL, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	c = cursor_of(buf_slice(&value));
	next = cursor_varint_max(&c, INODE_MAX + 1);
	if (c.bad || cursor_left(&c) || next <= INODE_ROOT)
		return error_set(err, -EBADMSG, "the counter of inode numbers is damaged");
	e->alloc.next = next; /* no other thread yet */
	return 0;
}

static int make_root(struct vfs_engine *e, uint32_t uid, uint32_t gid)
{
	struct inode *root = inode_new(e, ROOT_MODE);
	struct op op;
	int r;

	if (!root)
		return -ENOMEM;
	root->uid = uid;
	root->gid = gid;
	root->nlink = 2;
	root->parent = INODE_ROOT;
	r = op_begin(&op, e);
	if (r == 0)
		r = inode_insert(root, INODE_ROOT);
	if (r == 0) {
		op.fresh = root;
		op_lock(&op);
		r = op_join(&op, 0, 0);
	}
	if (r == 0) {
		root->atime = root->mtime = root->ctime = root->btime = op.now;
		group_usage_add(op.group, 0, 1);
		atomic_fetch_add(&e->quota.used_inodes, 1);
	}
	op_end(&op);
	if (root->number)
		inode_unref(root);
	else
		inode_free(root);
	return r;
}

static int find_root(struct vfs_engine *e, uint32_t uid, uint32_t gid, struct error *err)
{
	struct inode *root;
	int r = inode_get(e, INODE_ROOT, &root);

	if (r == -ESTALE && e->log && e->alloc.next == INODE_ROOT + 1) {
		r = make_root(e, uid, gid);
		return r < 0 ? error_set(err, r, "cannot make the root directory") : 0;
	}
	if (r == -ESTALE)
		return error_set(err, -EBADMSG, "the volume has no root directory");
	if (r < 0)
		return error_set(err, r, "cannot read the root directory");
	r = S_ISDIR(root->mode) ? 0 : error_set(err, -EBADMSG, "the root is no directory");
	inode_unref(root);
	return r;
}

int vfs_engine_start(struct vfs_engine *e, struct data *d, struct log *l, uint32_t root_uid,
	uint32_t root_gid, struct error *err)
{
	int r;

	assert(!e->started);
	e->data = d;
	e->log = e->o.read_only ? NULL : l;
	if (e->o.for_check) {
		e->started = true;
		return 0;
	}
	r = quota_load(e);
	if (r < 0)
		return error_set(err, r, "cannot read the usage counter");
	r = load_next_inode(e, err);
	if (r < 0)
		return r;
	r = find_root(e, root_uid, root_gid, err);
	if (r < 0)
		return r;
	if (e->log) {
		r = handle_start_drain(e);
		if (r < 0)
			return error_set(err, r, "cannot start a thread");
	}
	e->started = true;
	return 0;
}

void vfs_engine_refresh(struct vfs_engine *e)
{
	(void)quota_load(e); /* the old figures stay when it fails */
	data_invalidate(e->data);
	inode_table_refresh(e);
}

void vfs_engine_trim(struct vfs_engine *e, uint64_t keep)
{
	inode_table_trim(e, keep);
}

void vfs_engine_stop(struct vfs_engine *e)
{
	if (!e->log)
		return;
	handle_stop_drain(e);
	kept_drop_all(e);
	push_lazy(e);
}

void vfs_engine_free(struct vfs_engine *e)
{
	if (!e)
		return;
	lock_table_done(&e->locks);
	events_done(&e->events);
	inode_table_done(e);
	assert(list_empty(&e->groups)); /* each was acknowledged or dropped */
	kept_done(e);
	mutex_done(&e->groups_lock);
	mutex_done(&e->rename);
	alloc_done(&e->alloc);
	free(e);
}

void vfs_engine_stats(struct vfs_engine *e, struct vfs_engine_stats *ret)
{
	int64_t inodes = atomic_load(&e->quota.used_inodes);

	*ret = (struct vfs_engine_stats){
		.inodes_cached = atomic_load(&e->table.count),
		.open_files = atomic_load(&e->open_files),
		.orphans = atomic_load(&e->orphans),
		.next_inode = alloc_high_water(&e->alloc),
		.used_bytes = quota_used(&e->quota),
		.used_inodes = inodes > 0 ? (uint64_t)inodes : 0,
		.changes = atomic_load(&e->changes),
		.longest_wait_ms = atomic_load(&e->longest_wait_ms),
	};
}
