/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_IDLE_H
#define FUSE_IDLE_H
/*
 * A mount that nobody uses gives memory back: after IDLE_SECONDS without a request the caches
 * shrink to what a first look around needs, and the allocator returns free pages. One thread that
 * wakes up every few seconds.
 */
#include "core/base/thread.h"

struct loop;
struct volume;

struct idle {
	struct loop *loop;     /* borrowed */
	struct volume *volume; /* borrowed */
	struct mutex lock;     /* RANK_PROGRAM */
	struct cond wake;
	bool stop; /* guarded by lock */
	struct thread thread;
};

/* 0, -EAGAIN or -ENOMEM. */
int idle_start(struct idle *i, struct loop *loop, struct volume *volume);
/* Waits for the thread, which may be waiting for the store. One that never started is fine. */
void idle_stop(struct idle *i);

#endif
