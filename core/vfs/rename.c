/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rename. A directory that changes its parent is moved under the one rename mutex, so that the tree
 * keeps its shape while ancestors are walked: only such moves change the parent of a directory,
 * hence no other lock is needed for the walk, and it may read from the store. Everything else
 * renames without it.
 *
 * What is replaced loses a link and, with its last one, becomes an orphan or is removed, in the
 * same group: after a crash the new name is either the old file or the new one, never nothing.
 */
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"
#include "core/vfs/lookup.h"
#include "core/vfs/op.h"
#include "core/vfs/xattr.h"

#include <unistd.h>

/* No tree is that deep; a damaged one could be a ring. */
#define ANCESTORS_MAX (1u << 20)

struct move {
	const struct vfs_cred *cred;
	unsigned flags;
	struct slice from_name, to_name;
	struct inode *from, *to;      /* directories; the same when it stays in one */
	struct inode *child, *target; /* target NULL: nothing is there */
	struct inode *whiteout; /* takes the place of the child, or NULL; see insert_whiteout */
	struct dir_slot from_slot, to_slot;
	struct data_reserve *reserve; /* for the target */
	uint64_t empty_version;	      /* of a target directory */
	bool rename_locked;
};

static bool exchanges(const struct move *m)
{
	return m->flags & VFS_RENAME_EXCHANGE;
}

/* Whether a directory gets another parent. */
static bool moves_directory(const struct move *m)
{
	if (m->from == m->to)
		return false;
	return S_ISDIR(m->child->mode) || (exchanges(m) && m->target && S_ISDIR(m->target->mode));
}

/* Whether `ancestor` is `dir` or above it: 1 or 0, or an error. Rename mutex held. */
static int is_above(struct vfs_engine *e, uint64_t ancestor, struct inode *dir)
{
	uint64_t number = dir->number;

	mutex_assert_held(&e->rename);
	for (unsigned depth = 0; depth < ANCESTORS_MAX; depth++) {
		CLEANUP(inode_unref_p) struct inode *i = NULL;
		int r;

		if (number == ancestor)
			return 1;
		if (number == INODE_ROOT)
			return 0;
		r = inode_get(e, number, &i);
		if (r < 0)
			return r;
		if (!S_ISDIR(i->mode))
			return -EBADMSG;
		rwlock_rdlock(&i->lock);
		number = i->parent;
		rwlock_unlock(&i->lock);
	}
	return -EBADMSG;
}

/* No directory may get below itself. */
static int check_cycle(struct vfs_engine *e, const struct move *m)
{
	int r = 0;

	if (!moves_directory(m))
		return 0;
	if (S_ISDIR(m->child->mode))
		r = is_above(e, m->child->number, m->to);
	if (r > 0)
		return -EINVAL;
	if (r == 0 && m->target && S_ISDIR(m->target->mode))
		r = is_above(e, m->target->number, m->from);
	if (r > 0)
		return exchanges(m) ? -EINVAL : -ENOTEMPTY;
	return r;
}

/* ---- before the locks ---- */

static int find_target(struct move *m)
{
	int r;

	inode_unref(TAKE(m->target));
	r = lookup_child(m->to, m->to_name, &m->to_slot, &m->target);
	if (r < 0)
		return r;
	if (m->target && (m->flags & VFS_RENAME_NOREPLACE))
		return -EEXIST;
	if (!m->target && exchanges(m))
		return -ENOENT;
	return 0;
}

static int find_child(struct move *m)
{
	int r;

	inode_unref(TAKE(m->child));
	r = lookup_child(m->from, m->from_name, &m->from_slot, &m->child);
	return r < 0 ? r : m->child ? 0 : -ENOENT;
}

/* Kinds that do not replace each other. Types never change: no lock needed. */
static int check_kinds(const struct move *m)
{
	if (!m->target || exchanges(m))
		return 0;
	if (S_ISDIR(m->target->mode) && !S_ISDIR(m->child->mode))
		return -EISDIR;
	if (S_ISDIR(m->child->mode) && !S_ISDIR(m->target->mode))
		return -ENOTDIR;
	return 0;
}

