/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/vfs/events.h"

#include <errno.h>
#include <stdlib.h>

void events_init(struct events *e)
{
	*e = (struct events){0};
	mutex_init(&e->lock, RANK_EVENTS);
	cond_init(&e->posted);
	list_init(&e->queue);
}

void events_done(struct events *e)
{
	events_stop(e);
	cond_done(&e->posted);
	mutex_done(&e->lock);
}

static void deliver_all(void *arg)
{
	struct events *e = arg;
	struct event_entry *entry;

	mutex_lock(&e->lock);
	for (;;) {
		entry = list_first(&e->queue, struct event_entry, queued);
		if (entry) {
			list_remove(&entry->queued);
			mutex_unlock(&e->lock);
			e->deliver(e->arg, &entry->event);
			free(entry);
			mutex_lock(&e->lock);
		} else if (e->ending) {
			break;
		} else {
			cond_wait(&e->posted, &e->lock);
		}
	}
	mutex_unlock(&e->lock);
}

int events_start(struct events *e, void (*deliver)(void *arg, const struct vfs_event *e), void *arg)
{
	int r;

	MUTEX_GUARD(&e->lock);
	if (e->listening)
		return -EBUSY;
	e->deliver = deliver;
	e->arg = arg;
	e->ending = false;
	r = thread_start(&e->thread, "vfs-events", deliver_all, e);
	e->listening = r == 0;
	return r;
}

void events_stop(struct events *e)
{
	mutex_lock(&e->lock);
	e->listening = false;
	e->ending = true;
	cond_signal(&e->posted);
	mutex_unlock(&e->lock);
	thread_join(&e->thread); /* nothing when it never started */
}

bool events_listening(struct events *e)
{
	MUTEX_GUARD(&e->lock);
	return e->listening;
}

void events_post(struct events *e, struct event_entry *entry)
{
	bool taken;

	mutex_lock(&e->lock);
	taken = e->listening;
	if (taken) {
		list_init(&entry->queued);
		list_push_back(&e->queue, &entry->queued);
		cond_signal(&e->posted);
	}
	mutex_unlock(&e->lock);
	if (!taken)
		free(entry);
}
