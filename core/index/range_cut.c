/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/range_cut.h"

#include "core/index/cover.h"
#include "core/index/table_format.h"

#include <stdlib.h>

struct cut {
	const uint64_t *pins;
	size_t npins;
	struct cover *covers; /* one for each run of groups that the same views see; newest last */
	struct buf out;	      /* fragments so far, but the pending one */
	uint64_t n;
	/* the fragment that may still grow; ngroups 0 = none */
	struct buf first, end;
	uint64_t *pending, *groups; /* npins + 1 each */
	size_t npending;
};

static void cut_done(struct cut *c)
{
	for (size_t i = 0; c->covers && i <= c->npins; i++)
		cover_done(&c->covers[i]);
	free(c->covers);
	free(c->pending);
	free(c->groups);
	buf_done(&c->first);
	buf_done(&c->end);
	buf_done(&c->out);
}

static int cut_init(struct cut *c, const uint64_t *pins, size_t npins)
{
	c->pins = pins;
	c->npins = npins;
	c->covers = calloc(npins + 1, sizeof(*c->covers));
	c->pending = calloc(npins + 1, sizeof(*c->pending));
	c->groups = calloc(npins + 1, sizeof(*c->groups));
	return c->covers && c->pending && c->groups ? 0 : -ENOMEM;
}

/* The groups in force, descending. */
static size_t groups_in_force(const struct cut *c)
{
	size_t n = 0;

	for (size_t i = c->npins + 1; i-- > 0;)
		if (cover_group(&c->covers[i]))
			c->groups[n++] = cover_group(&c->covers[i]);
	return n;
}

static int write_pending(struct cut *c)
{
	struct table_fragment f = {
		buf_slice(&c->first), buf_slice(&c->end), c->pending, c->npending};

	if (c->npending == 0)
		return 0;
	c->npending = 0;
	c->n++;
	return table_fragment_append(&c->out, &f);
}

static int set_key(struct buf *b, struct slice key)
{
	buf_clear(b);
	return buf_append_slice(b, key);
}

/* [from, to) has the groups in force. */
static int add_piece(struct cut *c, struct slice from, struct slice to)
{
	size_t n = groups_in_force(c);

	if (c->npending == n && slice_eq(buf_slice(&c->end), from) &&
		memcmp(c->pending, c->groups, n * sizeof(*c->groups)) == 0)
		return set_key(&c->end, to);
	if (write_pending(c) < 0 || set_key(&c->first, from) < 0 || set_key(&c->end, to) < 0)
		return -ENOMEM;
	memcpy(c->pending, c->groups, n * sizeof(*c->groups));
	c->npending = n;
	return 0;
}

/* Where the groups in force change next; false: none is. */
static bool next_change(const struct cut *c, struct slice *ret)
{
	bool any = false;

	for (size_t i = 0; i <= c->npins; i++) {
		if (!cover_group(&c->covers[i]))
			continue;
		if (!any || slice_cmp(cover_end(&c->covers[i]), *ret) < 0)
			*ret = cover_end(&c->covers[i]);
		any = true;
	}
	return any;
}

/* Writes the pieces from `at` (in: where the walk is) to `to`; an empty `to`: to the end of all
 * that is in force. */
static int walk_to(struct cut *c, struct buf *at, struct slice to)
{
	struct slice change;

	while (next_change(c, &change)) {
		bool last = to.len && slice_cmp(change, to) >= 0;
		struct slice stop = last ? to : change;

		if (slice_cmp(buf_slice(at), stop) < 0 &&
			(add_piece(c, buf_slice(at), stop) < 0 || set_key(at, stop) < 0))
			return -ENOMEM;
		for (size_t i = 0; i <= c->npins; i++)
			cover_advance(&c->covers[i], buf_slice(at));
		if (last)
			break;
	}
	return 0;
}

static int cut_all(struct cut *c, const struct record *ranges, size_t n)
{
	struct buf at = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		size_t stripe = stripe_of(ranges[i].group, c->pins, c->npins);

		r = walk_to(c, &at, ranges[i].key);
		if (r == 0)
			r = set_key(&at, ranges[i].key);
		if (r == 0)
			r = cover_add(&c->covers[stripe], ranges[i].value, ranges[i].group);
	}
	if (r == 0)
		r = walk_to(c, &at, SLICE(NULL, 0));
	if (r == 0)
		r = write_pending(c);
	buf_done(&at);
	return r;
}

int range_cut(const struct record *ranges, size_t n, const uint64_t *pins, size_t npins,
	struct buf *plain, uint64_t *ret_n, struct buf *last)
{
	struct cut c = {0};
	int r = cut_init(&c, pins, npins);

	if (r == 0)
		r = cut_all(&c, ranges, n);
	if (r == 0 && (buf_append_varint(plain, c.n) < 0 ||
			      buf_append_slice(plain, buf_slice(&c.out)) < 0 ||
			      buf_append_slice(last, buf_slice(&c.end)) < 0))
		r = -ENOMEM;
	*ret_n = c.n;
	cut_done(&c);
	return r;
}
