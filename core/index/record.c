/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/record.h"

#include "core/index/iter.h"

#include <assert.h>
#include <stdlib.h>

int record_cmp(const struct record *a, const struct record *b)
{
	int r = slice_cmp(a->key, b->key);

	if (r)
		return r;
	return a->group > b->group ? -1 : a->group < b->group;
}

int iter_cmp(const struct record *a, const struct record *b)
{
	int r = slice_cmp(a->key, b->key);

	if (r)
		return r;
	if ((a->op == RECORD_RANGE) != (b->op == RECORD_RANGE))
		return a->op == RECORD_RANGE ? -1 : 1;
	return a->group > b->group ? -1 : a->group < b->group;
}

static int ref_cmp(const struct segment_ref *r, uint64_t epoch, uint64_t sequence)
{
	if (r->epoch != epoch)
		return r->epoch < epoch ? -1 : 1;
	return r->sequence < sequence ? -1 : r->sequence > sequence;
}

/* The place of (epoch, sequence), or where it belongs. Most additions are behind the end. */
static size_t ref_place(const struct segment_refs *r, uint64_t epoch, uint64_t sequence)
{
	size_t low = 0, high = r->n;

	if (r->n && ref_cmp(&r->refs[r->n - 1], epoch, sequence) < 0)
		return r->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ref_cmp(&r->refs[mid], epoch, sequence) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int refs_grow(struct segment_refs *r)
{
	if (r->n < r->cap)
		return 0;
	size_t cap = r->cap ? r->cap * 2 : 8;
	struct segment_ref *refs = reallocarray(r->refs, cap, sizeof(*refs));

	if (!refs)
		return -ENOMEM;
	r->refs = refs;
	r->cap = cap;
	return 0;
}

int segment_refs_add(struct segment_refs *r, uint64_t epoch, uint64_t sequence, int64_t bytes)
{
	size_t i = ref_place(r, epoch, sequence);

	if (bytes == 0)
		return 0;
	if (i < r->n && ref_cmp(&r->refs[i], epoch, sequence) == 0) {
		/* Sums of stored numbers may be anything: wrap, as two's complement does. */
		int64_t sum = (int64_t)((uint64_t)r->refs[i].bytes + (uint64_t)bytes);

		r->refs[i].bytes = sum;
		if (sum == 0) {
			r->n--;
			memmove(&r->refs[i], &r->refs[i + 1], (r->n - i) * sizeof(*r->refs));
		}
		return 0;
	}
	if (refs_grow(r) < 0)
		return -ENOMEM;
	memmove(&r->refs[i + 1], &r->refs[i], (r->n - i) * sizeof(*r->refs));
	r->refs[i] = (struct segment_ref){epoch, sequence, bytes};
	r->n++;
	return 0;
}

int segment_refs_merge(struct segment_refs *r, const struct segment_refs *more, int sign)
{
	assert(sign == 1 || sign == -1);
	for (size_t i = 0; i < more->n; i++) {
		const struct segment_ref *m = &more->refs[i];
		uint64_t bytes = sign > 0 ? (uint64_t)m->bytes : -(uint64_t)m->bytes;

		if (segment_refs_add(r, m->epoch, m->sequence, (int64_t)bytes) < 0)
			return -ENOMEM;
	}
	return 0;
}

void segment_refs_done(struct segment_refs *r)
{
	free(r->refs);
	*r = (struct segment_refs){0};
}
