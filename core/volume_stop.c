/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Giving up a store that hangs, from a thread that does not own the volume. What volume_cancel
 * touches is taken apart by volume_release after volume_stop_set(s, NULL), or with the lock held.
 */
#include "core/volume_internal.h"

#include "core/base/cleanup.h"

void volume_cancel(struct volume *v)
{
	store_cancel(v->store);
	budget_cancel(v->budget);
	if (v->lease)
		lease_cancel(v->lease);
	if (v->index)
		index_cancel(v->index);
}

void volume_stop_init(struct volume_stop *s)
{
	mutex_init(&s->lock, RANK_CONTROL);
	s->volume = NULL;
}

void volume_stop_done(struct volume_stop *s)
{
	mutex_done(&s->lock);
}

void volume_stop_now(struct volume_stop *s)
{
	MUTEX_GUARD(&s->lock);
	if (s->volume)
		volume_cancel(s->volume);
}

struct lease *volume_stop_lease(struct volume *v)
{
	if (!v->stop)
		return TAKE(v->lease);
	MUTEX_GUARD(&v->stop->lock);
	return TAKE(v->lease);
}

void volume_stop_set(struct volume_stop *s, struct volume *v)
{
	if (!s)
		return;
	MUTEX_GUARD(&s->lock);
	s->volume = v;
}
