/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/log/log_internal.h"

#include "core/base/planted.h"

#include <assert.h>
#include <stdlib.h>

#define TARGET_MIN (64u << 10)

/* ---- stopping ---- */

int log_stopped(struct log *l)
{
	return atomic_load(&l->stopped);
}

bool log_stop(struct log *l, int code)
{
	int expected = 0;

	if (!atomic_compare_exchange_strong(&l->stopped, &expected, code))
		return false;
	mutex_lock(&l->lock);
	cond_broadcast(&l->work);
	cond_broadcast(&l->progress);
	cond_broadcast(&l->stop);
	refusal_wake_locked(l);
	mutex_unlock(&l->lock);
	mutex_lock(&l->positions_lock);
	cond_broadcast(&l->turn_came);
	mutex_unlock(&l->positions_lock);
	return true;
}

void log_replaced(struct log *l, const char *why)
{
	if (!log_stop(l, -ESTALE))
		return;
	diag(DIAG_WARNING, "log", "epoch=%llu another writer has taken over: %s",
		(unsigned long long)l->o.epoch, why);
	if (l->o.fenced)
		l->o.fenced(l->o.fenced_arg);
}

void log_fence(struct log *l)
{
	(void)log_stop(l, -ESTALE); /* whether this call or an earlier one did it */
}

bool log_fenced(struct log *l)
{
	return log_stopped(l) == -ESTALE;
}

void log_pause(struct log *l, uint64_t ms)
{
	uint64_t until = env_now_ns() + ms * 1000000;

	MUTEX_GUARD(&l->lock);
	while (!log_stopped(l) && cond_wait_until(&l->stop, &l->lock, until))
		;
}

/* ---- opening and closing ---- */

static void log_free(struct log *l)
{
	while (l->marks) {
		struct mark *m = l->marks;

		l->marks = m->next;
		free(m);
	}
	free(l->positions);
	cond_done(&l->turn_came);
	cond_done(&l->appended);
	mutex_done(&l->positions_lock);
	cond_done(&l->work);
	cond_done(&l->left);
	cond_done(&l->progress);
	cond_done(&l->stop);
	refusal_done(&l->refusal);
	mutex_done(&l->lock);
	free(l);
}

static struct log *log_new(const struct log_options *o)
{
	struct log *l = calloc(1, sizeof(*l));
	struct mark *first = calloc(1, sizeof(*first));

	if (!l || !first) {
		free(l);
		free(first);
		return NULL;
	}
	l->o = *o;
	/* A quarter of the memory, so that some segments upload while the next one fills. */
	l->target = budget_limit(o->budget, BUDGET_COMMIT) / 4;
	if (l->target > o->segment_bytes)
		l->target = o->segment_bytes;
	if (l->target < TARGET_MIN)
		l->target = TARGET_MIN;
	mutex_init(&l->lock, RANK_GROUP);
	cond_init(&l->work);
	cond_init(&l->left);
	cond_init(&l->progress);
	cond_init(&l->stop);
	refusal_init(&l->refusal);
	mutex_init(&l->positions_lock, RANK_SEGMENT);
	cond_init(&l->turn_came);
	cond_init(&l->appended);
	list_init(&l->flight);
	l->previous = o->last_group;
	/* Up to the take-over everything lies in older epochs: replay would start at our first
	 * position. */
	first->group = o->next_group - 1;
	l->marks = l->last_mark = first;
	l->turn = o->next_group;
	atomic_init(&l->durable, o->next_group - 1);
	atomic_init(&l->acked, o->next_group - 1);
	atomic_init(&l->closed_group, o->next_group - 1);
	atomic_init(&l->open_number, o->next_group);
	return l;
}

