/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_THREAD_H
#define CORE_BASE_THREAD_H
/*
 * Mutexes, conditions, shared locks and threads, on whatever environment is current (env.h).
 *
 * Every lock has a rank from lock_ranks.h. A thread takes locks in rising rank; equal ranks only
 * where the rank is marked as nesting (the caller then keeps an order of its own, e.g. inodes).
 * With EXPENSIVE_CHECKS a breach aborts with both names.
 */
#include "core/base/env.h"
#include "core/base/lock_ranks.h"

#include <pthread.h>
#include <stdatomic.h>

struct mutex {
	union {
		pthread_mutex_t pthread;
		void *sim[8]; /* the simulator's own fields */
	} u;
	_Atomic uint64_t owner; /* env->thread_self() of the holder, 0 = free */
	uint16_t rank;
};

struct cond {
	union {
		pthread_cond_t pthread;
		void *sim[6];
	} u;
};

struct rwlock {
	union {
		pthread_rwlock_t pthread;
		void *sim[7];
	} u;
	_Atomic uint64_t writer; /* env->thread_self() of the exclusive holder, 0 = none */
	uint16_t rank;
};

struct thread {
	union {
		pthread_t pthread;
		void *sim;
	} u;
	void (*fn)(void *arg); /* owned by thread.c */
	void *arg;
	char name[16];
	bool running; /* between a successful thread_start and thread_join */
};

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m);
/* Never waits, and so may be called against the order of ranks. */
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
/* Aborts unless the calling thread holds `m`. For the entry of every `_locked` function. */
void mutex_assert_held(const struct mutex *m);

void cond_init(struct cond *c);
void cond_done(struct cond *c);
/* Waits until signalled; may wake spuriously. `m` is held before and after. Calls env_blocking().
 */
void cond_wait(struct cond *c, struct mutex *m);
/* The same until `deadline_ns` (env_now_ns clock); false when it passed. ENV_NEVER waits for ever.
 */
bool cond_wait_until(struct cond *c, struct mutex *m, uint64_t deadline_ns);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

void rwlock_init(struct rwlock *l, enum lock_rank rank);
void rwlock_done(struct rwlock *l);
void rwlock_rdlock(struct rwlock *l);
void rwlock_wrlock(struct rwlock *l);
void rwlock_unlock(struct rwlock *l);
/* Aborts unless the calling thread holds `l` exclusively. */
void rwlock_assert_write(const struct rwlock *l);

/*
 * Starts a named thread (at most 15 bytes of the name are used). 0, or -EAGAIN/-ENOMEM. Every
 * started thread is joined exactly once; thread_join of one that never started is a no-op.
 */
int thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg);
void thread_join(struct thread *t);

/*
 * For environments only: the thread with this number will never run again, whatever it still holds
 * (a killed process of the simulator). Forgets what the rank check knows of it.
 */
void thread_forget_held(uint64_t self);

static inline void mutex_guard_unlock_(struct mutex **m)
{
	mutex_unlock(*m);
}
/* Holds `m` to the end of the enclosing block. */
#define MUTEX_GUARD(m)                                                                             \
	__attribute__((cleanup(mutex_guard_unlock_), unused)) struct mutex *mutex_guard_ = (m);    \
	mutex_lock(mutex_guard_)

#endif