static int prepare_target(struct move *m)
{
	int r;

	if (!m->target || exchanges(m))
		return 0;
	if (S_ISDIR(m->target->mode)) {
		r = dir_find_empty(m->target, &m->empty_version);
		return r < 0 ? r : r ? 0 : -ENOTEMPTY;
	}
	if (!S_ISREG(m->target->mode) || m->reserve)
		return 0;
	return data_prepare_change(m->target->engine->data, &m->reserve);
}

/* ---- under the locks ---- */

/* Whether the caller may take `child` out of `dir`; a directory that moves away has its ".."
 * rewritten. */
static int may_leave(const struct move *m, const struct inode *dir, const struct inode *child,
	const struct inode *new_dir)
{
	struct perm_node d = inode_perm(dir), n = inode_perm(child);
	int r = perm_remove(m->cred, &d, &n);

	if (r == 0 && S_ISDIR(child->mode) && dir != new_dir)
		r = perm_check(m->cred, &n, W_OK);
	return r;
}

static int check_permissions(const struct move *m)
{
	struct perm_node to = inode_perm(m->to);
	int r = may_leave(m, m->from, m->child, m->to);

	if (r == 0 && !m->target)
		r = perm_insert(m->cred, &to);
	else if (r == 0)
		r = may_leave(m, m->to, m->target, exchanges(m) ? m->from : m->to);
	return r;
}

/* Links that directories would have too many of. */
static int check_links(const struct move *m)
{
	bool in = S_ISDIR(m->child->mode), out = m->target && S_ISDIR(m->target->mode);

	if (m->from == m->to)
		return 0;
	if (in && !out && m->to->nlink == VFS_LINK_MAX)
		return -EMLINK;
	if (exchanges(m) && out && !in && m->from->nlink == VFS_LINK_MAX)
		return -EMLINK;
	return 0;
}

static int check_locked(struct move *m)
{
	int r = dir_recheck(m->from, &m->from_slot);

	if (r == 0)
		r = dir_recheck(m->to, &m->to_slot);
	if (r < 0)
		return r;
	if (!handle_alive(m->from) || m->to->gone || m->to->nlink == 0)
		return -ENOENT;
	r = check_permissions(m);
	if (r == 0)
		r = check_kinds(m);
	if (r == 0)
		r = check_links(m);
	if (r < 0)
		return r;
	if (!m->target)
		return m->to_slot.cookie ? 0 : -ENOSPC;
	if (!exchanges(m) && S_ISDIR(m->target->mode))
		return dir_recheck_empty(m->target, m->empty_version);
	return m->target->gone || m->child->gone ? -EBADMSG : 0;
}

static void count_link(struct inode *dir, int by)
{
	if (by > 0)
		dir->nlink++;
	else if (dir->nlink > 2) /* a damaged count does not wrap */
		dir->nlink--;
}

/* The child has a new parent. */
static void adopt(struct inode *child, struct inode *from, struct inode *to)
{
	if (!S_ISDIR(child->mode) || from == to)
		return;
	count_link(from, -1);
	count_link(to, 1);
	child->parent = to->number;
}

/* Gives the whiteout its number: from here on it belongs to the table, and nothing is tried again.
 */
static int insert_whiteout(struct op *op, struct move *m)
{
	struct perm_node n = inode_perm(m->from);
	struct inode *i = m->whiteout;
	uint64_t number;
	int r;

	i->nlink = 1;
	i->uid = m->cred->uid;
	i->gid = perm_new_gid(m->cred, &n);
	r = alloc_take(&op->engine->alloc, &m->from->run, &number);
	if (r == 0)
		r = inode_insert(i, number);
	if (r == 0)
		op->fresh = i;
	return r;
}

static void apply_whiteout(struct op *op, struct move *m)
{
	struct inode *i = m->whiteout;

	i->atime = i->mtime = i->ctime = i->btime = op->now;
	op_put_entry(op, m->from, m->from_slot.cookie, m->from_name, i);
	group_usage_add(op->group, 0, 1);
	atomic_fetch_add_explicit(&op->engine->quota.used_inodes, 1, memory_order_relaxed);
}

