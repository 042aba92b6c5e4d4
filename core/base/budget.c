/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The byte budget. Who waits is in a queue of its class and is served by whoever makes room, in
 * order, so a large request is not starved by small ones.
 *
 * B1  used[c] <= effective limit of c, except for one oversized request, budget_force, a limit that
 * was lowered, and caches while dirty data takes back what it lent them. B2  while a class has
 * waiters, nobody passes them (budget_force aside).
 */
#include "core/base/budget.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PRESS_AGAIN_NS 100000000ull

struct waiter {
	struct waiter *next;
	struct cond granted_or_press;
	uint64_t bytes;
	bool granted;
	bool press; /* first in the queue, and something changed since it last called the hook */
};

struct class
{
	uint64_t limit, used, peak;
	int refused; /* why nobody waits, 0 = one may */
	struct waiter *first, **last;
};

struct budget {
	/* immutable */
	uint64_t dirty_share;
	/* guarded by lock */
	struct mutex lock;
	struct class classes[BUDGET_CLASSES];
	struct budget_pressure pressure;
	bool cancelled;
};

struct budget *budget_new(uint64_t total)
{
	assert(total >= 1 << 20);
	struct budget *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	mutex_init(&b->lock, RANK_BUDGET);
	b->dirty_share = total / 4;
	b->classes[BUDGET_COMMIT].limit = total / 4;
	b->classes[BUDGET_MEMTABLE].limit = total / 8;
	b->classes[BUDGET_MERGE].limit = total / 8;
	b->classes[BUDGET_REQUEST].limit = total / 16;
	b->classes[BUDGET_DIRTY].limit = b->dirty_share;
	b->classes[BUDGET_CACHE].limit = total / 16 * 3;
	for (int c = 0; c < BUDGET_CLASSES; c++)
		b->classes[c].last = &b->classes[c].first;
	return b;
}

void budget_free(struct budget *b)
{
	if (!b)
		return;
	for (int c = 0; c < BUDGET_CLASSES; c++)
		assert(b->classes[c].used == 0 && !b->classes[c].first);
	mutex_done(&b->lock);
	free(b);
}

static uint64_t limit_locked(const struct budget *b, enum budget_class c)
{
	uint64_t limit = b->classes[c].limit, dirty = b->classes[BUDGET_DIRTY].used;

	if (c == BUDGET_CACHE && dirty < b->dirty_share)
		limit += b->dirty_share - dirty;
	return limit;
}

static bool has_room_locked(const struct budget *b, enum budget_class c, uint64_t n)
{
	uint64_t used = b->classes[c].used, limit = limit_locked(b, c);

	return used == 0 || (n <= limit && used <= limit - n);
}

static void take_locked(struct class *k, uint64_t n)
{
	assert(n <= UINT64_MAX - k->used);
	k->used += n;
	if (k->used > k->peak)
		k->peak = k->used;
}

/* Serves the queue as far as there is room; whoever is first then and still waits may call the hook
 * again. */
static void serve_locked(struct budget *b, enum budget_class c)
{
	struct class *k = &b->classes[c];
	struct waiter *w;

	mutex_assert_held(&b->lock);
	while ((w = k->first) && has_room_locked(b, c, w->bytes)) {
		take_locked(k, w->bytes);
		k->first = w->next;
		if (!k->first)
			k->last = &k->first;
		w->granted = true;
		cond_signal(&w->granted_or_press);
	}
	if (w) {
		w->press = true;
		cond_signal(&w->granted_or_press);
	}
}

static void remove_locked(struct class *k, struct waiter *w)
{
	struct waiter **at = &k->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (!*at)
		k->last = at;
}

static void press(struct budget *b, enum budget_class c)
{
	struct budget_pressure p = b->pressure;

	mutex_unlock(&b->lock);
	if (p.full)
		p.full(p.arg, c);
	mutex_lock(&b->lock);
}

