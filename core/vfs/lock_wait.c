/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Waiting for locks, without threads.
 *
 * Order: what was asked for first is granted first, among those whom a lock that went had kept
 * waiting. A request waits for locks that are held, never for others that wait: as on Linux, a
 * reader gets in beside readers while a writer waits. It must be so: a program that shares a lock
 * with itself by two descriptors, or extends what it holds, would else wait behind somebody who
 * waits for it; and a request that does not wait would be refused while nobody holds a thing.
 *
 * Deadlocks: a walk from the new request to who holds what is in its way, from there to what those
 * wait for, and so on. All holders are followed, not only the first one, so a circle is seen when
 * its last request comes. Owners of BSD locks are not part of it, as on Linux. Neither are locks of
 * open file descriptions (OFD): Linux leaves them out because another thread may release them. A
 * kernel's FUSE requests do not tell them from POSIX locks, but a process has only one owner of
 * POSIX locks: another owner with the caller's process id is such a lock, and not followed. The
 * walk gives up (no deadlock) after WALK_MAX locks: it is under the table's lock.
 */
#include "core/vfs/lock_table.h"

#include <assert.h>
#include <stdlib.h>

#define WALK_MAX 4096

static enum lock_kind kind_of(const struct vfs_lock *l)
{
	return l->flock ? LOCK_FLOCK : LOCK_POSIX;
}

static struct lock_wait *wait_of(const struct treap_node *n)
{
	return container_of(n, struct lock_wait, in_owner);
}

static int compare_waits(const struct treap_node *a, const struct treap_node *b)
{
	const struct lock_wait *x = wait_of(a), *y = wait_of(b);
	const struct lock_key kx = lock_key_of(&x->want), ky = lock_key_of(&y->want);
	int order = lock_key_compare(&kx, &ky);

	if (order || x->number == y->number)
		return order;
	return x->number < y->number ? -1 : 1;
}

static const struct treap_ops waiting_ops = {.compare = compare_waits};

struct lock_wait *lock_wait_new(struct lock_table *t, uint64_t token)
{
	struct lock_wait *w = lock_alloc(t, sizeof(*w));

	if (!w)
		return NULL;
	lock_room_init(&w->room);
	w->token = token;
	w->event = calloc(1, sizeof(*w->event));
	if (!w->event) {
		lock_wait_free(t, w);
		return NULL;
	}
	return w;
}

void lock_wait_free(struct lock_table *t, struct lock_wait *w)
{
	if (!w)
		return;
	lock_room_free(t, &w->room);
	free(w->event);
	lock_free(t, w, sizeof(*w));
}

int lock_wait_add(struct lock_table *t, struct lock_wait *w, struct lock_inode *i,
	struct file_locks *f, const struct vfs_lock *want, struct lock_room *room)
{
	const enum lock_kind kind = kind_of(want);
	int r = map_insert(&t->tokens, w->token, w);

	mutex_assert_held(&t->lock);
	if (r < 0)
		return r == -EEXIST ? -EINVAL : -ENOLCK;
	w->inode = i;
	w->file = f;
	w->want = *want;
	w->number = ++t->next_wait;
	list_splice_back(&w->room.ranges, &room->ranges);
	w->room.holder = room->holder;
	room->holder = NULL;
	list_push_back(&i->waits[kind], &w->in_inode);
	list_push_back(&f->waits, &w->in_file);
	list_init(&w->in_walk);
	if (kind == LOCK_POSIX)
		treap_insert(&t->waiting, &waiting_ops, &w->in_owner, (uint32_t)rng_next(&t->rng));
	return 0;
}

void lock_wait_end(struct lock_table *t, struct lock_wait *w, int kind)
{
	struct event_entry *e = w->event;

	mutex_assert_held(&t->lock);
	(void)map_remove(&t->tokens, w->token);
	list_remove(&w->in_inode);
	list_remove(&w->in_file);
	if (kind_of(&w->want) == LOCK_POSIX)
		treap_remove(&t->waiting, &waiting_ops, &w->in_owner);
	if (kind >= 0) {
		e->event = (struct vfs_event){.kind = (enum vfs_event_kind)kind,
			.inode = 0,
			.name = SLICE(NULL, 0),
			.token = w->token};
		w->event = NULL;
		events_post(t->events, e);
	}
	lock_wait_free(t, w);
}

void lock_wait_grant(struct lock_table *t, struct lock_inode *i, enum lock_kind kind)
{
	struct lock_wait *w, *next;
	bool freed;

	mutex_assert_held(&t->lock);
	/* Again while what was granted replaced something stronger of its owner. */
	do {
		freed = false;
		list_for_each_safe (w, next, &i->waits[kind], in_inode) {
			if (lock_set_conflict(&i->sets[kind], &w->want, NULL))
				continue;
			freed |= lock_set_apply(
				&i->sets[kind], &w->want, &w->file->ranges, &w->room);
			lock_wait_end(t, w, VFS_EVENT_LOCK_GRANTED);
		}
	} while (freed);
}

/* ---- deadlocks ---- */

struct walk {
	const struct vfs_lock *want; /* whose owner begins to wait */
	struct lock_key self;
	struct list todo; /* waits whose holders have to be looked at */
	unsigned steps;
};

struct wait_place {
	struct lock_key key;
	uint64_t number;
};

static int wait_side(const struct treap_node *n, const void *arg)
{
	const struct lock_wait *w = wait_of(n);
	const struct wait_place *p = arg;
	const struct lock_key key = lock_key_of(&w->want);
	int order = lock_key_compare(&key, &p->key);

	if (order || w->number == p->number)
		return order;
	return w->number < p->number ? -1 : 1;
}

/* What `key` waits for, as far as this walk has not met it. */
static void follow(struct lock_table *t, struct walk *walk, const struct lock_key *key)
{
	struct wait_place place = {.key = *key};
	const struct treap_node *n;

	while ((n = treap_first(t->waiting, wait_side, &place))) {
		struct lock_wait *w = wait_of(n);
		const struct lock_key owner = lock_key_of(&w->want);

		if (lock_key_compare(&owner, key) != 0 || w->walk == t->walk)
			return; /* met before: then all of this owner were */
		w->walk = t->walk;
		list_push_back(&walk->todo, &w->in_walk);
		place.number = w->number + 1;
	}
}

/* Whether the owner itself holds something in the way of `want`; else follows those who do. */
static bool visit(struct lock_table *t, struct walk *walk, const struct lock_inode *i,
	const struct vfs_lock *want)
{
	const struct lock_range *r = NULL;

	while (walk->steps++ < WALK_MAX && (r = lock_set_conflict(&i->sets[LOCK_POSIX], want, r))) {
		const struct lock_key *key = &r->holder->key;

		if (lock_key_compare(key, &walk->self) == 0)
			return true;
		if (r->pid && r->pid == walk->want->pid && key->domain == walk->self.domain)
			continue; /* an open file description of the caller */
		follow(t, walk, key);
	}
	return false;
}

bool lock_wait_deadlock(struct lock_table *t, struct lock_inode *i, const struct vfs_lock *want)
{
	struct walk walk = {.want = want, .self = lock_key_of(want)};
	struct lock_wait *w;
	bool found;

	mutex_assert_held(&t->lock);
	if (!t->waiting) /* nobody waits who could wait for this one */
		return false;
	t->walk++;
	list_init(&walk.todo);
	found = visit(t, &walk, i, want);
	while ((w = list_first(&walk.todo, struct lock_wait, in_walk))) {
		list_remove(&w->in_walk);
		found = found || visit(t, &walk, w->inode, &w->want);
	}
	return found;
}
