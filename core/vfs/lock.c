/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * getlk, setlk, cancel_lk, set_events, and what closing a file does to its locks.
 *
 * Costs: a request is two or three searches in trees of the inode's ranges, O(log n) each, and as
 * many changes as there are ranges of its own owner that it replaces. Releasing looks at all who
 * wait for this inode: each costs one more search. A file that was never locked closes for the
 * price of one load.
 *
 * Memory is had before the table's lock is taken; a request that cannot have it fails with ENOLCK
 * and has changed nothing. Unlocking all of a file needs none, so close(2) cannot fail here.
 */
#include "core/vfs/lock.h"
#include "core/base/cleanup.h"
#include "core/vfs/handle.h"

#include <assert.h>

static struct vfs_lock normal(const struct vfs_lock *l)
{
	struct vfs_lock n = *l;

	if (l->flock) {
		n.start = 0;
		n.end = UINT64_MAX;
	}
	return n;
}

static enum lock_kind kind_of(const struct vfs_lock *l)
{
	return l->flock ? LOCK_FLOCK : LOCK_POSIX;
}

/* ---- asking ---- */

int engine_getlk(struct vfs *v, struct vfs_file *f, struct vfs_lock *lock)
{
	struct vfs_engine *e = engine_of(v);
	const struct vfs_lock want = normal(lock);
	const struct lock_range *r = NULL;
	struct lock_inode *i;
	int entered = engine_enter(e);

	if (entered < 0)
		return entered;
	if (lock->type == VFS_UNLOCK)
		return -EINVAL;
	MUTEX_GUARD(&e->locks.lock);
	i = lock_inode_find(&e->locks, f->inode->number);
	if (i)
		r = lock_set_conflict(&i->sets[kind_of(&want)], &want, NULL);
	if (!r) {
		lock->type = VFS_UNLOCK;
		return 0;
	}
	lock->type = r->write ? VFS_LOCK_WRITE : VFS_LOCK_READ;
	lock->start = r->start;
	lock->end = r->end;
	lock->owner = r->holder->key.owner;
	lock->owner_domain = r->holder->key.domain;
	lock->pid = r->pid;
	return 0;
}

/* ---- setting ---- */

/* Everything that one request may need, so that nothing can fail once it has changed something. */
struct request {
	struct vfs_lock want;
	struct lock_room room, old; /* `old`: what a BSD lock leaves that is replaced */
	struct lock_inode *inode;   /* used when there is none yet */
	struct lock_wait *wait;	    /* NULL: it does not wait */
};

static void request_done(struct lock_table *t, struct request *q)
{
	lock_room_free(t, &q->room);
	lock_room_free(t, &q->old);
	lock_free(t, q->inode, sizeof(*q->inode));
	lock_wait_free(t, q->wait);
}

static int request_init(
	struct lock_table *t, struct request *q, const struct vfs_lock *lock, uint64_t token)
{
	*q = (struct request){.want = normal(lock)};
	lock_room_init(&q->room);
	lock_room_init(&q->old);

	int r = lock_room_fill(t, &q->room, LOCK_ROOM_LOCK, true);

	if (r == 0 && !(q->inode = lock_alloc(t, sizeof(*q->inode))))
		r = -ENOLCK;
	if (r == 0 && token && !(q->wait = lock_wait_new(t, token)))
		r = -ENOLCK;
	if (r < 0)
		request_done(t, q);
	return r;
}

/* The inode of the request, made when there is none. NULL: no memory for the map. */
static struct lock_inode *find_or_make(struct lock_table *t, struct request *q, struct inode *inode)
{
	struct lock_inode *i = lock_inode_find(t, inode->number);

	if (i)
		return i;
	if (map_insert(&t->inodes, inode->number, q->inode) < 0)
		return NULL;
	i = TAKE(q->inode);
	inode_ref(inode);
	i->inode = inode;
	for (int k = 0; k < LOCK_KINDS; k++) {
		lock_set_init(&i->sets[k], &t->rng);
		list_init(&i->waits[k]);
	}
	return i;
}

/* A BSD lock of another type goes before the new one comes, also when the new one is then refused
 * or has to wait: so flock(2) has it. True when there was one. */
static bool drop_old_flock(struct lock_set *s, struct request *q, struct file_locks *f)
{
	const struct lock_key key = lock_key_of(&q->want);
	const struct lock_holder *h = lock_set_holder(s, &key);
	struct vfs_lock none = q->want;

	none.type = VFS_UNLOCK;
	return h && lock_holder_first(h)->write != (q->want.type == VFS_LOCK_WRITE) &&
	       lock_set_apply(s, &none, &f->ranges, &q->old);
}

static int set_locked(
	struct lock_table *t, struct request *q, struct lock_inode *i, struct file_locks *f)
{
	const enum lock_kind kind = kind_of(&q->want);
	struct lock_set *s = &i->sets[kind];
	bool freed = q->want.flock && drop_old_flock(s, q, f);
	int r = 0;

