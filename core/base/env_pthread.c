/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The environment of real programs: pthreads, CLOCK_BOOTTIME, getrandom. The only file of core that
 * calls these directly.
 *
 * Deadlines are in CLOCK_BOOTTIME, but conditions can only wait on CLOCK_MONOTONIC, which stands
 * still while the machine is suspended. A wait is therefore cut into slices: after a resume it
 * notices within one slice that its deadline passed. The end of a slice is a spurious wake-up,
 * because waiting on inside could miss a signal.
 */
#include "core/base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define NS_PER_S 1000000000ull
#define WAIT_SLICE_NS (60 * NS_PER_S)

static void die(const char *what, int error_number)
{
	fprintf(stderr, "zerofs: %s failed: error %d\n", what, error_number);
	abort();
}

/* These calls fail only when a lock is misused or corrupt: going on would lose data. */
#define MUST(call)                                                                                 \
	do {                                                                                       \
		int must_ = (call);                                                                \
		if (must_)                                                                         \
			die(#call, must_);                                                         \
	} while (0)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		die("clock_gettime", errno);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

static uint64_t pthread_now_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

static struct timespec pthread_realtime(void)
{
	return timespec_of(clock_ns(CLOCK_REALTIME));
}

static void pthread_random(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("getrandom", errno);
		p += n;
		len -= (size_t)n;
	}
}

static void pthread_sleep_ns(uint64_t ns)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	struct timespec until = timespec_of(ns > INT64_MAX - now ? INT64_MAX : now + ns);
	int r;

	do {
		r = clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL);
	} while (r == EINTR);
	if (r)
		die("clock_nanosleep", r);
}

static void pthread_mutex_init_(struct mutex *m)
{
	MUST(pthread_mutex_init(&m->u.pthread, NULL));
}

static void pthread_mutex_lock_(struct mutex *m)
{
	MUST(pthread_mutex_lock(&m->u.pthread));
}

static bool pthread_mutex_trylock_(struct mutex *m)
{
	int r = pthread_mutex_trylock(&m->u.pthread);

	if (r && r != EBUSY)
		die("pthread_mutex_trylock", r);
	return r == 0;
}

static void pthread_mutex_unlock_(struct mutex *m)
{
	MUST(pthread_mutex_unlock(&m->u.pthread));
}

static void pthread_mutex_done_(struct mutex *m)
{
	MUST(pthread_mutex_destroy(&m->u.pthread));
}

static void pthread_cond_init_(struct cond *c)
{
	pthread_condattr_t attr;

	MUST(pthread_condattr_init(&attr));
	MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	MUST(pthread_cond_init(&c->u.pthread, &attr));
	MUST(pthread_condattr_destroy(&attr));
}

static bool pthread_cond_wait_(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
	if (deadline_ns == ENV_NEVER) {
		MUST(pthread_cond_wait(&c->u.pthread, &m->u.pthread));
		return true;
	}
	uint64_t now = clock_ns(CLOCK_BOOTTIME);

	if (now >= deadline_ns)
		return false;
	uint64_t left = deadline_ns - now;
	struct timespec until = timespec_of(
		clock_ns(CLOCK_MONOTONIC) + (left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS));
	int r = pthread_cond_timedwait(&c->u.pthread, &m->u.pthread, &until);

	if (r && r != ETIMEDOUT)
		die("pthread_cond_timedwait", r);
	return r == 0 || clock_ns(CLOCK_BOOTTIME) < deadline_ns;
}

static void pthread_cond_signal_(struct cond *c)
{
	MUST(pthread_cond_signal(&c->u.pthread));
}

static void pthread_cond_broadcast_(struct cond *c)
{
	MUST(pthread_cond_broadcast(&c->u.pthread));
}

static void pthread_cond_done_(struct cond *c)
{
	MUST(pthread_cond_destroy(&c->u.pthread));
}

static void pthread_rwlock_init_(struct rwlock *l)
{
	MUST(pthread_rwlock_init(&l->u.pthread, NULL));
}

static void pthread_rwlock_rdlock_(struct rwlock *l)
{
	MUST(pthread_rwlock_rdlock(&l->u.pthread));
}

static void pthread_rwlock_wrlock_(struct rwlock *l)
{
	MUST(pthread_rwlock_wrlock(&l->u.pthread));
}

static void pthread_rwlock_unlock_(struct rwlock *l)
{
	MUST(pthread_rwlock_unlock(&l->u.pthread));
}

static void pthread_rwlock_done_(struct rwlock *l)
{
	MUST(pthread_rwlock_destroy(&l->u.pthread));
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	(void)pthread_setname_np(pthread_self(), t->name); /* cosmetic */
	t->fn(t->arg);
	return NULL;
}

/* Signals belong to the thread that the front end chose, except those that a fault raises in the
 * thread itself. */
static void block_signals(sigset_t *ret_old)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	MUST(pthread_sigmask(SIG_SETMASK, &all, ret_old));
}

static int pthread_thread_start(
	struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
	sigset_t old;

	(void)name; /* thread_main takes all three from `t` */
	(void)fn;
	(void)arg;
	block_signals(&old);
	int r = pthread_create(&t->u.pthread, NULL, thread_main, t);

	MUST(pthread_sigmask(SIG_SETMASK, &old, NULL));
	if (r)
		return r == ENOMEM ? -ENOMEM : -EAGAIN;
	return 0;
}

static void pthread_thread_join(struct thread *t)
{
	MUST(pthread_join(t->u.pthread, NULL));
}

static uint64_t pthread_thread_self(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t self;

	if (!self)
		self = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return self;
}

const struct env_ops env_pthread = {
	.now_ns = pthread_now_ns,
	.realtime = pthread_realtime,
	.random = pthread_random,
	.sleep_ns = pthread_sleep_ns,
	.mutex_init = pthread_mutex_init_,
	.mutex_lock = pthread_mutex_lock_,
	.mutex_trylock = pthread_mutex_trylock_,
	.mutex_unlock = pthread_mutex_unlock_,
	.mutex_done = pthread_mutex_done_,
	.cond_init = pthread_cond_init_,
	.cond_wait = pthread_cond_wait_,
	.cond_signal = pthread_cond_signal_,
	.cond_broadcast = pthread_cond_broadcast_,
	.cond_done = pthread_cond_done_,
	.rwlock_init = pthread_rwlock_init_,
	.rwlock_rdlock = pthread_rwlock_rdlock_,
	.rwlock_wrlock = pthread_rwlock_wrlock_,
	.rwlock_unlock = pthread_rwlock_unlock_,
	.rwlock_done = pthread_rwlock_done_,
	.thread_start = pthread_thread_start,
	.thread_join = pthread_thread_join,
	.thread_self = pthread_thread_self,
};
