/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is in the open group, and the committer, which closes it: swaps the pointer under the lock,
 * waits until the last operation has left (operations never wait inside), and lets the layer above
 * say what the journal holds.
 *
 * Joining reads the pointer and counts the operation in one critical section, so that the
 * committer, which swaps in the same one, never sees a group with no users that somebody is about
 * to enter.
 */
#include "core/log/log_internal.h"

#include <assert.h>
#include <stdlib.h>

#define OPEN_RETRY_MS 100

struct group *group_new(struct log *l, uint64_t number)
{
	struct group *g = calloc(1, sizeof(*g));
	struct group_private *gp = calloc(1, sizeof(*gp));
	struct mark *mark = calloc(1, sizeof(*mark));

	if (!g || !gp || !mark) {
		free(g);
		free(gp);
		free(mark);
		return NULL;
	}
	g->number = number;
	g->log = l;
	g->private = gp;
	gp->group = g;
	gp->mark = mark;
	list_init(&gp->flight);
	return g;
}

void group_free(struct group *g)
{
	struct group_private *gp = g->private;

	for (size_t i = 0; i < gp->nsegments; i++)
		segment_release(gp->segments[i]);
	free(gp->segments);
	free(gp->mark);
	free(gp);
	free(g);
}

void group_drop(struct group *g)
{
	const struct group_ops *ops = g->log->o.ops;

	ops->dropped(ops->arg, g);
	group_free(g);
}

/* ---- operations ---- */

struct group *group_join(struct log *l)
{
	MUTEX_GUARD(&l->lock);

	atomic_fetch_add(&l->open->users, 1);
	return l->open;
}

void group_leave(struct group *g, bool changed)
{
	struct log *l = g->log;
	struct group_private *gp = g->private;
	uint64_t now = changed ? env_now_ns() : 0;

	MUTEX_GUARD(&l->lock);
	if (changed) {
		gp->last_change_ns = now;
		if (!atomic_exchange(&g->changed, true)) {
			gp->first_change_ns = now;
			cond_signal(&l->work); /* a deadline begins */
		}
	}
	uint64_t users = atomic_fetch_sub(&g->users, 1);

	assert(users > 0);
	if (users == 1 && g != l->open)
		cond_signal(&l->left);
}

/* The open group is to be closed, if there is anything in it. */
static void request_close_locked(struct log *l)
{
	mutex_assert_held(&l->lock);
	if (!atomic_load(&l->open->changed))
		return;
	l->close_request = l->open->number;
	cond_signal(&l->work);
}

void log_close_group(struct log *l)
{
	MUTEX_GUARD(&l->lock);

	request_close_locked(l);
}

/* Whether `number` may still be acknowledged: what is known stored is, even by a writer that was
 * replaced (W5). */
static bool may_be_acked_locked(struct log *l, uint64_t number)
{
	return !log_stopped(l) || number <= atomic_load(&l->durable);
}

int log_wait(struct log *l, uint64_t number, struct error *err)
{
	uint64_t deadline, refusals;
	bool in_time = true;

	if (atomic_load(&l->acked) >= number)
		return 0;
	mutex_lock(&l->lock);
	if (number >= l->open->number) {
		request_close_locked(l);
		number = l->open->number - (atomic_load(&l->open->changed) ? 0 : 1);
	}
	deadline = env_now_ns() + l->o.fsync_timeout_ms * 1000000;
	l->waiting++;
	refusals = l->refusal.attempts;
	while (in_time && atomic_load(&l->acked) < number && may_be_acked_locked(l, number) &&
		(!log_refused(l) || l->refusal.attempts == refusals))
		in_time = cond_wait_until(&l->progress, &l->lock, deadline);
	l->waiting--;
	int refused = log_refused(l);
	struct error why = l->refusal.why;

	mutex_unlock(&l->lock);
	if (atomic_load(&l->acked) >= number)
		return 0;
	if (!log_stopped(l) && refused) /* fsync(2) knows of no access that is denied */
		return error_set(err, refused == -ENOSPC ? -ENOSPC : -EIO,
			"not durable, the store refuses it (nothing is lost, it is tried again): %s",
			error_text(&why, refused));
	switch (log_stopped(l)) {
	case 0:
		return error_set(err, -EIO,
			"not durable after %llu s: the store does not take it (nothing is lost, it is tried again)",
			(unsigned long long)l->o.fsync_timeout_ms / 1000);
	case -ESTALE:
		return error_set(err, -ESTALE, "another writer has taken over");
	default:
		return error_set(err, -ECANCELED, "shutting down");
	}
}

