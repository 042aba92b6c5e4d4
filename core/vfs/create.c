/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making things: create, tmpfile, mknod, mkdir, symlink. One function does it; the five say what is
 * to be made. */
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"
#include "core/vfs/inode_acl.h"
#include "core/vfs/lookup.h"
#include "core/vfs/op.h"

#include <stdlib.h>

/* What is to be made. */
struct template
{
	uint32_t mode; /* with its type */
	uint64_t rdev;
	struct slice target;   /* of a symlink */
	struct vfs_file *file; /* opens it when not NULL */
	bool unnamed;  /* an orphan from the beginning, open; the directory stays as it is */
	bool linkable; /* that may get a name */
};

/* Whether the locked directory takes one more entry, or (`slot` NULL) may be where an unnamed file
 * is made. */
static int may_insert(const struct inode *dir, const struct vfs_cred *c,
	const struct dir_slot *slot, uint32_t mode)
{
	struct perm_node n = inode_perm(dir);
	int r;

	if (!handle_alive(dir) || dir->nlink == 0)
		return -ENOENT;
	r = perm_insert(c, &n);
	if (r == 0)
		r = perm_knows_new_mode(c, &n, mode);
	if (r < 0)
		return r;
	if (slot && slot->cookie == 0)
		return -ENOSPC;
	if (S_ISDIR(mode) && dir->nlink == VFS_LINK_MAX)
		return -EMLINK;
	return 0;
}

static struct inode *make_inode(struct vfs_engine *e, const struct template *t)
{
	struct inode *i = inode_new(e, t->mode);

	if (!i)
		return NULL;
	i->rdev = t->rdev;
	i->nlink = t->unnamed ? 0 : S_ISDIR(t->mode) ? 2 : 1;
	i->linkable = t->linkable;
	if (!t->target.len)
		return i;
	i->symlink = malloc(t->target.len);
	if (!i->symlink) {
		inode_free(i);
		return NULL;
	}
	memcpy(i->symlink, t->target.data, t->target.len);
	i->size = t->target.len;
	return i;
}

static void apply(struct op *op, struct inode *dir, const struct dir_slot *slot, struct inode *i,
	const struct template *t)
{
	i->atime = i->mtime = i->ctime = i->btime = op->now;
	if (t->unnamed) {
		op_become_orphan(op, i);
	} else {
		op_put_entry(op, dir, slot->cookie, slot->name, i);
		op_touch(op, dir, true);
	}
	if (S_ISDIR(i->mode))
		dir->nlink++;
	group_usage_add(op->group, 0, 1);
	atomic_fetch_add_explicit(&op->engine->quota.used_inodes, 1, memory_order_relaxed);
	if (t->file)
		handle_install(t->file, i);
}

/*
 * One attempt with `i`, which has no number yet; when it got one (also on failure) it belongs to
 * the table. 0, -EAGAIN, or final.
 */
static int attempt_make(struct op *op, struct inode *dir, const struct vfs_cred *c,
	struct dir_slot *slot, struct inode *i, const struct template *t)
{
	struct perm_node n;
	uint64_t number;
	int r;

	op_add(op, dir);
	op_lock(op);
	op->source = t->unnamed ? dir : NULL;
	r = t->unnamed ? 0 : dir_recheck(dir, slot);
	if (r == 0)
		r = may_insert(dir, c, t->unnamed ? NULL : slot, t->mode);
	if (r == 0)
		r = op_may_add(op);
	if (r < 0)
		return r;
	n = inode_perm(dir);
	i->uid = c->uid;
	i->gid = perm_new_gid(c, &n);
	i->mode = perm_new_mode(c, &n, t->mode);
	i->flags = perm_new_flags(&n);
	r = inode_acl_inherit(dir, c->umask, i);
	if (r < 0)
		return r;
	i->parent = S_ISDIR(i->mode) ? dir->number : 0;
	r = alloc_take(&op->engine->alloc, &dir->run, &number);
	if (r == 0)
		r = inode_insert(i, number);
	if (r < 0)
		return r;
	op->fresh = i;
	r = t->unnamed ? op_join(op, OP_DROP_RECORDS, OP_DROP_BYTES)
		       : op_join(op, 1, op_entry_bytes(slot->name));
	if (r == 0)
		apply(op, dir, slot, i, t);
	return r;
}

/* -EEXIST also tells the caller what is there: *ret_existing, with a reference. Takes nothing. */
static int make(struct vfs_engine *e, const struct vfs_cred *c, struct inode *dir,
	struct slice name, const struct template *t, struct vfs_attr *ret,
	struct inode **ret_existing)
{
	struct inode *i = make_inode(e, t), *existing = NULL;
	struct dir_slot slot;
	struct op op;
	int r;

