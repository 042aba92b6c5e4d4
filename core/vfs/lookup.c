/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lookup, and how the other operations on names begin. */
#include "core/vfs/lookup.h"
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"

#include <unistd.h>

#define EAGER_ATTEMPTS 8 /* without a pause */
#define MISSING_ATTEMPTS                                                                           \
	32 /* so often an entry may name a vanished inode before it counts as damage */

void lookup_pause(unsigned attempt)
{
	if (attempt >= EAGER_ATTEMPTS)
		env_sleep_ms(1);
}

int lookup_dir(struct vfs_engine *e, const struct vfs_cred *c, uint64_t number, struct inode **ret)
{
	CLEANUP(inode_unref_p) struct inode *dir = NULL;
	struct perm_node n;
	bool alive;
	int searchable, r = inode_get(e, number, &dir);

	if (r < 0)
		return r;
	rwlock_rdlock(&dir->lock);
	n = inode_perm(dir);
	searchable = perm_check(c, &n, X_OK);
	alive = handle_alive(dir);
	rwlock_unlock(&dir->lock);
	if (!alive)
		return -ESTALE;
	if (!S_ISDIR(n.mode))
		return -ENOTDIR;
	if (searchable == 0)
		*ret = TAKE(dir);
	return searchable;
}

int lookup_child(struct inode *dir, struct slice name, struct dir_slot *slot, struct inode **ret)
{
	*ret = NULL;
	for (unsigned attempt = 0; attempt < MISSING_ATTEMPTS; attempt++) {
		int r = dir_find(dir, name, slot);

		if (r < 0 || slot->inode == 0)
			return r;
		r = inode_get(dir->engine, slot->inode, ret);
		if (r != -ESTALE)
			return r;
		/* It went between the two readings, or the volume is damaged. */
		lookup_pause(EAGER_ATTEMPTS);
	}
	return -EBADMSG;
}

static int get_attr(struct inode *i, struct vfs_attr *ret)
{
	int r = -ESTALE;

	rwlock_rdlock(&i->lock);
	if (handle_alive(i)) {
		inode_attr(i, ret);
		r = 0;
	}
	rwlock_unlock(&i->lock);
	return r;
}

/* "." of anything, by which kernels find again what a file handle names. */
static int lookup_self(
	struct vfs_engine *e, const struct vfs_cred *c, uint64_t number, struct vfs_attr *ret)
{
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	struct perm_node n;
	int r = inode_get(e, number, &i);

	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	n = inode_perm(i);
	r = S_ISDIR(n.mode) ? perm_check(c, &n, X_OK) : 0;
	rwlock_unlock(&i->lock);
	return r < 0 ? r : get_attr(i, ret);
}

static int lookup_parent(struct inode *dir, struct vfs_attr *ret)
{
	CLEANUP(inode_unref_p) struct inode *parent = NULL;
	uint64_t number;
	int r;

	rwlock_rdlock(&dir->lock);
	number = dir->parent;
	rwlock_unlock(&dir->lock);
	r = inode_get(dir->engine, number, &parent);
	return r < 0 ? r : get_attr(parent, ret);
}

int engine_lookup(struct vfs *v, const struct vfs_cred *c, uint64_t dir_number, struct slice name,
	struct vfs_attr *ret)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *dir = NULL;
	int r = engine_enter(e);

	if (r == 0 && slice_eq(name, SLICE_STR(".")))
		return lookup_self(e, c, dir_number, ret);
	if (r == 0)
		r = lookup_dir(e, c, dir_number, &dir);
	if (r < 0)
		return r;
	if (slice_eq(name, SLICE_STR("..")))
		return lookup_parent(dir, ret);
	for (unsigned attempt = 0; attempt < MISSING_ATTEMPTS; attempt++) {
		CLEANUP(inode_unref_p) struct inode *child = NULL;
		struct dir_slot slot;

		r = lookup_child(dir, name, &slot, &child);
		if (r < 0)
			return r;
		if (!child)
			return -ENOENT;
		r = get_attr(child, ret);
		if (r != -ESTALE)
			return r;
		lookup_pause(EAGER_ATTEMPTS);
	}
	return -EBADMSG;
}
