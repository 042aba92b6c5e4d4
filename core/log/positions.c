/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which segment lies at which position of this epoch. W1: positions are given in order from 0; a
 * group's journal lies above all its segments and above the journal of the group before, because a
 * segment binds its position when it is created, and a group creates none before the journals of
 * all earlier groups have bound theirs (`turn`).
 *
 * S3: a position is never given twice. What failed before it was bound binds nothing.
 */
#include "core/log/log_internal.h"

#include "core/base/planted.h"

#include <assert.h>
#include <stdlib.h>

#define POSITIONS_FIRST 32
#define SEGMENTS_FIRST 4

static struct position *position_locked(struct log *l, uint64_t sequence)
{
	mutex_assert_held(&l->positions_lock);
	return &l->positions[sequence - l->base];
}

/* ---- creating ---- */

static int wait_turn_locked(struct log *l, const struct group *g)
{
	mutex_assert_held(&l->positions_lock);
	while (g->number > l->turn && !log_stopped(l))
		cond_wait(&l->turn_came, &l->positions_lock);
	/* Bound groups take no more segments: their journal would not lie above them. */
	assert(log_stopped(l) || g->number == l->turn);
	return log_stopped(l);
}

int log_turn(struct log *l, struct group *g)
{
	MUTEX_GUARD(&l->positions_lock);

	return wait_turn_locked(l, g);
}

static int grow_positions_locked(struct log *l)
{
	size_t n = (size_t)(l->next_sequence - l->base);

	if (n < l->positions_cap)
		return 0;
	size_t cap = l->positions_cap ? 2 * l->positions_cap : POSITIONS_FIRST;
	struct position *p = realloc(l->positions, cap * sizeof(*p));

	if (!p)
		return -ENOMEM;
	l->positions = p;
	l->positions_cap = cap;
	return 0;
}

static int grow_segments_locked(struct group_private *gp)
{
	if (gp->nsegments < gp->segments_cap)
		return 0;
	size_t cap = gp->segments_cap ? 2 * gp->segments_cap : SEGMENTS_FIRST;
	struct segment **p = realloc(gp->segments, cap * sizeof(*p));

	if (!p)
		return -ENOMEM;
	gp->segments = p;
	gp->segments_cap = cap;
	return 0;
}

/* A new open segment for the group, bound to the next position. */
static int create_locked(struct log *l, struct group_private *gp)
{
	struct segment *s;
	int r;

	mutex_assert_held(&l->positions_lock);
	assert(!gp->open);
	r = grow_positions_locked(l);
	if (r == 0)
		r = grow_segments_locked(gp);
	if (r == 0)
		r = segment_new(l->o.keys, l->o.epoch, l->next_sequence, l->o.budget, &s, NULL);
	if (r < 0)
		return r;
	s->log = l;
	l->positions[l->next_sequence++ - l->base] = (struct position){.segment = s};
	gp->segments[gp->nsegments++] = segment_hold(s);
	gp->open = s;
	return 0;
}

/* The open segment takes nothing more. It is uploaded at once (an *early* segment, W7) or by its
 * last append. */
static void close_open_locked(struct log *l, struct group_private *gp)
{
	struct segment *s = TAKE(gp->open);

	mutex_assert_held(&l->positions_lock);
	if (segment_close(s))
		log_submit(l, s);
}

int log_segment(struct log *l, struct group *g, unsigned n, size_t plain, struct segment **ret,
	uint64_t *ret_ordinal)
{
	struct group_private *gp = g->private;

	MUTEX_GUARD(&l->positions_lock);
	int r = wait_turn_locked(l, g);

	if (r < 0)
		return r;
	if (gp->open) {
		uint64_t estimate = segment_estimate(gp->open);

		r = estimate > 0 && estimate + plain > l->target
			    ? -ENOSPC
			    : segment_reserve(gp->open, n, plain, ret_ordinal);
		if (r == -ENOSPC)
			close_open_locked(l, gp);
	}
	if (!gp->open) {
		r = create_locked(l, gp);
		if (r == 0)
			r = segment_reserve(gp->open, n, plain, ret_ordinal);
	}
	if (r == 0)
		*ret = segment_ref(gp->open);
	return r;
}

