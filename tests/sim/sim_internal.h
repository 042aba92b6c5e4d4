/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_SIM_INTERNAL_H
#define TESTS_SIM_SIM_INTERNAL_H
/*
 * What the files of the simulator share. States of a fibre: RUNNABLE (the running one, too),
 * WAITING (in a wait queue, with a deadline, or both), PARKED (could run, but its process is
 * paused), ENDED (returned, not joined), DEAD (killed).
 *
 * E1  sim.runnable holds exactly the RUNNABLE fibres, fibre->run_index its place.
 * E2  sim.timers is a binary heap by (deadline, number) of exactly the WAITING fibres with a
 * deadline. E3  every choice of the schedule comes from sim.choices, and nothing else draws from
 * it: the seed fixes it.
 */
#include "core/base/list.h"
#include "core/base/rng.h"
#include "core/base/thread.h"
#include "tests/sim/env_sim.h"
#include "tests/sim/fibre.h"

#define NOT_QUEUED SIZE_MAX
#define WALL_START_S 1700000000ull
#define NS_PER_S 1000000000ull

enum fibre_state { RUNNABLE, WAITING, PARKED, ENDED, DEAD };
enum wait_kind {
	WAIT_NONE,
	WAIT_MUTEX,
	WAIT_COND,
	WAIT_RWLOCK,
	WAIT_SLEEP,
	WAIT_JOIN,
	WAIT_PROCESS
};

struct fibre {
	struct fibre_context context;
	struct list all, wait; /* in sim.fibres; in a wait queue */
	struct list joiners;
	struct sim_process *process;
	uint64_t number;
	char name[16];
	void (*fn)(void *arg);
	void *arg;
	enum fibre_state state;
	size_t run_index, timer_index; /* NOT_QUEUED = not there */
	uint64_t deadline;	       /* global */
	enum wait_kind wait_kind;
	const void *wait_object;
	unsigned locks;
	bool timed_out, detached;
};

struct sim_process {
	struct list all, waiters;
	char name[32];
	uint64_t created, boot_start, wall_start; /* ns: global, local, local */
	int ppm;
	struct rng random;
	unsigned live;
	bool paused, killed;
};

struct sim_mutex {
	struct fibre *holder;
	struct list waiters;
};

struct sim_cond {
	struct list waiters;
};

struct sim_rwlock {
	struct fibre *writer;
	size_t readers;
	struct list waiters;
};

static_assert(sizeof(struct sim_mutex) <= sizeof(((struct mutex *)0)->u.sim), "fits");
static_assert(sizeof(struct sim_cond) <= sizeof(((struct cond *)0)->u.sim), "fits");
static_assert(sizeof(struct sim_rwlock) <= sizeof(((struct rwlock *)0)->u.sim), "fits");

struct fibre_array {
	struct fibre **items;
	size_t count, cap;
};

struct sim {
	bool running;
	uint64_t seed, now, steps, trace;
	uint64_t last_number; /* of a fibre; 1 is the OS thread outside of the run */
	struct rng choices, harness, seeds;
	struct fibre_array runnable, timers;
	struct list fibres, processes;
	struct fibre *current; /* NULL outside sim_run */
	struct fibre *leaving; /* its stack is released once it has been left */
	struct sim_process *main;
	struct fibre_context host;
};

extern struct sim sim;

static inline struct sim_mutex *mutex_of(const struct mutex *m)
{
	return (struct sim_mutex *)(uintptr_t)m->u.sim;
}

static inline struct sim_cond *cond_of(const struct cond *c)
{
	return (struct sim_cond *)(uintptr_t)c->u.sim;
}

static inline struct sim_rwlock *rwlock_of(const struct rwlock *l)
{
	return (struct sim_rwlock *)(uintptr_t)l->u.sim;
}

/* sim_sched.c */

/* A fibre of `p` that can run at once. NULL on ENOMEM. */
struct fibre *fibre_new(struct sim_process *p, const char *name, void (*entry)(void),
	void (*fn)(void *arg), void *arg);
/* The entry of every fibre but the first. */
void fibre_main(void);
/* Goes on with whoever is drawn; comes back when the caller is drawn again. */
void sim_schedule(void);
/* The running fibre waits. `queue` may be NULL; `deadline` in global time or ENV_NEVER. False on
 * time-out. */
bool sim_block(struct list *queue, enum wait_kind kind, const void *object, uint64_t deadline);
/* WAITING -> RUNNABLE or PARKED. */
void sim_wake(struct fibre *f, bool timed_out);
void sim_wake_all(struct list *waiters);
/* The running fibre leaves for good. */
void sim_leave(enum fibre_state state) __attribute__((noreturn));
void sim_run_add(struct fibre *f);
void sim_run_remove(struct fibre *f);
void sim_timer_remove(struct fibre *f);

/* sim_process.c */

/* The process of the running fibre; "main" when there is none; NULL before the first. */
struct sim_process *sim_my_process(void);

#endif
