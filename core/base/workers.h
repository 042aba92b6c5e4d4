/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_WORKERS_H
#define CORE_BASE_WORKERS_H
/*
 * A named, bounded pool of threads that run jobs in the order in which they were queued. Threads
 * start on demand and, above one, end after being idle for some seconds. Thread-safe.
 */
#include "core/base/thread.h"

struct workers;

/* A job is owned by its submitter and must stay until `run` has been called; it may free itself
 * there. */
struct work {
	void (*run)(struct work *w);
	struct work *next; /* owned by the pool while queued */
};

#define WORKERS_MAX_THREADS 64

/* `max_threads` 1..64. Starts the first thread, so that a job never waits for a thread that cannot
 * be had. NULL when memory or threads are short. */
struct workers *workers_new(const char *name, unsigned max_threads);
/* Runs what is queued, then ends the threads. NULL is fine. */
void workers_free(struct workers *w);
/* Never waits. The queue is unbounded here: submitters bound themselves by the budget. */
void workers_submit(struct workers *w, struct work *job);
/* Waits until everything submitted before has run. Not from inside a job. */
void workers_drain(struct workers *w);
unsigned workers_busy(struct workers *w);

/* A counter of jobs under way: add before submitting, finish at the end of the job, wait for zero.
 */
struct work_wait {
	struct mutex lock;
	struct cond done;
	unsigned pending;
	int result; /* the first negative result */
};
void work_wait_init(struct work_wait *w);
void work_wait_add(struct work_wait *w, unsigned n);
void work_wait_finish(struct work_wait *w, int result);
int work_wait_all(struct work_wait *w); /* the first negative result, or 0 */
void work_wait_done(struct work_wait *w);

#endif
