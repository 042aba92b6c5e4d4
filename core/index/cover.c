/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/cover.h"

#include <stdlib.h>

static struct slice end_of(const struct cover_range *r)
{
	return SLICE(r->end, r->end_len);
}

/* Room for one element more. */
static int make_room(struct cover *c)
{
	if (c->head == c->n)
		c->head = c->n = 0;
	if (c->n < c->cap)
		return 0;
	if (c->head >= c->cap / 2 && c->head > 0) {
		memmove(c->ranges, c->ranges + c->head, (c->n - c->head) * sizeof(*c->ranges));
		c->n -= c->head;
		c->head = 0;
		return 0;
	}
	size_t cap = c->cap ? c->cap * 2 : 8;
	struct cover_range *r = reallocarray(c->ranges, cap, sizeof(*r));

	if (!r)
		return -ENOMEM;
	c->ranges = r;
	c->cap = cap;
	return 0;
}

int cover_add(struct cover *c, struct slice end, uint64_t group)
{
	size_t at, from;

	if (make_room(c) < 0)
		return -ENOMEM;
	for (at = c->n; at > c->head && slice_cmp(end_of(&c->ranges[at - 1]), end) >= 0; at--)
		;
	if (at < c->n && c->ranges[at].group >= group)
		return 0;
	uint8_t *copy = malloc(end.len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, end.data, end.len);
	/* What ends at the same place is older, and so may be what ends before. */
	size_t to = at;

	while (to < c->n && slice_cmp(end_of(&c->ranges[to]), end) == 0)
		to++;
	for (from = at; from > c->head && c->ranges[from - 1].group <= group; from--)
		;
	for (size_t i = from; i < to; i++)
		free(c->ranges[i].end);
	memmove(&c->ranges[from + 1], &c->ranges[to], (c->n - to) * sizeof(*c->ranges));
	c->n = c->n - to + from + 1;
	c->ranges[from] = (struct cover_range){copy, end.len, group};
	return 0;
}

void cover_advance(struct cover *c, struct slice key)
{
	while (c->head < c->n && slice_cmp(end_of(&c->ranges[c->head]), key) <= 0)
		free(c->ranges[c->head++].end);
}

void cover_done(struct cover *c)
{
	for (size_t i = c->head; i < c->n; i++)
		free(c->ranges[i].end);
	free(c->ranges);
	*c = (struct cover){0};
}

size_t stripe_of(uint64_t group, const uint64_t *pins, size_t npins)
{
	size_t low = 0, high = npins;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (pins[mid] < group)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}
