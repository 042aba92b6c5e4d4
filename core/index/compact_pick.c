/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policy only: see compact_pick.h. Nothing here reads or writes a table. */
#include "core/index/compact_pick.h"

#include "core/index/index.h"

struct span {
	struct slice first, last;
};

size_t compact_overlap(const struct compact_table *t, size_t n, struct slice first,
	struct slice last, size_t *ret_first)
{
	size_t low = 0, high = n, end;

	while (low < high) { /* the first table that does not end before the range */
		size_t mid = low + (high - low) / 2;

		if (slice_cmp(t[mid].last, first) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low; end < n && slice_cmp(t[end].first, last) <= 0; end++)
		;
	*ret_first = low;
	return end - low;
}

static bool overlap(const struct compact_table *a, const struct compact_table *b)
{
	return slice_cmp(a->first, b->last) <= 0 && slice_cmp(b->first, a->last) <= 0;
}

static void span_add(struct span *s, const struct compact_table *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_cmp(t[i].first, s->first) < 0)
			s->first = t[i].first;
		if (slice_cmp(t[i].last, s->last) > 0)
			s->last = t[i].last;
	}
}

static bool any_blocked(const struct compact_table *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].blocked)
			return true;
	return false;
}

/* Whether anything below level `level` overlaps the span. */
static bool deeper(const struct compact_state *s, unsigned level, const struct span *span)
{
	size_t at;

	for (unsigned l = level + 1; l < MANIFEST_LEVELS; l++)
		if (compact_overlap(s->levels[l], s->n[l], span->first, span->last, &at) > 0)
			return true;
	return false;
}

/* Completes a choice whose run in `from` is set. False: a table of the next level is blocked. */
static bool complete(const struct compact_state *s, struct compact_choice *c)
{
	const struct compact_table *run = s->levels[c->from] + c->from_first;
	struct span span = {.first = run->first, .last = run->last};

	c->to = c->from + 1;
	span_add(&span, run, c->from_n);
	c->to_n =
		compact_overlap(s->levels[c->to], s->n[c->to], span.first, span.last, &c->to_first);
	span_add(&span, s->levels[c->to] + c->to_first, c->to_n);
	c->bottom = !deeper(s, c->to, &span);
	return !any_blocked(s->levels[c->to] + c->to_first, c->to_n);
}

/*
 * Level 0: the oldest tables up to the first that is blocked, because what is newer must stay above
 * what is older. The oldest alone may move when it overlaps nothing.
 */
static bool pick_level0(const struct compact_state *s, struct compact_choice *c, bool *ret_blocked)
{
	const struct compact_table *t = s->levels[0];
	size_t n = s->n[0], run = 0;
	bool alone = true;

	for (size_t i = 0; i + 1 < n; i++)
		if (overlap(&t[i], &t[n - 1]))
			alone = false;
	*c = (struct compact_choice){.from = 0, .from_first = n - 1, .from_n = 1};
	(void)complete(s, c); /* whether the next level is blocked does not matter when nothing of
				 it is meant */
	c->move = alone && c->to_n == 0;
	if (c->move)
		return true;
	while (run < n && !t[n - 1 - run].blocked)
		run++;
	*c = (struct compact_choice){.from = 0, .from_first = n - run, .from_n = run};
	if (run > 0 && complete(s, c))
		return true;
	*ret_blocked = true;
	return false;
}

/* Bytes to rewrite in the next level for each 1024 of this one. */
static uint64_t cost(const struct compact_state *s, const struct compact_choice *c)
{
	const struct compact_table *to = s->levels[c->to] + c->to_first;
	uint64_t bytes = 0, own = s->levels[c->from][c->from_first].size;

	for (size_t i = 0; i < c->to_n; i++)
		bytes += to[i].size;
	return bytes / (own / 1024 + 1);
}

/* One table of a sorted level: the cheapest to merge, of the heavy ones only if so asked. */
static bool pick_sorted(const struct compact_state *s, unsigned level, bool heavy,
	struct compact_choice *ret, bool *ret_blocked)
{
	bool found = false;
	uint64_t best = 0;

	for (size_t i = 0; i < s->n[level]; i++) {
		const struct compact_table *t = &s->levels[level][i];
		const struct span span = {.first = t->first, .last = t->last};
		struct compact_choice c = {.from = level, .from_first = i, .from_n = 1};
		bool free_below, can;

		if (heavy && (!t->heavy || !deeper(s, level, &span)))
			continue;
		free_below = complete(s, &c);
		c.move = c.to_n == 0;
		can = c.move || (free_below && !t->blocked);
		if (!can) {
			*ret_blocked = true;
			continue;
		}
		if (!found || cost(s, &c) < best) {
			found = true;
			best = cost(s, &c);
			*ret = c;
		}
	}
	return found;
}

/* Range deletes of level 0 that hide something below, or in an older table of level 0. */
static bool level0_heavy(const struct compact_state *s)
{
	const struct compact_table *t = s->levels[0];

	for (size_t i = 0; i < s->n[0]; i++) {
		const struct span span = {.first = t[i].first, .last = t[i].last};

		if (!t[i].heavy)
			continue;
		if (deeper(s, 0, &span))
			return true;
		for (size_t k = i + 1; k < s->n[0]; k++)
			if (overlap(&t[i], &t[k]))
				return true;
	}
	return false;
}

static bool pick_heavy(const struct compact_state *s, struct compact_choice *ret, bool *ret_blocked)
{
	if (level0_heavy(s) && pick_level0(s, ret, ret_blocked))
		return true;
	for (unsigned level = 1; level + 1 < MANIFEST_LEVELS; level++)
		if (pick_sorted(s, level, true, ret, ret_blocked))
			return true;
	return false;
}

/* How full a level is, in 1024ths of its target. */
static uint64_t fullness(const struct compact_state *s, unsigned level)
{
	uint64_t bytes = 0, target = s->level1_bytes ? s->level1_bytes : 1;

	if (level == 0)
		return s->n[0] * 1024 / COMPACT_LEVEL0_TABLES;
	for (unsigned l = 1; l < level && target < UINT64_MAX / COMPACT_FACTOR; l++)
		target *= COMPACT_FACTOR;
	for (size_t i = 0; i < s->n[level]; i++)
		bytes += s->levels[level][i].size;
	return bytes / (target / 1024 + 1);
}

bool compact_pick(const struct compact_state *s, struct compact_choice *ret, bool *ret_blocked)
{
	bool tried[MANIFEST_LEVELS] = {false};

	*ret_blocked = false;
	if (s->n[0] >= INDEX_LEVEL0_MAX) {
		if (pick_level0(s, ret, ret_blocked))
			return true;
		tried[0] = true;
	}
	if (pick_heavy(s, ret, ret_blocked))
		return true;
	for (;;) { /* the fullest level that has a merge which is not blocked */
		unsigned best = MANIFEST_LEVELS;

		for (unsigned level = 0; level + 1 < MANIFEST_LEVELS; level++)
			if (!tried[level] && fullness(s, level) >= 1024 &&
				(best == MANIFEST_LEVELS || fullness(s, level) > fullness(s, best)))
				best = level;
		if (best == MANIFEST_LEVELS)
			return false;
		tried[best] = true;
		if (best == 0 ? pick_level0(s, ret, ret_blocked)
			      : pick_sorted(s, best, false, ret, ret_blocked))
			return true;
	}
}
