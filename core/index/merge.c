/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The k-way merge: a binary heap of the inputs by their current records; equal ones by age. */
#include "core/index/merge.h"

#include "core/base/list.h"

#include <stdlib.h>

struct merge_input {
	struct iter *iter;
	size_t age; /* 0 = newest */
};

struct merge_iter {
	struct iter iter;
	size_t nheap, n;
	struct merge_input *heap; /* those that have a record */
	struct merge_input inputs[];
};

static struct merge_iter *of(struct iter *it)
{
	return container_of(it, struct merge_iter, iter);
}

static bool goes_before(const struct merge_input *a, const struct merge_input *b)
{
	int r = iter_cmp(&a->iter->rec, &b->iter->rec);

	return r < 0 || (r == 0 && a->age < b->age);
}

static void sift_down(struct merge_iter *m, size_t at)
{
	struct merge_input moved = m->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= m->nheap)
			break;
		if (child + 1 < m->nheap && goes_before(&m->heap[child + 1], &m->heap[child]))
			child++;
		if (!goes_before(&m->heap[child], &moved))
			break;
		m->heap[at] = m->heap[child];
		at = child;
	}
	m->heap[at] = moved;
}

static void publish(struct merge_iter *m)
{
	m->iter.valid = m->nheap > 0;
	if (m->iter.valid)
		m->iter.rec = m->heap[0].iter->rec;
}

static int merge_seek(struct iter *it, struct slice key, struct error *err)
{
	struct merge_iter *m = of(it);

	it->valid = false;
	m->nheap = 0;
	for (size_t i = 0; i < m->n; i++) {
		int r = iter_seek(m->inputs[i].iter, key, err);

		if (r < 0)
			return r;
		if (m->inputs[i].iter->valid)
			m->heap[m->nheap++] = m->inputs[i];
	}
	for (size_t i = m->nheap / 2; i-- > 0;)
		sift_down(m, i);
	publish(m);
	return 0;
}

static int merge_next(struct iter *it, struct error *err)
{
	struct merge_iter *m = of(it);
	int r;

	it->valid = false;
	r = iter_next(m->heap[0].iter, err);
	if (r < 0)
		return r;
	if (!m->heap[0].iter->valid)
		m->heap[0] = m->heap[--m->nheap];
	if (m->nheap)
		sift_down(m, 0);
	publish(m);
	return 0;
}

static void merge_close(struct iter *it)
{
	struct merge_iter *m = of(it);

	for (size_t i = 0; i < m->n; i++)
		iter_close(m->inputs[i].iter);
	free(m->heap);
	free(m);
}

static const struct iter_ops merge_ops = {
	.seek = merge_seek, .next = merge_next, .close = merge_close};

int merge_iter_new(struct iter **inputs, size_t n, struct iter **ret)
{
	if (n == 1) {
		*ret = inputs[0];
		return 0;
	}
	struct merge_iter *m = calloc(1, sizeof(*m) + n * sizeof(m->inputs[0]));

	if (m)
		m->heap = calloc(n + 1, sizeof(*m->heap));
	if (!m || !m->heap) {
		for (size_t i = 0; i < n; i++)
			iter_close(inputs[i]);
		free(m);
		return -ENOMEM;
	}
	m->iter.ops = &merge_ops;
	m->n = n;
	for (size_t i = 0; i < n; i++)
		m->inputs[i] = (struct merge_input){inputs[i], i};
	*ret = &m->iter;
	return 0;
}
