/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Simulated processes, and the run as a whole. */
#include "tests/sim/sim_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_process *sim_my_process(void)
{
	return sim.current ? sim.current->process : sim.main;
}

struct sim_process *sim_process_new(const char *name, int clock_rate_ppm)
{
	assert(clock_rate_ppm > -500000);
	struct sim_process *p = calloc(1, sizeof(*p));

	if (!p)
		sim_fail("out of memory for a process");
	snprintf(p->name, sizeof(p->name), "%s", name);
	list_init(&p->waiters);
	list_push_back(&sim.processes, &p->all);
	p->random = rng_of(rng_next(&sim.seeds));
	p->created = sim.now;
	p->ppm = clock_rate_ppm;
	p->boot_start = rng_range(&p->random, NS_PER_S, 1000000 * NS_PER_S);
	p->wall_start =
		(WALL_START_S - 10) * NS_PER_S + sim.now + rng_below(&p->random, 20 * NS_PER_S);
	return p;
}

struct sim_process *sim_process_current(void)
{
	return sim_my_process();
}

const char *sim_process_name(const struct sim_process *p)
{
	return p->name;
}

void sim_process_start(struct sim_process *p, const char *name, void (*fn)(void *arg), void *arg)
{
	assert(!p->killed);
	struct fibre *f = fibre_new(p, name, fibre_main, fn, arg);

	if (!f)
		sim_fail("out of memory for a fibre");
	f->detached = true;
	sim_yield();
}

bool sim_process_wait(struct sim_process *p)
{
	assert(p != sim_my_process());
	while (p->live)
		(void)sim_block(&p->waiters, WAIT_PROCESS, p, ENV_NEVER);
	return !p->killed;
}

unsigned sim_process_fibres(const struct sim_process *p)
{
	return p->live;
}

bool sim_process_killed(const struct sim_process *p)
{
	return p->killed;
}

static void fibre_kill(struct fibre *f)
{
	if (f->state == WAITING) {
		list_remove(&f->wait);
		sim_timer_remove(f);
	} else if (f->state == RUNNABLE) {
		sim_run_remove(f);
	}
	thread_forget_held(f->number);
	f->state = DEAD;
	if (f != sim.current)
		fibre_context_release(&f->context);
}

void sim_process_kill(struct sim_process *p)
{
	struct fibre *f;

	assert(p != sim.main);
	if (p->killed)
		return;
	p->killed = true;
	list_for_each (f, &sim.fibres, all)
		if (f->process == p && f->state != ENDED)
			fibre_kill(f);
	p->live = 0;
	sim_wake_all(&p->waiters);
	if (sim.current->process == p)
		sim_leave(DEAD);
}

void sim_process_pause(struct sim_process *p)
{
	struct fibre *f;

	assert(p != sim.main);
	if (p->paused || p->killed)
		return;
	p->paused = true;
	list_for_each (f, &sim.fibres, all)
		if (f->process == p && f->state == RUNNABLE) {
			sim_run_remove(f);
			f->state = PARKED;
		}
	if (sim.current->process == p)
		sim_schedule();
}

void sim_process_resume(struct sim_process *p)
{
	struct fibre *f;

	if (!p->paused)
		return;
	p->paused = false;
	list_for_each (f, &sim.fibres, all)
		if (f->process == p && f->state == PARKED)
			sim_run_add(f);
}

/* The run. */

static void main_fibre(void)
{
	fibre_context_entered();
	struct fibre *me = sim.current;

	me->fn(me->arg);
	sim.current = NULL;
	fibre_context_switch(&me->context, &sim.host, true);
	abort(); /* the run is over */
}

static void free_all(void)
{
	struct sim_process *p, *next_process;
	struct fibre *f, *next_fibre;

	list_for_each_safe (f, next_fibre, &sim.fibres, all) {
		thread_forget_held(f->number);
		fibre_context_release(&f->context);
		free(f);
	}
	list_for_each_safe (p, next_process, &sim.processes, all)
		free(p);
	free(sim.runnable.items);
	free(sim.timers.items);
	sim.runnable = sim.timers = (struct fibre_array){0};
	sim.main = NULL;
}

/* Every thread is joined once; the exceptions are detached ones and those that died with their
 * process. */
static void check_joined(void)
{
	const struct fibre *f;

	list_for_each (f, &sim.fibres, all)
		if (f->state == ENDED && !f->detached && !f->process->killed)
			sim_fail("thread #%llu '%s' of '%s' ended and was never joined",
				(unsigned long long)f->number, f->name, f->process->name);
}

void sim_run(void (*main_fn)(void *arg), void *arg, uint64_t seed)
{
	const struct env_ops *outer = env;

	assert(!sim.running);
	memset(&sim, 0, sizeof(sim));
	sim.seed = seed;
	sim.last_number = 1;
	sim.choices = rng_of(seed);
	sim.seeds = rng_of(~seed);
	sim.harness = rng_of(rng_next(&sim.seeds));
	list_init(&sim.fibres);
	list_init(&sim.processes);
	sim.running = true;
	env_use(&env_sim);
	sim.main = sim_process_new("main", 0);
	struct fibre *f = fibre_new(sim.main, "main", main_fibre, main_fn, arg);

	if (!f)
		sim_fail("out of memory for the first fibre");
	fibre_context_host(&sim.host);
	sim.current = f;
	fibre_context_switch(&sim.host, &f->context, false);
	check_joined();
	sim.running = false;
	free_all();
	env_use(outer);
}

uint64_t sim_now_ns(void)
{
	return sim.now;
}

uint64_t sim_steps(void)
{
	return sim.steps;
}

uint64_t sim_trace_hash(void)
{
	return sim.trace;
}

struct rng *sim_rng(void)
{
	return &sim.harness;
}
