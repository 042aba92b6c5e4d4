/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_ENV_SIM_H
#define TESTS_SIM_ENV_SIM_H
/*
 * The simulator's environment: all threads are fibres on one OS thread, time is virtual, and one
 * seed decides everything. At every lock, wait, sleep, unlock somebody waits for, and thread start
 * the next fibre is drawn from those that can run. When none can, time jumps to the earliest
 * deadline; without one that is a deadlock, which aborts with a list of who waits for what. Every
 * scheduling step costs SIM_STEP_NS of virtual time. Conditions wake spuriously now and then, as
 * their contract allows.
 *
 * Processes. Each fibre belongs to a simulated process, which has its own clocks, stream of random
 * bytes and fate. A killed process stops between two steps: no fibre of it ever runs again, nothing
 * on its stacks is released, what it allocated stays allocated. Therefore objects that outlive a
 * process (a simulated store, an oracle) must not use locks or conditions that a killed or paused
 * fibre could hold or owe: without waiting, code is atomic here, so they need no locks at all. They
 * must also not keep pointers into a process.
 *
 * Everything is created and destroyed inside `main_fn`: locks of another environment cannot be used
 * here. Not usable from several OS threads.
 */
#include "core/base/env.h"
#include "core/base/rng.h"

#define SIM_STEP_NS 200ull
#define SIM_STEPS_DEFAULT 50000000ull

struct sim_process;

extern const struct env_ops env_sim;

/*
 * Runs `main_fn(arg)` as the first fibre of process "main" until it returns; fibres that still
 * exist then never run again. Aborts when a thread that ended by itself was never joined. The
 * environment is env_sim meanwhile. Not nested.
 */
void sim_run(void (*main_fn)(void *arg), void *arg, uint64_t seed);

/* Steps after which a run counts as a livelock and aborts. Before sim_run; applies to all later
 * runs. */
void sim_set_step_limit(uint64_t steps);

/* Global virtual time in ns, which no process sees. Begins at 0. */
uint64_t sim_now_ns(void);
uint64_t sim_steps(void);
/* A hash over all choices so far: equal for equal schedules. Also valid after the run. */
uint64_t sim_trace_hash(void);
/* A stream for the harness (latencies, faults), independent of the scheduler's and of the
 * processes'. */
struct rng *sim_rng(void);
/* Lets others run. */
void sim_yield(void);
/* Prints message, seed, time and all fibres, then aborts. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * A process whose clock runs `clock_rate_ppm` millionths fast (may be negative, above -500000),
 * from a seeded start; its wall clock is off by up to ten seconds. Lives until the run ends. Fibres
 * started by a fibre belong to its process.
 */
struct sim_process *sim_process_new(const char *name, int clock_rate_ppm);
struct sim_process *sim_process_current(void);
const char *sim_process_name(const struct sim_process *p);
/* Starts a fibre in `p`, which must not be killed. Nobody joins it. */
void sim_process_start(struct sim_process *p, const char *name, void (*fn)(void *arg), void *arg);
/* Waits until no fibre of `p` is left: true when all returned, false when it was killed. From
 * another process. */
bool sim_process_wait(struct sim_process *p);
/* Fibres of `p` that have neither returned nor been killed. */
unsigned sim_process_fibres(const struct sim_process *p);
bool sim_process_killed(const struct sim_process *p);
/* Also from inside `p`: then it does not return. Not "main". Killing twice is fine. */
void sim_process_kill(struct sim_process *p);
/*
 * A paused process does not run; its clocks go on, its deadlines pass. From inside `p` the call
 * returns after sim_process_resume. Not "main".
 */
void sim_process_pause(struct sim_process *p);
void sim_process_resume(struct sim_process *p);

#endif