	if (!i)
		return -ENOMEM;
	r = op_begin(&op, e);
	for (unsigned attempt = 0; r == 0; attempt++) {
		r = t->unnamed ? 0 : lookup_child(dir, name, &slot, &existing);
		if (r == 0)
			r = existing ? -EEXIST : inode_acl_prepare(dir, i);
		if (r == 0)
			r = attempt_make(&op, dir, c, &slot, i, t);
		if (r != -EAGAIN || op.fresh)
			break;
		op_unlock(&op);
		lookup_pause(attempt);
		r = 0;
	}
	if (r == 0)
		inode_attr(i, ret);
	op_end(&op);
	if (i->number)
		inode_unref(i);
	else
		inode_free(i);
	if (r == -EEXIST && ret_existing)
		*ret_existing = TAKE(existing);
	inode_unref(existing);
	return r;
}

static int make_named(struct vfs *v, const struct vfs_cred *c, uint64_t dir_number,
	struct slice name, const struct template *t, struct vfs_attr *ret)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *dir = NULL;
	int r = engine_enter(e);

	if (r == 0)
		r = lookup_dir(e, c, dir_number, &dir);
	return r < 0 ? r : make(e, c, dir, name, t, ret, NULL);
}

int engine_mknod(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, uint64_t rdev, struct vfs_attr *ret)
{
	struct template t = {.mode = mode & (S_IFMT | 07777)};

	if (!(t.mode & S_IFMT))
		t.mode |= S_IFREG;
	switch (t.mode & S_IFMT) {
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		/* Number 0 is no device: overlayfs' mark of something removed, for anybody. */
		if (c->uid != 0 && !c->checked && (rdev != 0 || !S_ISCHR(t.mode)))
			return -EPERM;
		t.rdev = rdev;
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return make_named(v, c, dir, name, &t, ret);
}

int engine_mkdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, struct vfs_attr *ret)
{
	struct template t = {.mode = S_IFDIR | (mode & (S_ISVTX | 0777))};

	return make_named(v, c, dir, name, &t, ret);
}

int engine_symlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	struct slice target, struct vfs_attr *ret)
{
	struct template t = {.mode = S_IFLNK | 0777, .target = target};

	return make_named(v, c, dir, name, &t, ret);
}

int engine_tmpfile(struct vfs *v, const struct vfs_cred *c, uint64_t dir, uint32_t mode, int flags,
	struct vfs_attr *ret, struct vfs_file **ret_file)
{
	CLEANUP(handle_free_p) struct vfs_file *file = handle_new(flags);
	struct template t = {.mode = S_IFREG | (mode & 07777),
		.file = file,
		.unnamed = true,
		.linkable = !(flags & O_EXCL)};
	int r = file ? make_named(v, c, dir, (struct slice){0}, &t, ret) : -ENOMEM;

	if (r == 0)
		*ret_file = TAKE(file);
	return r;
}

/* create() met something that was there already. */
static int open_existing(struct vfs *v, const struct vfs_cred *c, struct inode *i, int flags,
	struct vfs_attr *ret, struct vfs_file **ret_file)
{
	int r;

	if (S_ISDIR(i->mode))
		return -EISDIR;
	r = engine_open(v, c, i->number, flags, ret_file);
	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	inode_attr(i, ret);
	rwlock_unlock(&i->lock);
	return 0;
}

int engine_create(struct vfs *v, const struct vfs_cred *c, uint64_t dir_number, struct slice name,
	uint32_t mode, int flags, struct vfs_attr *ret, struct vfs_file **ret_file,
	bool *ret_created)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *dir = NULL;
	CLEANUP(handle_free_p) struct vfs_file *file = handle_new(flags);
	struct template t = {.mode = S_IFREG | (mode & 07777), .file = file};
	int r = engine_enter(e);

	if (!file)
		return -ENOMEM;
	if (r == 0)
		r = lookup_dir(e, c, dir_number, &dir);
	for (unsigned attempt = 0; r == 0; attempt++) {
		CLEANUP(inode_unref_p) struct inode *existing = NULL;

		r = make(e, c, dir, name, &t, ret, &existing);
		if (ret_created)
			*ret_created = r == 0;
		if (r == 0)
			*ret_file = TAKE(file);
		if (r != -EEXIST || (flags & O_EXCL))
			break;
		r = open_existing(v, c, existing, flags, ret, ret_file);
		if (r != -ESTALE)
			break;
		lookup_pause(attempt); /* it was removed in between */
		r = 0;
	}
	return r;
}