void log_pressure(struct log *l)
{
	/* The group whose turn it is: it is closing or open, and nobody else has an open segment.
	 */
	struct group_private *gp = NULL;

	MUTEX_GUARD(&l->lock);
	mutex_lock(&l->positions_lock);
	if (l->open->number == l->turn)
		gp = l->open->private;
	else
		gp = list_last(&l->flight, struct group_private, flight);
	if (gp && gp->group->number != l->turn)
		gp = NULL;
	if (gp && gp->open && !log_stopped(l) && segment_estimate(gp->open) > 0)
		close_open_locked(l, gp);
	mutex_unlock(&l->positions_lock);
}

void log_appended(struct log *l, struct segment *s, size_t bytes, bool ready)
{
	MUTEX_GUARD(&l->positions_lock);

	s->appended += bytes;
	atomic_fetch_add(&l->unsent, bytes);
	cond_broadcast(&l->appended);
	if (ready)
		log_submit(l, s);
}

int log_bind_journal(struct log *l, struct group *g, size_t block, struct segment **ret)
{
	struct group_private *gp = g->private;
	int r = 0;

	MUTEX_GUARD(&l->positions_lock);
	while (gp->open && segment_pending(gp->open))
		cond_wait(&l->appended, &l->positions_lock);
	/* Behind the block: head, and a line for each segment. */
	if (gp->open && !segment_fits_journal(gp->open, block + (gp->nsegments + 4) * 32))
		close_open_locked(l, gp);
	if (!gp->open)
		r = create_locked(l, gp);
	if (r < 0)
		return r;
	struct segment *s = TAKE(gp->open);
	bool ready = segment_close(s);

	assert(ready && l->turn == g->number);
	gp->journal = s->sequence;
	position_locked(l, s->sequence)->journal_of = g->number;
	l->turn = g->number + 1;
	cond_broadcast(&l->turn_came);
	*ret = s;
	return 0;
}

/* ---- known stored ---- */

void log_position_stored(struct log *l, struct segment *s)
{
	uint64_t durable = 0;
	size_t gone = 0;

	mutex_lock(&l->positions_lock);
	struct position *p = position_locked(l, s->sequence);

	assert(p->segment == s && !p->stored);
	p->segment = NULL;
	p->stored = true;
	atomic_fetch_sub(&l->unsent, s->appended);
	if (planted(PLANTED_RULE_W4) || planted(PLANTED_ACK_OUT_OF_ORDER))
		durable = p->journal_of;
	/* W4: a group counts when all positions up to its journal are known stored. */
	while (l->base + gone < l->next_sequence && l->positions[gone].stored) {
		if (l->positions[gone].journal_of > durable)
			durable = l->positions[gone].journal_of;
		gone++;
	}
	l->base += gone;
	if (gone > 0)
		memmove(l->positions, l->positions + gone,
			(size_t)(l->next_sequence - l->base) * sizeof(*p));
	if (durable > atomic_load(&l->durable))
		atomic_store(&l->durable, durable);
	mutex_unlock(&l->positions_lock);
	segment_unref(s);
}

struct segment *log_find_segment(struct log *l, uint64_t epoch, uint64_t sequence)
{
	MUTEX_GUARD(&l->positions_lock);

	if (epoch != l->o.epoch || sequence < l->base || sequence >= l->next_sequence)
		return NULL;
	struct segment *s = position_locked(l, sequence)->segment;

	return s ? segment_ref(s) : NULL;
}

size_t group_segments(struct group *g, struct segment *const **ret)
{
	struct group_private *gp = g->private;

	MUTEX_GUARD(&g->log->positions_lock);
	*ret = gp->segments;
	return gp->nsegments;
}

void log_forget_positions(struct log *l)
{
	mutex_lock(&l->positions_lock);
	for (uint64_t q = l->base; q < l->next_sequence; q++) {
		struct segment *s = TAKE(position_locked(l, q)->segment);

		if (s)
			segment_unref(s);
	}
	mutex_unlock(&l->positions_lock);
}
