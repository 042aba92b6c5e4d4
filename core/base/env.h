/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_ENV_H
#define CORE_BASE_ENV_H
/*
 * Everything through which core can wait, or learn time and randomness: clocks, sleep, threads,
 * mutexes, conditions, shared locks. There is one current environment per process, set before the
 * first thread starts: pthreads by default, the simulator's fibres in its programs. `thread.h` is
 * the face that core uses; this header is for who provides an environment.
 *
 * In the simulator one OS thread runs many simulated processes; the environment knows the current
 * fibre and through it the process, so clocks and randomness may differ between processes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct mutex;
struct cond;
struct rwlock;
struct thread;

#define ENV_NEVER UINT64_MAX /* a deadline that does not come */

struct env_ops {
	/* CLOCK_BOOTTIME in ns: advances during suspend, never goes back. All ages and deadlines.
	 */
	uint64_t (*now_ns)(void);
	/* Wall clock, for file times only; may jump. */
	struct timespec (*realtime)(void);
	/* Fills with unpredictable bytes (seeded ones in the simulator). Never fails. */
	void (*random)(void *buf, size_t len);
	void (*sleep_ns)(uint64_t ns);

	void (*mutex_init)(struct mutex *m);
	void (*mutex_lock)(struct mutex *m);
	bool (*mutex_trylock)(struct mutex *m);
	void (*mutex_unlock)(struct mutex *m);
	void (*mutex_done)(struct mutex *m);

	void (*cond_init)(struct cond *c);
	/* Waits until signalled or `deadline_ns` (now_ns clock); false on time-out. May wake
	 * spuriously. */
	bool (*cond_wait)(struct cond *c, struct mutex *m, uint64_t deadline_ns);
	void (*cond_signal)(struct cond *c);
	void (*cond_broadcast)(struct cond *c);
	void (*cond_done)(struct cond *c);

	void (*rwlock_init)(struct rwlock *l);
	void (*rwlock_rdlock)(struct rwlock *l);
	void (*rwlock_wrlock)(struct rwlock *l);
	void (*rwlock_unlock)(struct rwlock *l);
	void (*rwlock_done)(struct rwlock *l);

	/* 0 or -EAGAIN/-ENOMEM. */
	int (*thread_start)(struct thread *t, const char *name, void (*fn)(void *arg), void *arg);
	void (*thread_join)(struct thread *t);
	/* A number that tells running threads apart; never 0. */
	uint64_t (*thread_self)(void);
};

extern const struct env_ops env_pthread;
extern const struct env_ops *env; /* the current one; &env_pthread unless env_use() was called */

/* Before any other thread or lock exists. */
void env_use(const struct env_ops *ops);

static inline uint64_t env_now_ns(void)
{
	return env->now_ns();
}
static inline uint64_t env_now_ms(void)
{
	return env->now_ns() / 1000000;
}
static inline struct timespec env_realtime(void)
{
	return env->realtime();
}
static inline void env_random(void *buf, size_t len)
{
	env->random(buf, len);
}
static inline void env_sleep_ms(uint64_t ms)
{
	env->sleep_ns(ms * 1000000);
}

/*
 * A thread that serves requests registers a hook; core calls env_blocking() where it is about to
 * wait for memory, for the store or for another thread (cond_wait does it by itself), so that the
 * front end can see to it that somebody else reads requests. The hook must not wait and must
 * tolerate being called with locks held. Threads without a hook: nothing happens.
 */
struct env_blocking_hook {
	void (*blocking)(void *arg);
	void *arg;
};
void env_set_blocking_hook(const struct env_blocking_hook *hook); /* this thread; NULL removes */
void env_blocking(void);

#endif
