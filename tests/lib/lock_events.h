/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_LIB_LOCK_EVENTS_H
#define TESTS_LIB_LOCK_EVENTS_H
/* A listener for the events of file locks: keeps the tokens in the order in which they came. */
#include "core/base/thread.h"
#include "core/vfs/vfs.h"

#define LOCK_EVENTS_MAX 100000
#define LOCK_EVENT_LOST (1ull << 63) /* beside the token of a wait that ended without the lock */

struct lock_events {
	struct mutex lock;
	struct cond came;
	/* guarded by lock */
	size_t n;
	uint64_t tokens[LOCK_EVENTS_MAX];
};

static inline void lock_events_init(struct lock_events *l)
{
	mutex_init(&l->lock, RANK_PROGRAM);
	cond_init(&l->came);
	l->n = 0;
}

static inline void lock_events_done(struct lock_events *l)
{
	cond_done(&l->came);
	mutex_done(&l->lock);
}

/* For vfs_set_events. */
static inline void lock_events_take(void *arg, const struct vfs_event *e)
{
	struct lock_events *l = arg;

	mutex_lock(&l->lock);
	if (l->n < LOCK_EVENTS_MAX)
		l->tokens[l->n++] =
			e->token | (e->kind == VFS_EVENT_LOCK_LOST ? LOCK_EVENT_LOST : 0);
	cond_broadcast(&l->came);
	mutex_unlock(&l->lock);
}

/* Waits until `n` came in all, at most for ten seconds. Returns how many. */
static inline size_t lock_events_wait(struct lock_events *l, size_t n)
{
	uint64_t deadline = env_now_ns() + 10000000000ull;
	size_t got;

	mutex_lock(&l->lock);
	while (l->n < n && cond_wait_until(&l->came, &l->lock, deadline))
		;
	got = l->n;
	mutex_unlock(&l->lock);
	return got;
}

#endif
