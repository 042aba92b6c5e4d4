/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The scheduler: who can run, who waits until when, and the report when nobody can. */
#include "tests/sim/sim_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim sim;

static uint64_t step_limit = SIM_STEPS_DEFAULT;

/* Reports. */

static void print_holder(const struct fibre *holder)
{
	if (holder)
		fprintf(stderr, ", held by #%llu '%s' of '%s'%s",
			(unsigned long long)holder->number, holder->name, holder->process->name,
			holder->state == DEAD ? " (killed)" : "");
}

static void print_wait(const struct fibre *f)
{
	const struct mutex *m = f->wait_object;
	const struct rwlock *l = f->wait_object;
	const struct fibre *other = f->wait_object;
	const struct sim_process *p = f->wait_object;

	switch (f->wait_kind) {
	case WAIT_NONE:
		fprintf(stderr, "nothing");
		break;
	case WAIT_MUTEX:
		fprintf(stderr, "mutex %s %p", lock_rank_name(m->rank), f->wait_object);
		print_holder(mutex_of(m)->holder);
		break;
	case WAIT_RWLOCK:
		fprintf(stderr, "rwlock %s %p (%zu readers)", lock_rank_name(l->rank),
			f->wait_object, rwlock_of(l)->readers);
		print_holder(rwlock_of(l)->writer);
		break;
	case WAIT_COND:
		fprintf(stderr, "condition %p", f->wait_object);
		break;
	case WAIT_SLEEP:
		fprintf(stderr, "time to pass");
		break;
	case WAIT_JOIN:
		fprintf(stderr, "the end of #%llu '%s'", (unsigned long long)other->number,
			other->name);
		break;
	case WAIT_PROCESS:
		fprintf(stderr, "the end of process '%s'", p->name);
		break;
	}
}

static void print_fibre(const struct fibre *f)
{
	if (f->state == ENDED || f->state == DEAD)
		return;
	fprintf(stderr, "  #%llu '%s' of '%s'%s: ", (unsigned long long)f->number, f->name,
		f->process->name, f->process->paused ? " (paused)" : "");
	if (f == sim.current && f->state == RUNNABLE)
		fprintf(stderr, "running");
	else if (f->state != WAITING)
		fprintf(stderr, "can run");
	else {
		fprintf(stderr, "waits for ");
		print_wait(f);
		if (f->timer_index != NOT_QUEUED)
			fprintf(stderr, " until %.6f s", (double)f->deadline / 1e9);
	}
	fprintf(stderr, "\n");
}

void sim_fail(const char *format, ...)
{
	const struct fibre *f;
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "simulation failed: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nseed %llu, time %.6f s, step %llu\n", (unsigned long long)sim.seed,
		(double)sim.now / 1e9, (unsigned long long)sim.steps);
	if (sim.running)
		list_for_each (f, &sim.fibres, all)
			print_fibre(f);
	abort();
}

/* Runnable fibres and timers. */

static void array_push(struct fibre_array *a, struct fibre *f)
{
	if (a->count == a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 64;
		struct fibre **items = realloc(a->items, cap * sizeof(*items));

		if (!items)
			sim_fail("out of memory for %zu fibres", cap);
		a->items = items;
		a->cap = cap;
	}
	a->items[a->count++] = f;
}

void sim_run_add(struct fibre *f)
{
	f->state = RUNNABLE;
	f->run_index = sim.runnable.count;
	array_push(&sim.runnable, f);
}

void sim_run_remove(struct fibre *f)
{
	struct fibre *last = sim.runnable.items[--sim.runnable.count];

	sim.runnable.items[f->run_index] = last;
	last->run_index = f->run_index;
	f->run_index = NOT_QUEUED;
}

static bool timer_before(const struct fibre *a, const struct fibre *b)
{
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->number < b->number;
}

static void timer_set(size_t i, struct fibre *f)
{
	sim.timers.items[i] = f;
	f->timer_index = i;
}

static void timer_up(size_t i, struct fibre *f)
{
	for (; i && timer_before(f, sim.timers.items[(i - 1) / 2]); i = (i - 1) / 2)
		timer_set(i, sim.timers.items[(i - 1) / 2]);
	timer_set(i, f);
}

static void timer_down(size_t i, struct fibre *f)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < sim.timers.count &&
			timer_before(sim.timers.items[child + 1], sim.timers.items[child]))
			child++;
		if (child >= sim.timers.count || !timer_before(sim.timers.items[child], f))
			break;
		timer_set(i, sim.timers.items[child]);
		i = child;
	}
	timer_set(i, f);
}

static void timer_add(struct fibre *f, uint64_t deadline)
{
	f->deadline = deadline;
	array_push(&sim.timers, f);
	timer_up(sim.timers.count - 1, f);
}