	mutex_assert_held(&t->lock);
	if (!lock_set_conflict(s, &q->want, NULL))
		freed |= lock_set_apply(s, &q->want, &f->ranges, &q->room);
	else if (!q->wait)
		r = -EAGAIN;
	else if (kind == LOCK_POSIX && lock_wait_deadlock(t, i, &q->want))
		r = -EDEADLK;
	else
		r = lock_wait_add(t, q->wait, i, f, &q->want, &q->room);
	if (r == 0 && q->wait && q->wait->inode) {
		q->wait = NULL; /* queued */
		r = -EINPROGRESS;
	}
	if (freed)
		lock_wait_grant(t, i, kind);
	lock_inode_drop_if_empty(t, i);
	return r;
}

static int set_lock(
	struct vfs_engine *e, struct vfs_file *f, const struct vfs_lock *lock, uint64_t token)
{
	struct lock_table *t = &e->locks;
	struct lock_inode *i;
	struct request q;
	int r = request_init(t, &q, lock, token);

	if (r < 0)
		return r;
	atomic_store(&f->locks.used, true);
	mutex_lock(&t->lock);
	i = find_or_make(t, &q, f->inode);
	r = i ? set_locked(t, &q, i, &f->locks) : -ENOLCK;
	mutex_unlock(&t->lock);
	request_done(t, &q);
	return r;
}

static int unlock(struct vfs_engine *e, struct vfs_file *f, const struct vfs_lock *lock)
{
	struct lock_table *t = &e->locks;
	const struct vfs_lock want = normal(lock);
	const enum lock_kind kind = kind_of(&want);
	const bool all = want.start == 0 && want.end == UINT64_MAX;
	struct lock_room room;
	struct lock_inode *i;
	int r;

	/* Who unlocks has locked before, so sees that something is counted. */
	if (atomic_load(&t->bytes) == 0)
		return 0;
	lock_room_init(&room);
	r = lock_room_fill(t, &room, all ? 0 : LOCK_ROOM_UNLOCK, false);
	if (r == 0) {
		mutex_lock(&t->lock);
		i = lock_inode_find(t, f->inode->number);
		if (i && lock_set_apply(&i->sets[kind], &want, &f->locks.ranges, &room))
			lock_wait_grant(t, i, kind);
		if (i)
			lock_inode_drop_if_empty(t, i);
		mutex_unlock(&t->lock);
	}
	lock_room_free(t, &room);
	return r;
}

int engine_setlk(struct vfs *v, struct vfs_file *f, const struct vfs_lock *lock, uint64_t token)
{
	struct vfs_engine *e = engine_of(v);
	int r;

	if (lock->type == VFS_UNLOCK)
		return unlock(e, f, lock);
	r = engine_enter(e);
	if (r < 0)
		return r;
	if (!lock->flock &&
		!(lock->type == VFS_LOCK_READ ? handle_readable(f) : handle_writable(f)))
		return -EBADF;
	if (token && !events_listening(&e->events))
		return -EOPNOTSUPP;
	return set_lock(e, f, lock, token);
}

int engine_cancel_lk(struct vfs *v, uint64_t token)
{
	struct lock_table *t = &engine_of(v)->locks;
	struct lock_inode *i;
	struct lock_wait *w;

	MUTEX_GUARD(&t->lock);
	w = map_find(&t->tokens, token);
	if (!w)
		return -ENOENT;
	i = w->inode;
	lock_wait_end(t, w, -1);
	lock_inode_drop_if_empty(t, i);
	return 0;
}

/* ---- the end of a file, and of who listens ---- */

void lock_close(struct vfs_file *f)
{
	struct lock_table *t = &f->inode->engine->locks;
	struct lock_room room;
	struct lock_range *r;
	struct lock_inode *i;
	struct lock_wait *w;

	if (!atomic_load(&f->locks.used))
		return;
	MUTEX_GUARD(&t->lock);
	i = lock_inode_find(t, f->inode->number);
	if (!i)
		return;
	while ((w = list_first(&f->locks.waits, struct lock_wait, in_file)))
		lock_wait_end(t, w, -1);
	while ((r = list_first(&f->locks.ranges, struct lock_range, in_file))) {
		lock_room_init(&room);
		lock_set_remove(r, &room);
		lock_room_free(t, &room);
	}
	for (int k = 0; k < LOCK_KINDS; k++)
		lock_wait_grant(t, i, (enum lock_kind)k);
	lock_inode_drop_if_empty(t, i);
}

static void cancel_all(struct lock_table *t)
{
	struct lock_inode *i;
	size_t cursor;
	void *w;

	MUTEX_GUARD(&t->lock);
	while (cursor = 0, map_next(&t->tokens, &cursor, NULL, &w)) {
		i = ((struct lock_wait *)w)->inode;
		lock_wait_end(t, w, VFS_EVENT_LOCK_LOST);
		lock_inode_drop_if_empty(t, i);
	}
}

int engine_set_events(struct vfs *v, void (*event)(void *arg, const struct vfs_event *e), void *arg)
{
	struct vfs_engine *e = engine_of(v);

	if (event)
		return events_start(&e->events, event, arg);
	cancel_all(&e->locks);
	events_stop(&e->events);
	return 0;
}
