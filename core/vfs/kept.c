/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/vfs/kept.h"
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"

void kept_init(struct vfs_engine *e)
{
	mutex_init(&e->kept_lock, RANK_HANDLE);
	list_init(&e->kept);
}

void kept_done(struct vfs_engine *e)
{
	mutex_done(&e->kept_lock);
}

void kept_add(struct inode *i)
{
	struct vfs_engine *e = i->engine;

	rwlock_assert_write(&i->lock);
	if (kept(i))
		return;
	inode_ref(i);
	MUTEX_GUARD(&e->kept_lock);
	atomic_store(&i->kept, true);
	list_push_back(&e->kept, &i->kept_link);
	atomic_fetch_add(&e->nkept, 1);
}

/* True: it was kept, and the reference is the caller's now. */
static bool take(struct inode *i)
{
	struct vfs_engine *e = i->engine;

	MUTEX_GUARD(&e->kept_lock);
	if (!kept(i))
		return false;
	list_remove(&i->kept_link);
	atomic_store(&i->kept, false);
	atomic_fetch_sub(&e->nkept, 1);
	return true;
}

/* Nobody refers to it any more: it goes, unless it is open. */
static void drop(struct inode *i)
{
	if (!take(i))
		return;
	/* Whoever closes its last file looks at `kept` after that, so one of the two removes it. */
	if (atomic_load(&i->opens) == 0)
		handle_remove_orphan(i);
	inode_unref(i);
}

void engine_forget(struct vfs *v, uint64_t inode)
{
	struct vfs_engine *e = engine_of(v);
	CLEANUP(inode_unref_p) struct inode *i = NULL;

	/* Nearly always: a kernel forgets what it has no more room for. */
	if (atomic_load(&e->nkept) == 0)
		return;
	i = inode_find(e, inode);
	if (i)
		drop(i);
}

static struct inode *first(struct vfs_engine *e)
{
	struct inode *i;

	MUTEX_GUARD(&e->kept_lock);
	i = list_first(&e->kept, struct inode, kept_link);
	if (i)
		inode_ref(i);
	return i;
}

void kept_drop_all(struct vfs_engine *e)
{
	struct inode *i;

	while ((i = first(e))) {
		drop(i);
		inode_unref(i);
	}
}