static int wait_locked(struct budget *b, enum budget_class c, uint64_t n)
{
	struct class *k = &b->classes[c];
	struct waiter w = {.bytes = n, .press = k->first == NULL};

	cond_init(&w.granted_or_press);
	*k->last = &w;
	k->last = &w.next;
	while (!w.granted && !b->cancelled && !k->refused) {
		if (w.press) {
			w.press = false;
			press(b, c);
			continue;
		}
		/* What the hook could not see yet (granted, but not in the group) it may see later.
		 */
		bool repeat = b->pressure.full && k->first == &w;
		uint64_t deadline = repeat ? env_now_ns() + PRESS_AGAIN_NS : ENV_NEVER;

		if (!cond_wait_until(&w.granted_or_press, &b->lock, deadline))
			w.press = true;
	}
	if (!w.granted) {
		remove_locked(k, &w);
		serve_locked(b, c); /* the next one may ask for less */
	}
	cond_done(&w.granted_or_press);
	if (w.granted)
		return 0;
	return b->cancelled ? -ECANCELED : k->refused;
}

int budget_get(struct budget *b, enum budget_class c, uint64_t n)
{
	struct class *k = &b->classes[c];
	int r = 0;

	mutex_lock(&b->lock);
	if (!k->first && has_room_locked(b, c, n))
		take_locked(k, n);
	else if (b->cancelled)
		r = -ECANCELED;
	else if (k->refused)
		r = k->refused;
	else
		r = wait_locked(b, c, n);
	mutex_unlock(&b->lock);
	return r;
}

bool budget_try(struct budget *b, enum budget_class c, uint64_t n)
{
	struct class *k = &b->classes[c];

	MUTEX_GUARD(&b->lock);
	if (k->first || !has_room_locked(b, c, n))
		return false;
	take_locked(k, n);
	return true;
}

void budget_force(struct budget *b, enum budget_class c, uint64_t n)
{
	MUTEX_GUARD(&b->lock);
	take_locked(&b->classes[c], n);
}

void budget_put(struct budget *b, enum budget_class c, uint64_t n)
{
	struct class *k = &b->classes[c];

	MUTEX_GUARD(&b->lock);
	assert(n <= k->used);
	k->used -= n;
	serve_locked(b, c);
	if (c == BUDGET_DIRTY)
		serve_locked(b, BUDGET_CACHE); /* it lends what it does not use */
}

uint64_t budget_used(struct budget *b, enum budget_class c)
{
	MUTEX_GUARD(&b->lock);
	return b->classes[c].used;
}

uint64_t budget_limit(struct budget *b, enum budget_class c)
{
	MUTEX_GUARD(&b->lock);
	return limit_locked(b, c);
}

uint64_t budget_peak(struct budget *b, enum budget_class c)
{
	MUTEX_GUARD(&b->lock);
	return b->classes[c].peak;
}

uint64_t budget_excess(struct budget *b, enum budget_class c)
{
	MUTEX_GUARD(&b->lock);
	uint64_t used = b->classes[c].used, limit = limit_locked(b, c);

	return used > limit ? used - limit : 0;
}

void budget_set_limit(struct budget *b, enum budget_class c, uint64_t limit)
{
	MUTEX_GUARD(&b->lock);
	if (c == BUDGET_DIRTY && limit > b->dirty_share)
		limit = b->dirty_share;
	b->classes[c].limit = limit;
	serve_locked(b, c);
}

static void wake_locked(struct class *k)
{
	for (struct waiter *w = k->first; w; w = w->next)
		cond_signal(&w->granted_or_press);
}

void budget_refuse(struct budget *b, enum budget_class c, int code)
{
	MUTEX_GUARD(&b->lock);
	assert(code <= 0);
	b->classes[c].refused = code;
	if (code)
		wake_locked(&b->classes[c]);
}

void budget_cancel(struct budget *b)
{
	MUTEX_GUARD(&b->lock);
	b->cancelled = true;
	for (int c = 0; c < BUDGET_CLASSES; c++)
		wake_locked(&b->classes[c]);
}

void budget_set_pressure(struct budget *b, const struct budget_pressure *p)
{
	MUTEX_GUARD(&b->lock);
	b->pressure = p ? *p : (struct budget_pressure){0};
}