/* ---- committer ---- */

/* When the open group is to be closed: ENV_NEVER while nothing changed. */
static uint64_t close_time_locked(const struct log *l)
{
	const struct group_private *gp = l->open->private;
	uint64_t latest, quiet;

	if (!atomic_load(&l->open->changed))
		return ENV_NEVER;
	if (l->closing || l->close_request >= l->open->number)
		return 0;
	latest = gp->first_change_ns + l->o.flush_interval_ms * 1000000;
	quiet = gp->last_change_ns + l->o.quiet_ms * 1000000;
	return latest < quiet ? latest : quiet;
}

/* Waits until the open group is to be closed: true. False: the committer's end. */
static bool wait_for_work(struct log *l)
{
	MUTEX_GUARD(&l->lock);

	while (!log_stopped(l)) {
		uint64_t when = close_time_locked(l);

		if (l->nflight >= GROUPS_IN_FLIGHT_MAX)
			when = ENV_NEVER; /* an acknowledgement wakes us */
		else if (l->closing && when == ENV_NEVER && l->nflight == 0)
			return false;
		else if (when <= env_now_ns())
			return true;
		(void)cond_wait_until(&l->work, &l->lock, when); /* the loop looks why it woke */
	}
	return false;
}

/* The group after the open one, with its payload; NULL when the log stopped. */
static struct group *open_next(struct log *l)
{
	const struct group_ops *ops = l->o.ops;

	/* Only this thread changes l->open. */
	for (; !log_stopped(l); log_pause(l, OPEN_RETRY_MS)) {
		struct group *g = group_new(l, l->open->number + 1);

		if (!g)
			continue;
		if (ops->open(ops->arg, g) == 0)
			return g;
		group_free(g);
	}
	return NULL;
}

/* Makes `next` the open group; returns the one before, in flight and without users. */
static struct group *swap_open(struct log *l, struct group *next)
{
	MUTEX_GUARD(&l->lock);
	struct group *g = l->open;

	assert(atomic_load(&g->changed));
	l->open = next;
	atomic_store(&l->open_number, next->number);
	atomic_store(&l->closed_group, g->number);
	list_push_back(&l->flight, &g->private->flight);
	l->nflight++;
	while (atomic_load(&g->users) > 0)
		cond_wait(&l->left, &l->lock);
	return g;
}

/* 0, or the log has stopped. */
static int close_one(struct log *l)
{
	const struct group_ops *ops = l->o.ops;
	struct group *next = open_next(l);
	struct buf block = BUF_INIT;

	if (!next)
		return log_stopped(l);
	struct group *g = swap_open(l, next);
	int r = ops->close(ops->arg, g, &block);

	if (r == 0)
		r = log_commit_group(l, g, &block);
	buf_done(&block);
	return r;
}

/* Nothing is uploaded any more and nobody acknowledges: what is closed will not be acknowledged. */
static void drop_flight(struct log *l)
{
	struct group_private *gp;

	mutex_lock(&l->lock);
	while (atomic_load(&l->uploading) > 0 || l->acknowledging)
		cond_wait(&l->work, &l->lock);
	while ((gp = list_first(&l->flight, struct group_private, flight)) != NULL) {
		list_remove(&gp->flight);
		l->nflight--;
		mutex_unlock(&l->lock);
		group_drop(gp->group);
		mutex_lock(&l->lock);
	}
	cond_broadcast(&l->progress);
	mutex_unlock(&l->lock);
	log_forget_positions(l);
}

void committer_main(void *arg)
{
	struct log *l = arg;

	while (wait_for_work(l)) {
		int r = close_one(l);

		if (r < 0)
			(void)log_stop(
				l, r == -ESTALE ? r : -ECANCELED); /* or it had stopped before */
	}
	if (log_stopped(l))
		drop_flight(l);
}
