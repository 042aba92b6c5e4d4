/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pool of threads over one queue. A slot is a thread: FREE (none), LIVE, or ENDED (it left and
 * waits to be joined, by the next submit that wants a thread or by workers_free).
 *
 * P1  there is always at least one LIVE thread until workers_free, so a queued job always runs.
 * P2  jobs are numbered in the order of submission; `taken` of them have left the queue.
 */
#include "core/base/workers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_NS (5 * 1000000000ull)
#define NO_JOB UINT64_MAX

enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_ENDED };

struct slot {
	struct workers *pool;
	struct thread thread;
	enum slot_state state;
	uint64_t job; /* number of the job that runs here, or NO_JOB */
};

struct workers {
	/* immutable */
	char name[12];
	unsigned max_threads;
	/* guarded by lock */
	struct mutex lock;
	struct cond queued;
	struct cond finished; /* a job ended */
	struct work *first, **last;
	uint64_t submitted, taken;
	unsigned live, idle, busy;
	bool closing;
	struct slot slots[];
};

static void run_one_locked(struct workers *w, struct slot *s)
{
	struct work *job = w->first;

	w->first = job->next;
	if (!w->first)
		w->last = &w->first;
	job->next = NULL;
	s->job = w->taken++;
	w->busy++;
	mutex_unlock(&w->lock);
	job->run(job);
	mutex_lock(&w->lock);
	w->busy--;
	s->job = NO_JOB;
	cond_broadcast(&w->finished);
}

/* Waits for a job; false when the thread should end. */
static bool wait_for_job_locked(struct workers *w)
{
	uint64_t deadline = env_now_ns() + IDLE_NS;
	bool in_time = true;

	w->idle++;
	while (!w->first && !w->closing && (in_time || w->live == 1))
		in_time = cond_wait_until(&w->queued, &w->lock, w->live > 1 ? deadline : ENV_NEVER);
	w->idle--;
	return w->first != NULL;
}

static void worker_main(void *arg)
{
	struct slot *s = arg;
	struct workers *w = s->pool;

	mutex_lock(&w->lock);
	while (w->first || wait_for_job_locked(w))
		run_one_locked(w, s);
	s->state = SLOT_ENDED;
	w->live--;
	mutex_unlock(&w->lock);
}

/* Starts one more thread if there is a slot. Whoever ended does not take the lock again, so joining
 * it here is short. */
static int start_thread_locked(struct workers *w)
{
	struct slot *s = w->slots;

	while (s->state == SLOT_LIVE)
		s++;
	if (s->state == SLOT_ENDED)
		thread_join(&s->thread);
	s->state = SLOT_FREE;
	char name[sizeof(s->thread.name)];

	snprintf(name, sizeof(name), "%s/%u", w->name, (unsigned)(s - w->slots));
	int r = thread_start(&s->thread, name, worker_main, s);

	if (r < 0)
		return r;
	s->state = SLOT_LIVE;
	w->live++;
	return 0;
}

struct workers *workers_new(const char *name, unsigned max_threads)
{
	assert(max_threads >= 1 && max_threads <= WORKERS_MAX_THREADS);
	struct workers *w = calloc(1, sizeof(*w) + max_threads * sizeof(w->slots[0]));

	if (!w)
		return NULL;
	strncpy(w->name, name, sizeof(w->name) - 1);
	w->max_threads = max_threads;
	w->last = &w->first;
	mutex_init(&w->lock, RANK_WORKERS);
	cond_init(&w->queued);
	cond_init(&w->finished);
	for (unsigned i = 0; i < max_threads; i++) {
		w->slots[i].pool = w;
		w->slots[i].job = NO_JOB;
	}
	mutex_lock(&w->lock);
	int r = start_thread_locked(w);

	mutex_unlock(&w->lock);
	if (r < 0) {
		workers_free(w);
		return NULL;
	}
	return w;
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	mutex_lock(&w->lock);
	/* A job may submit more, so threads must not see `closing` before all is done. */
	while (w->live && (w->first || w->busy))
		cond_wait(&w->finished, &w->lock);
	w->closing = true;
	cond_broadcast(&w->queued);
	mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->max_threads; i++)
		thread_join(&w->slots[i].thread);
	cond_done(&w->finished);
	cond_done(&w->queued);
	mutex_done(&w->lock);
	free(w);
}

void workers_submit(struct workers *w, struct work *job)
{
	mutex_lock(&w->lock);
	assert(!w->closing);
	job->next = NULL;
	*w->last = job;
	w->last = &job->next;
	w->submitted++;
	/* Too few idle threads for what is queued. When none can be had, those that live get to it
	 * (P1). */
	if (w->submitted - w->taken > w->idle && w->live < w->max_threads)
		(void)start_thread_locked(w);
	cond_signal(&w->queued);
	mutex_unlock(&w->lock);
}

static bool all_ran_locked(const struct workers *w, uint64_t target)
{
	if (w->taken < target)
		return false;
	for (unsigned i = 0; i < w->max_threads; i++)
		if (w->slots[i].job < target)
			return false;
	return true;
}

void workers_drain(struct workers *w)
{
	mutex_lock(&w->lock);
	uint64_t target = w->submitted;

	while (!all_ran_locked(w, target))
		cond_wait(&w->finished, &w->lock);
	mutex_unlock(&w->lock);
}

unsigned workers_busy(struct workers *w)
{
	MUTEX_GUARD(&w->lock);
	return w->busy;
}

void work_wait_init(struct work_wait *w)
{
	mutex_init(&w->lock, RANK_WORKERS);
	cond_init(&w->done);
	w->pending = 0;
	w->result = 0;
}

void work_wait_add(struct work_wait *w, unsigned n)
{
	MUTEX_GUARD(&w->lock);
	w->pending += n;
}

void work_wait_finish(struct work_wait *w, int result)
{
	MUTEX_GUARD(&w->lock);
	assert(w->pending > 0);
	if (result < 0 && w->result == 0)
		w->result = result;
	if (--w->pending == 0)
		cond_broadcast(&w->done);
}

int work_wait_all(struct work_wait *w)
{
	MUTEX_GUARD(&w->lock);
	while (w->pending)
		cond_wait(&w->done, &w->lock);
	return w->result;
}

void work_wait_done(struct work_wait *w)
{
	cond_done(&w->done);
	mutex_done(&w->lock);
}
