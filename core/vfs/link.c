/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names: link, unlink, rmdir. */
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"
#include "core/vfs/lookup.h"
#include "core/vfs/op.h"
#include "core/vfs/xattr.h"

/* ---- link ---- */

static int may_link(const struct vfs_cred *c, const struct inode *dir, const struct inode *i,
	const struct dir_slot *slot)
{
	struct perm_node n = inode_perm(dir);
	int r;

	if (slot->inode)
		return -EEXIST;
	if (!handle_alive(dir) || dir->nlink == 0)
		return -ENOENT;
	r = perm_insert(c, &n);
	if (r < 0)
		return r;
	if (i->gone || (i->nlink == 0 && !i->linkable))
		return -ENOENT;
	if (perm_frozen(i->flags, false) < 0)
		return -EPERM;
	if (i->nlink == VFS_LINK_MAX)
		return -EMLINK;
	return slot->cookie ? 0 : -ENOSPC;
}

static int attempt_link(struct op *op, const struct vfs_cred *c, struct inode *dir, struct inode *i,
	struct dir_slot *slot)
{
	int r;

	op_add(op, dir);
	op_add(op, i);
	op_lock(op);
	r = dir_recheck(dir, slot);
	if (r == 0)
		r = may_link(c, dir, i, slot);
	if (r == 0)
		r = op_may_add(op);
	if (r == 0)
		r = op_join(op, 1 + OP_DROP_RECORDS, op_entry_bytes(slot->name) + OP_DROP_BYTES);
	if (r < 0)
		return r;
	op_name_orphan(op, i);
	i->linkable = false;
	op_put_entry(op, dir, slot->cookie, slot->name, i);
	i->nlink++;
	op_touch(op, i, false);
	op_touch(op, dir, true);
	return 0;
}

int engine_link(struct vfs *v, const struct vfs_cred *c, uint64_t inode, uint64_t dir_number,
	struct slice name, struct vfs_attr *ret)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *dir = NULL, *i = NULL;
	struct dir_slot slot;
	struct op op;
	int r = engine_enter(e);

	if (r == 0)
		r = lookup_dir(e, c, dir_number, &dir);
	if (r == 0)
		r = inode_get(e, inode, &i);
	if (r < 0)
		return r;
	if (S_ISDIR(i->mode))
		return -EPERM;
	r = op_begin(&op, e);
	for (unsigned attempt = 0; r == 0; attempt++) {
		r = dir_find(dir, name, &slot);
		if (r == 0)
			r = attempt_link(&op, c, dir, i, &slot);
		if (r != -EAGAIN)
			break;
		op_unlock(&op);
		lookup_pause(attempt);
		r = 0;
	}
	if (r == 0)
		inode_attr(i, ret);
	op_end(&op);
	return r;
}

/* ---- unlink, rmdir ---- */

struct removal {
	struct dir_slot slot;
	struct inode *child;
	struct data_reserve *reserve;
	uint64_t empty_version; /* of a directory, when it was found empty */
};

static int prepare_file(struct removal *m)
{
	if (S_ISDIR(m->child->mode))
		return -EISDIR;
	if (!S_ISREG(m->child->mode) || m->reserve)
		return 0;
	return data_prepare_change(m->child->engine->data, &m->reserve);
}

static int prepare_dir(struct removal *m)
{
	int r;

	if (!S_ISDIR(m->child->mode))
		return -ENOTDIR;
	r = dir_find_empty(m->child, &m->empty_version);
	return r < 0 ? r : r ? 0 : -ENOTEMPTY;
}

static int may_remove(const struct vfs_cred *c, const struct inode *dir, const struct inode *child)
{
	struct perm_node d = inode_perm(dir), n = inode_perm(child);

	if (!handle_alive(dir))
		return -ENOENT;
	return perm_remove(c, &d, &n);
}

/* What a user is told first, before the kind of thing or its contents matter. */
static int may_remove_unlocked(const struct vfs_cred *c, struct inode *dir, struct inode *child)
{
	struct perm_node d, n;
	int r;

	rwlock_rdlock(&dir->lock);
	d = inode_perm(dir);
	r = perm_insert(c, &d);
	rwlock_unlock(&dir->lock);
	if (r < 0)
		return r;
	rwlock_rdlock(&child->lock);
	n = inode_perm(child);
	rwlock_unlock(&child->lock);
	return perm_remove_child(c, &d, &n);
}

static void apply_removal(struct op *op, struct inode *dir, struct removal *m)
{
	struct inode *child = m->child;

	op_delete_entry(op, dir, m->slot.cookie, m->slot.name);
	op_touch(op, dir, true);
	op_touch(op, child, false);
	if (S_ISDIR(child->mode)) {
		child->nlink = 0;
		if (dir->nlink > 2)
			dir->nlink--;
	} else if (child->nlink > 0) {
		child->nlink--;
	}
	if (child->nlink == 0)
		op_drop(op, child, TAKE(m->reserve));
}

static int attempt_removal(
	struct op *op, const struct vfs_cred *c, struct inode *dir, struct removal *m)
{
	int r;

	op_add(op, dir);
	op_add(op, m->child);
	op_lock(op);
	r = dir_recheck(dir, &m->slot);
	if (r == 0)
		r = may_remove(c, dir, m->child);
	if (r == 0 && S_ISDIR(m->child->mode))
		r = dir_recheck_empty(m->child, m->empty_version);
	/* A damaged volume may have an entry for an inode without links. */
	if (r == 0 && m->child->gone)
		r = -EBADMSG;
	if (r == 0)
		r = op_join(op, 1 + OP_DROP_RECORDS + xattr_all_records(m->child),
			op_entry_bytes(m->slot.name) + OP_DROP_BYTES + xattr_all_bytes(m->child));
	if (r == 0)
		apply_removal(op, dir, m);
	return r;
}

static int remove_entry(struct vfs *v, const struct vfs_cred *c, uint64_t dir_number,
	struct slice name, int (*prepare)(struct removal *m))
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *dir = NULL;
	struct removal m = {0};
	struct op op;
	int r = engine_enter(e);

	if (r == 0)
		r = lookup_dir(e, c, dir_number, &dir);
	if (r < 0)
		return r;
	r = op_begin(&op, e);
	op.keeps = c->keeps;
	for (unsigned attempt = 0; r == 0; attempt++) {
		inode_unref(TAKE(m.child));
		r = lookup_child(dir, name, &m.slot, &m.child);
		if (r == 0)
			r = m.child ? may_remove_unlocked(c, dir, m.child) : -ENOENT;
		if (r == 0)
			r = prepare(&m);
		if (r == 0)
			r = attempt_removal(&op, c, dir, &m);
		if (r != -EAGAIN)
			break;
		op_unlock(&op);
		lookup_pause(attempt);
		r = 0;
	}
	op_end(&op);
	inode_unref(m.child);
	data_reserve_free(m.reserve);
	return r;
}

int engine_unlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name)
{
	return remove_entry(v, c, dir, name, prepare_file);
}

int engine_rmdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name)
{
	return remove_entry(v, c, dir, name, prepare_dir);
}