int log_open(const struct log_options *o, struct log **ret, struct error *err)
{
	struct log *l = log_new(o);
	int r = -ENOMEM;

	assert(o->epoch >= 1 && o->next_group > o->last_group && o->uploads >= 1);
	if (!l)
		return error_set(err, r, "no memory for the log");
	l->open = group_new(l, o->next_group);
	if (!l->open)
		goto fail;
	r = o->ops->open(o->ops->arg, l->open);
	if (r < 0)
		goto fail_group;
	l->pool = workers_new("upload", o->uploads);
	if (!l->pool) {
		r = -ENOMEM;
		goto fail_payload;
	}
	r = thread_start(&l->committer, "committer", committer_main, l);
	if (r < 0)
		goto fail_pool;
	*ret = l;
	return 0;

fail_pool:
	workers_free(l->pool);
fail_payload:
	o->ops->dropped(o->ops->arg, l->open);
fail_group:
	group_free(l->open);
fail:
	log_free(l);
	return error_set(err, r, "the log cannot be started");
}

int log_close(struct log *l, bool abandon, struct error *err)
{
	if (!l)
		return 0;
	if (abandon)
		(void)log_stop(l, -ECANCELED); /* or it had stopped before */
	mutex_lock(&l->lock);
	l->closing = true;
	cond_broadcast(&l->work);
	mutex_unlock(&l->lock);
	thread_join(&l->committer);
	workers_free(l->pool);
	assert(atomic_load(&l->open->users) == 0 && l->nflight == 0);
	int r = log_stopped(l);
	bool lost = atomic_load(&l->acked) < atomic_load(&l->closed_group) ||
		    atomic_load(&l->open->changed);

	group_drop(l->open);
	log_forget_positions(l);
	log_free(l);
	if (r == -ESTALE)
		return error_set(err, r, "another writer has taken over");
	if (r < 0 && !abandon)
		return error_set(err, r, "the log was stopped before everything was stored");
	return lost ? error_set(err, -ECANCELED, "changes that were not durable were given up") : 0;
}

/* ---- numbers ---- */

uint64_t log_open_group(struct log *l)
{
	return atomic_load(&l->open_number);
}

uint64_t log_acked(struct log *l)
{
	return atomic_load(&l->acked);
}

uint64_t log_closed(struct log *l)
{
	return atomic_load(&l->closed_group);
}

uint64_t log_unsent(struct log *l)
{
	return atomic_load(&l->unsent);
}

uint64_t log_unsent_bound(struct log *l)
{
	MUTEX_GUARD(&l->lock);
	uint64_t quarter = l->bandwidth / 4;

	return quarter > UNSENT_BOUND_MIN ? quarter : UNSENT_BOUND_MIN;
}

/*
 * W7. A segment binds its position after the journals of all earlier groups have bound theirs and
 * before its own group's: so all positions above the journal of `group`, and none below, hold
 * segments of later groups or nothing yet.
 */
uint64_t log_replay_start(struct log *l, uint64_t group)
{
	if (planted(PLANTED_RULE_W7)) {
		MUTEX_GUARD(&l->positions_lock);
		return l->next_sequence;
	}
	MUTEX_GUARD(&l->lock);
	assert(group >= l->marks->group && group <= l->last_mark->group);
	while (l->marks->next && l->marks->next->group <= group) {
		struct mark *m = l->marks;

		l->marks = m->next;
		free(m);
	}
	return l->marks->start;
}

void log_stats(struct log *l, struct log_stats *ret)
{
	struct log_stats st = {
		.open_group = log_open_group(l),
		.closed_group = log_closed(l),
		.acked_group = atomic_load(&l->acked),
		.unsent_bytes = log_unsent(l),
		.in_flight = atomic_load(&l->uploading),
	};

	mutex_lock(&l->lock);
	st.segments = l->segments;
	st.bytes_put = l->bytes_put;
	st.commits = l->commits;
	st.fsyncs_waiting = l->waiting;
	st.bandwidth = l->bandwidth;
	st.last_ack_ns = l->last_ack_ns;
	mutex_unlock(&l->lock);
	mutex_lock(&l->positions_lock);
	st.next_sequence = l->next_sequence;
	mutex_unlock(&l->positions_lock);
	*ret = st;
}