void sim_timer_remove(struct fibre *f)
{
	size_t i = f->timer_index;

	if (i == NOT_QUEUED)
		return;
	f->timer_index = NOT_QUEUED;
	struct fibre *last = sim.timers.items[--sim.timers.count];

	if (last == f)
		return;
	if (i && timer_before(last, sim.timers.items[(i - 1) / 2]))
		timer_up(i, last);
	else
		timer_down(i, last);
}

void sim_wake(struct fibre *f, bool timed_out)
{
	assert(f->state == WAITING);
	list_remove(&f->wait);
	sim_timer_remove(f);
	f->timed_out = timed_out;
	f->wait_kind = WAIT_NONE;
	if (f->process->paused)
		f->state = PARKED;
	else
		sim_run_add(f);
}

void sim_wake_all(struct list *waiters)
{
	struct fibre *f, *tmp;

	list_for_each_safe (f, tmp, waiters, wait)
		sim_wake(f, false);
}

static void expire_timers(void)
{
	while (sim.timers.count && sim.timers.items[0]->deadline <= sim.now)
		sim_wake(sim.timers.items[0], true);
}

/* The scheduler. */

static void release_leaving(void)
{
	if (sim.leaving)
		fibre_context_release(&sim.leaving->context);
	if (sim.leaving && sim.leaving->state == ENDED && sim.leaving->detached) {
		list_remove(&sim.leaving->all);
		free(sim.leaving);
	}
	sim.leaving = NULL;
}

static struct fibre *pick(void)
{
	if (++sim.steps > step_limit)
		sim_fail("livelock: %llu steps without an end", (unsigned long long)step_limit);
	sim.now += SIM_STEP_NS;
	expire_timers();
	while (!sim.runnable.count) {
		if (!sim.timers.count)
			sim_fail("deadlock: nobody can run and there is no deadline");
		sim.now = sim.timers.items[0]->deadline;
		expire_timers();
	}
	struct fibre *next = sim.runnable.items[rng_below(&sim.choices, sim.runnable.count)];

	sim.trace = (sim.trace ^ next->number) * 0x100000001b3ull;
	sim.trace ^= sim.trace >> 29;
	return next;
}

void sim_schedule(void)
{
	struct fibre *me = sim.current, *next = pick();

	if (next == me)
		return;
	sim.current = next;
	fibre_context_switch(&me->context, &next->context, me->state == ENDED || me->state == DEAD);
	release_leaving();
}

void sim_leave(enum fibre_state state)
{
	struct fibre *me = sim.current;

	me->state = state;
	sim.leaving = me;
	sim_schedule();
	abort(); /* nobody draws it any more */
}

bool sim_block(struct list *queue, enum wait_kind kind, const void *object, uint64_t deadline)
{
	struct fibre *me = sim.current;

	if (!me) {
		fprintf(stderr, "simulation: waiting outside of sim_run\n");
		abort();
	}
	sim_run_remove(me);
	me->state = WAITING;
	me->wait_kind = kind;
	me->wait_object = object;
	if (queue)
		list_push_back(queue, &me->wait);
	if (deadline != ENV_NEVER)
		timer_add(me, deadline);
	sim_schedule();
	return !me->timed_out;
}

void sim_yield(void)
{
	if (sim.current)
		sim_schedule();
}

static void fibre_end(struct fibre *me)
{
	if (me->locks)
		sim_fail("fibre #%llu '%s' ended with %u locks held",
			(unsigned long long)me->number, me->name, me->locks);
	sim_run_remove(me);
	sim_wake_all(&me->joiners);
	if (--me->process->live == 0)
		sim_wake_all(&me->process->waiters);
	sim_leave(ENDED);
}

void fibre_main(void)
{
	fibre_context_entered();
	release_leaving();
	struct fibre *me = sim.current;

	me->fn(me->arg);
	fibre_end(me);
}

struct fibre *fibre_new(struct sim_process *p, const char *name, void (*entry)(void),
	void (*fn)(void *arg), void *arg)
{
	struct fibre *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	if (fibre_context_make(&f->context, entry) < 0) {
		free(f);
		return NULL;
	}
	f->number = ++sim.last_number;
	f->process = p;
	strncpy(f->name, name, sizeof(f->name) - 1);
	f->fn = fn;
	f->arg = arg;
	f->timer_index = NOT_QUEUED;
	list_init(&f->wait);
	list_init(&f->joiners);
	list_push_back(&sim.fibres, &f->all);
	p->live++;
	if (p->paused)
		f->state = PARKED;
	else
		sim_run_add(f);
	return f;
}

void sim_set_step_limit(uint64_t steps)
{
	step_limit = steps;
}