static void apply_move(struct op *op, struct move *m)
{
	op_put_entry(op, m->to, m->to_slot.cookie, m->to_name, m->child);
	if (exchanges(m)) {
		op_put_entry(op, m->from, m->from_slot.cookie, m->from_name, m->target);
		adopt(m->target, m->to, m->from);
	} else if (m->whiteout) {
		apply_whiteout(op, m);
	} else {
		op_delete_entry(op, m->from, m->from_slot.cookie, m->from_name);
	}
	adopt(m->child, m->from, m->to);
	op_touch(op, m->from, true);
	op_touch(op, m->to, true);
	op_touch(op, m->child, false);
	if (!m->target)
		return;
	op_touch(op, m->target, false);
	if (exchanges(m))
		return;
	if (S_ISDIR(m->target->mode)) {
		m->target->nlink = 0;
		count_link(m->to, -1);
	} else if (m->target->nlink > 0) {
		m->target->nlink--;
	}
	if (m->target->nlink == 0)
		op_drop(op, m->target, TAKE(m->reserve));
}

static int attempt_move(struct op *op, struct move *m)
{
	size_t bytes = op_entry_bytes(m->from_name) + op_entry_bytes(m->to_name) + OP_DROP_BYTES;
	size_t records = 2 + OP_DROP_RECORDS;
	int r;

	op_add(op, m->from);
	op_add(op, m->to);
	op_add(op, m->child);
	if (m->target)
		op_add(op, m->target);
	op_lock(op);
	r = check_locked(m);
	if (m->target) {
		records += xattr_all_records(m->target);
		bytes += xattr_all_bytes(m->target);
	}
	if (r == 0 && m->whiteout)
		r = insert_whiteout(op, m);
	if (r == 0)
		r = op_join(op, records, bytes);
	if (r == 0)
		apply_move(op, m);
	return r;
}

/* One attempt from the names on. 0, -EAGAIN: once more, or final. */
static int attempt(struct op *op, struct move *m)
{
	struct vfs_engine *e = op->engine;
	int r = find_child(m);

	if (r == 0)
		r = find_target(m);
	if (r < 0)
		return r;
	if (m->child == m->target)
		return 0; /* two names of one file, or one name: POSIX says nothing happens */
	if (moves_directory(m) && !m->rename_locked) {
		mutex_lock(&e->rename);
		m->rename_locked = true;
		return -EAGAIN; /* names may have changed while we waited for it */
	}
	r = check_cycle(e, m);
	if (r == 0)
		r = check_kinds(m);
	if (r == 0)
		r = prepare_target(m);
	return r < 0 ? r : attempt_move(op, m);
}

static int rename_in(struct vfs_engine *e, struct move *m)
{
	struct op op;
	int r = op_begin(&op, e);

	op.keeps = m->cred->keeps;
	if (r == 0 && (m->flags & VFS_RENAME_WHITEOUT)) {
		m->whiteout = inode_new(e, S_IFCHR);
		r = m->whiteout ? 0 : -ENOMEM;
	}
	for (unsigned n = 0; r == 0; n++) {
		r = attempt(&op, m);
		if (r != -EAGAIN || op.fresh)
			break;
		op_unlock(&op);
		if (!m->rename_locked || n > 0)
			lookup_pause(n);
		r = 0;
	}
	op_end(&op);
	if (m->rename_locked)
		mutex_unlock(&e->rename);
	inode_unref(m->child);
	inode_unref(m->target);
	data_reserve_free(m->reserve);
	if (m->whiteout && m->whiteout->number)
		inode_unref(m->whiteout);
	else
		inode_free(m->whiteout);
	return r;
}

int engine_rename(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint64_t to_dir, struct slice to_name, unsigned flags)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *from = NULL, *to = NULL;
	struct move m = {.cred = c, .flags = flags, .from_name = name, .to_name = to_name};
	int r = engine_enter(e);

	if (r == 0)
		r = lookup_dir(e, c, dir, &from);
	if (r == 0)
		r = lookup_dir(e, c, to_dir, &to);
	if (r < 0)
		return r;
	m.from = from;
	m.to = to;
	return rename_in(e, &m);
}
