/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_EVENTS_H
#define CORE_VFS_EVENTS_H
/*
 * Events on their way to a front end: a queue, and the one thread that delivers them, in order and
 * with no lock held. Whoever posts allocated the entry before, so posting cannot fail and waits for
 * nothing; it may be done under any lock of the vfs.
 */
#include "core/base/list.h"
#include "core/base/thread.h"
#include "core/vfs/vfs.h"

struct event_entry {
	struct list queued;
	struct vfs_event event; /* `name` must stay valid: part of the same allocation, or empty */
};

struct events {
	struct mutex lock; /* RANK_EVENTS */
	struct cond posted;
	/* guarded by lock */
	struct list queue;
	bool listening, ending;
	/* immutable while the thread runs */
	void (*deliver)(void *arg, const struct vfs_event *e);
	void *arg;
	struct thread thread;
};

void events_init(struct events *e);
void events_done(struct events *e);
/* Starts delivering. 0, -EBUSY when somebody listens already, -EAGAIN, -ENOMEM. */
int events_start(
	struct events *e, void (*deliver)(void *arg, const struct vfs_event *e), void *arg);
/* Delivers what was posted, and nothing after it returned. Without a listener: nothing. */
void events_stop(struct events *e);
bool events_listening(struct events *e);
/* Takes the entry, to be freed by free(). Without a listener it goes nowhere. */
void events_post(struct events *e, struct event_entry *entry);

#endif
