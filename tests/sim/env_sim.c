/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The operations of the environment: clocks, locks and threads of fibres. */
#include "tests/sim/env_sim.h"

#include "tests/sim/sim_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SPURIOUS_ONE_IN 128

/* Clocks. */

static uint64_t local_time(const struct sim_process *p, uint64_t start, uint64_t global)
{
	__int128 passed = (__int128)(global - p->created) * (1000000 + p->ppm) / 1000000;

	return start + (uint64_t)passed;
}

static uint64_t sim_env_now_ns(void)
{
	const struct sim_process *p = sim_my_process();

	return p ? local_time(p, p->boot_start, sim.now) : sim.now;
}

static struct timespec sim_env_realtime(void)
{
	const struct sim_process *p = sim_my_process();
	uint64_t ns = p ? local_time(p, p->wall_start, sim.now) : WALL_START_S * NS_PER_S;

	return (struct timespec){
		.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/* The first global moment at which the process' clock shows at least `local`. */
static uint64_t global_deadline(const struct sim_process *p, uint64_t local)
{
	uint64_t now = local_time(p, p->boot_start, sim.now);

	if (local == ENV_NEVER || local <= now)
		return local == ENV_NEVER ? ENV_NEVER : sim.now;
	unsigned __int128 left =
		(unsigned __int128)(local - now) * 1000000 / (unsigned)(1000000 + p->ppm);

	if (left > INT64_MAX)
		return ENV_NEVER; /* in centuries */
	uint64_t global = sim.now + (uint64_t)left;

	while (local_time(p, p->boot_start, global) < local)
		global++;
	return global;
}

static void sim_env_random(void *buf, size_t len)
{
	struct sim_process *p = sim_my_process();

	rng_fill(p ? &p->random : &sim.harness, buf, len);
}

static void sim_env_sleep_ns(uint64_t ns)
{
	uint64_t now = sim_env_now_ns();

	(void)sim_block(NULL, WAIT_SLEEP, NULL,
		global_deadline(sim_my_process(), ns > INT64_MAX ? ENV_NEVER : now + ns));
}

/* Locks. */

static void count_lock(int by)
{
	if (sim.current)
		sim.current->locks += (unsigned)by;
}

static void sim_env_mutex_init(struct mutex *m)
{
	mutex_of(m)->holder = NULL;
	list_init(&mutex_of(m)->waiters);
}

/* Outside of sim_run somebody has to be the holder, too. */
static struct fibre *me_or_host(void)
{
	static struct fibre host = {.name = "host", .number = 1};

	return sim.current ? sim.current : &host;
}

static void mutex_take(struct mutex *m)
{
	struct sim_mutex *s = mutex_of(m);

	while (s->holder)
		(void)sim_block(&s->waiters, WAIT_MUTEX, m, ENV_NEVER);
	s->holder = me_or_host();
	count_lock(1);
}

/* True when somebody was waiting. */
static bool mutex_give(struct mutex *m)
{
	struct sim_mutex *s = mutex_of(m);
	bool waited_for = !list_empty(&s->waiters);

	assert(s->holder == me_or_host());
	s->holder = NULL;
	count_lock(-1);
	/* All of them: if only one were woken and then killed, the others would sleep for ever. */
	sim_wake_all(&s->waiters);
	return waited_for;
}

static void sim_env_mutex_lock(struct mutex *m)
{
	sim_yield();
	mutex_take(m);
}

static bool sim_env_mutex_trylock(struct mutex *m)
{
	sim_yield();
	if (mutex_of(m)->holder)
		return false;
	mutex_take(m);
	return true;
}

static void sim_env_mutex_unlock(struct mutex *m)
{
	if (mutex_give(m))
		sim_yield();
}

static void sim_env_mutex_done(struct mutex *m)
{
	assert(!mutex_of(m)->holder && list_empty(&mutex_of(m)->waiters));
}

static void sim_env_cond_init(struct cond *c)
{
	list_init(&cond_of(c)->waiters);
}

static bool sim_env_cond_wait(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
	uint64_t deadline = global_deadline(sim_my_process(), deadline_ns);
	bool in_time = true;

	(void)mutex_give(m);
	if (rng_chance(&sim.choices, 1, SPURIOUS_ONE_IN))
		sim_yield();
	else
		in_time = sim_block(&cond_of(c)->waiters, WAIT_COND, c, deadline);
	mutex_take(m);
	return in_time;
}

static void sim_env_cond_signal(struct cond *c)
{
	struct list *waiters = &cond_of(c)->waiters;
	struct fibre *f;
	uint64_t count = 0;

	list_for_each (f, waiters, wait)
		count++;
	if (!count)
		return;
	uint64_t chosen = rng_below(&sim.choices, count);

	list_for_each (f, waiters, wait)
		if (chosen-- == 0)
			break;
	sim_wake(f, false);
}

static void sim_env_cond_broadcast(struct cond *c)
{
	sim_wake_all(&cond_of(c)->waiters);
}

static void sim_env_cond_done(struct cond *c)
{
	assert(list_empty(&cond_of(c)->waiters));
}

static void sim_env_rwlock_init(struct rwlock *l)
{
	rwlock_of(l)->writer = NULL;
	rwlock_of(l)->readers = 0;
	list_init(&rwlock_of(l)->waiters);
}

static void sim_env_rwlock_rdlock(struct rwlock *l)
{
	struct sim_rwlock *s = rwlock_of(l);

	sim_yield();
	while (s->writer)
		(void)sim_block(&s->waiters, WAIT_RWLOCK, l, ENV_NEVER);
	s->readers++;
	count_lock(1);
}

static void sim_env_rwlock_wrlock(struct rwlock *l)
{
	struct sim_rwlock *s = rwlock_of(l);

	sim_yield();
	while (s->writer || s->readers)
		(void)sim_block(&s->waiters, WAIT_RWLOCK, l, ENV_NEVER);
	s->writer = me_or_host();
	count_lock(1);
}

static void sim_env_rwlock_unlock(struct rwlock *l)
{
	struct sim_rwlock *s = rwlock_of(l);

	if (s->writer) {
		assert(s->writer == me_or_host());
		s->writer = NULL;
	} else {
		assert(s->readers);
		s->readers--;
	}
	count_lock(-1);
	if (s->readers || list_empty(&s->waiters))
		return;
	sim_wake_all(&s->waiters);
	sim_yield();
}

static void sim_env_rwlock_done(struct rwlock *l)
{
	assert(!rwlock_of(l)->writer && !rwlock_of(l)->readers);
	assert(list_empty(&rwlock_of(l)->waiters));
}

/* Threads. */

static int sim_env_thread_start(
	struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
	if (!sim.current)
		return -EAGAIN;
	struct fibre *f = fibre_new(sim.current->process, name, fibre_main, fn, arg);

	if (!f)
		return -ENOMEM;
	t->u.sim = f;
	sim_yield();
	return 0;
}

static void sim_env_thread_join(struct thread *t)
{
	struct fibre *f = t->u.sim;

	while (f->state != ENDED)
		(void)sim_block(&f->joiners, WAIT_JOIN, f, ENV_NEVER);
	list_remove(&f->all);
	free(f);
	t->u.sim = NULL;
}

static uint64_t sim_env_thread_self(void)
{
	return me_or_host()->number;
}

const struct env_ops env_sim = {
	.now_ns = sim_env_now_ns,
	.realtime = sim_env_realtime,
	.random = sim_env_random,
	.sleep_ns = sim_env_sleep_ns,
	.mutex_init = sim_env_mutex_init,
	.mutex_lock = sim_env_mutex_lock,
	.mutex_trylock = sim_env_mutex_trylock,
	.mutex_unlock = sim_env_mutex_unlock,
	.mutex_done = sim_env_mutex_done,
	.cond_init = sim_env_cond_init,
	.cond_wait = sim_env_cond_wait,
	.cond_signal = sim_env_cond_signal,
	.cond_broadcast = sim_env_cond_broadcast,
	.cond_done = sim_env_cond_done,
	.rwlock_init = sim_env_rwlock_init,
	.rwlock_rdlock = sim_env_rwlock_rdlock,
	.rwlock_wrlock = sim_env_rwlock_wrlock,
	.rwlock_unlock = sim_env_rwlock_unlock,
	.rwlock_done = sim_env_rwlock_done,
	.thread_start = sim_env_thread_start,
	.thread_join = sim_env_thread_join,
	.thread_self = sim_env_thread_self,
};
