/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Locks with an owner and a rank on top of the current environment. The owner is written by the
 * holder only; others compare it with their own number, which it can never show by accident.
 */
#include "core/base/thread.h"

#include "core/base/lock_check.h"

#include <assert.h>
#include <string.h>

static inline uint64_t owner_of(const _Atomic uint64_t *owner)
{
	return atomic_load_explicit(owner, memory_order_relaxed);
}

static inline void set_owner(_Atomic uint64_t *owner, uint64_t self)
{
	atomic_store_explicit(owner, self, memory_order_relaxed);
}

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	set_owner(&m->owner, 0);
	m->rank = (uint16_t)rank;
	env->mutex_init(m);
}

void mutex_done(struct mutex *m)
{
	assert(owner_of(&m->owner) == 0);
	env->mutex_done(m);
}

void mutex_lock(struct mutex *m)
{
	uint64_t self = env->thread_self();

	assert(owner_of(&m->owner) != self);
	lock_check_order(m, m->rank);
	env->mutex_lock(m);
	set_owner(&m->owner, self);
	lock_check_taken(m, m->rank);
}

bool mutex_trylock(struct mutex *m)
{
	if (!env->mutex_trylock(m))
		return false;
	set_owner(&m->owner, env->thread_self());
	lock_check_taken(m, m->rank);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	mutex_assert_held(m);
	lock_check_released(m);
	set_owner(&m->owner, 0);
	env->mutex_unlock(m);
}

void mutex_assert_held(const struct mutex *m)
{
	assert(owner_of(&m->owner) == env->thread_self());
}

void cond_init(struct cond *c)
{
	env->cond_init(c);
}

void cond_done(struct cond *c)
{
	env->cond_done(c);
}

void cond_wait(struct cond *c, struct mutex *m)
{
	(void)cond_wait_until(c, m, ENV_NEVER);
}

bool cond_wait_until(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
	mutex_assert_held(m);
	lock_check_wait(m, m->rank);
	env_blocking();
	set_owner(&m->owner, 0);
	bool in_time = env->cond_wait(c, m, deadline_ns);

	set_owner(&m->owner, env->thread_self());
	return in_time;
}

void cond_signal(struct cond *c)
{
	env->cond_signal(c);
}

void cond_broadcast(struct cond *c)
{
	env->cond_broadcast(c);
}

void rwlock_init(struct rwlock *l, enum lock_rank rank)
{
	set_owner(&l->writer, 0);
	l->rank = (uint16_t)rank;
	env->rwlock_init(l);
}

void rwlock_done(struct rwlock *l)
{
	assert(owner_of(&l->writer) == 0);
	env->rwlock_done(l);
}

void rwlock_rdlock(struct rwlock *l)
{
	assert(owner_of(&l->writer) != env->thread_self());
	lock_check_order(l, l->rank);
	env->rwlock_rdlock(l);
	lock_check_taken(l, l->rank);
}

void rwlock_wrlock(struct rwlock *l)
{
	uint64_t self = env->thread_self();

	assert(owner_of(&l->writer) != self);
	lock_check_order(l, l->rank);
	env->rwlock_wrlock(l);
	set_owner(&l->writer, self);
	lock_check_taken(l, l->rank);
}

void rwlock_unlock(struct rwlock *l)
{
	lock_check_released(l);
	/* While it is held shared, nobody can be the writer. */
	if (owner_of(&l->writer))
		rwlock_assert_write(l);
	set_owner(&l->writer, 0);
	env->rwlock_unlock(l);
}

void rwlock_assert_write(const struct rwlock *l)
{
	assert(owner_of(&l->writer) == env->thread_self());
}

int thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->name, name, strnlen(name, sizeof(t->name) - 1));
	t->fn = fn;
	t->arg = arg;
	int r = env->thread_start(t, t->name, fn, arg);

	if (r < 0)
		return r;
	t->running = true;
	return 0;
}

void thread_join(struct thread *t)
{
	if (!t->running)
		return;
	env_blocking();
	env->thread_join(t);
	t->running = false;
}

void thread_forget_held(uint64_t self)
{
	lock_check_forget(self);
}
