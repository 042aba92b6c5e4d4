/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/log/log_internal.h"

#define PAUSE_MAX_MS 1000 /* whoever made space does not want to wait long */

void refusal_init(struct refusal *f)
{
	cond_init(&f->asked);
}

void refusal_done(struct refusal *f)
{
	cond_done(&f->asked);
}

int log_refused(struct log *l)
{
	return atomic_load_explicit(&l->refusal.code, memory_order_relaxed);
}

int log_refusal(struct log *l, struct error *ret)
{
	MUTEX_GUARD(&l->lock);
	int r = log_refused(l);

	if (r < 0)
		*ret = l->refusal.why;
	return r;
}

bool refusal_is(int r)
{
	return r == -ENOSPC || r == -EACCES;
}

static void set_locked(struct log *l, int code)
{
	mutex_assert_held(&l->lock);
	atomic_store(&l->refusal.code, code);
	budget_refuse(l->o.budget, BUDGET_DIRTY, code);
}

void refusal_note(struct log *l, struct segment *s, const struct error *why, int r)
{
	struct refusal *f = &l->refusal;

	MUTEX_GUARD(&l->lock);
	if (!s->refused)
		f->uploads++;
	s->refused = true;
	f->attempts++;
	f->why = *why;
	if (!f->asking)
		f->asking = s;
	set_locked(l, r);
	cond_broadcast(&l->progress);
}

void refusal_forget(struct log *l, struct segment *s)
{
	struct refusal *f = &l->refusal;

	MUTEX_GUARD(&l->lock);
	if (!s->refused)
		return;
	s->refused = false;
	if (f->asking == s) {
		f->asking = NULL;
		cond_broadcast(&f->asked);
	}
	if (--f->uploads == 0)
		set_locked(l, 0);
}

void refusal_pause(struct log *l, const struct segment *s, uint64_t ms)
{
	struct refusal *f = &l->refusal;

	mutex_lock(&l->lock);
	while (f->asking && f->asking != s && !log_stopped(l))
		cond_wait(&f->asked, &l->lock);
	bool asks = f->asking == s;

	mutex_unlock(&l->lock);
	if (asks)
		log_pause(l, ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS);
}

void refusal_wake_locked(struct log *l)
{
	mutex_assert_held(&l->lock);
	cond_broadcast(&l->refusal.asked);
}
