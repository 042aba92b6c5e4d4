/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_MODEL_MAINTAIN_MODEL_H
#define TESTS_MODEL_MAINTAIN_MODEL_H
/*
 * A naive model of an index: every record that was ever written, in a list. And a toy kind of value
 * with deltas and references, so that folds and their accounts can be checked without the data
 * layer.
 *
 * Keys "p.." hold plain bytes. Keys "d.." hold entries of 3 bytes (slot, segment, bytes), slots
 * rising; a delta says something about the slots that it names, segment 0 refers to nothing.
 */
#include "core/index/index.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MODEL_SLOTS 8
#define MODEL_SEGMENTS 32
#define MODEL_KEYS 60
#define MODEL_KEY_BYTES 3

struct model_record {
	uint64_t group;
	enum record_op op;
	char key[4], end[4];
	uint8_t value[64];
	size_t len;
};

struct model {
	struct model_record *recs; /* in the order of writing */
	size_t n, cap;
	int64_t live[MODEL_SEGMENTS]; /* booked */
};

static inline void model_key(unsigned i, char out[4])
{
	if (i < MODEL_KEYS / 2)
		snprintf(out, 4, "d%02u", i % 100);
	else
		snprintf(out, 4, "p%02u", (i - MODEL_KEYS / 2) % 100);
}

/* ---- the toy kind ---- */

static inline bool toy_is_delta_kind(struct slice key)
{
	return key.len > 0 && key.data[0] == 'd';
}

static inline int toy_overlay(struct slice v, uint8_t slots[MODEL_SLOTS][2], bool *known)
{
	if (v.len % 3)
		return -EBADMSG;
	for (size_t i = 0; i < v.len; i += 3) {
		unsigned slot = v.data[i];

		if (slot >= MODEL_SLOTS)
			return -EBADMSG;
		if (!known[slot])
			memcpy(slots[slot], v.data + i + 1, 2);
		known[slot] = true;
	}
	return 0;
}

static inline int toy_encode(uint8_t slots[MODEL_SLOTS][2], const bool *known, struct buf *out)
{
	for (uint8_t i = 0; i < MODEL_SLOTS; i++)
		if (known[i] && (buf_append_u8(out, i) < 0 || buf_append(out, slots[i], 2) < 0))
			return -ENOMEM;
	return 0;
}

static inline int toy_fold(const struct record *versions, size_t n, bool complete, struct buf *out,
	enum record_op *ret_op)
{
	uint8_t slots[MODEL_SLOTS][2];
	bool known[MODEL_SLOTS] = {false};

	ck_assert_uint_gt(n, 0);
	*ret_op = complete || versions[n - 1].op == RECORD_PUT ? RECORD_PUT : RECORD_DELTA;
	if (!toy_is_delta_kind(versions[0].key)) {
		ck_assert_uint_eq(n, 1);
		return buf_append_slice(out, versions[0].value);
	}
	for (size_t i = 0; i < n; i++) {
		ck_assert(versions[i].op == RECORD_DELTA ||
			  (versions[i].op == RECORD_PUT && i == n - 1));
		ck_assert(i == 0 || versions[i].group < versions[i - 1].group);
		if (toy_overlay(versions[i].value, slots, known) < 0)
			return -EBADMSG;
	}
	return toy_encode(slots, known, out);
}

static inline int toy_references(const struct record *r, int sign, struct segment_refs *refs)
{
	if (!toy_is_delta_kind(r->key) || (r->op != RECORD_PUT && r->op != RECORD_DELTA))
		return 0;
	for (size_t i = 0; i + 2 < r->value.len; i += 3) {
		int add;

		if (r->value.data[i + 1] == 0)
			continue;
		add = segment_refs_add(
			refs, 1, r->value.data[i + 1], sign * (int64_t)r->value.data[i + 2]);
		if (add < 0)
			return add;
	}
	return 0;
}

static inline size_t toy_filter_prefix(struct slice key, uint8_t *out)
{
	(void)key;
	(void)out;
	return 0;
}

static const struct index_fold toy = {
	.fold = toy_fold, .references = toy_references, .filter_prefix = toy_filter_prefix};

/* ---- the model ---- */

static inline void model_add(struct model *m, const struct model_record *r)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 64;
		m->recs = realloc(m->recs, m->cap * sizeof *m->recs);
		ck_assert_ptr_nonnull(m->recs);
	}
	m->recs[m->n++] = *r;
	if (r->key[0] == 'd' && (r->op == RECORD_PUT || r->op == RECORD_DELTA))
		for (size_t i = 0; i < r->len; i += 3)
			m->live[r->value[i + 1]] += r->value[i + 1] ? r->value[i + 2] : 0;
}

static inline void model_book(struct model *m, const struct segment_refs *refs)
{
	for (size_t i = 0; i < refs->n; i++) {
		ck_assert_uint_eq(refs->refs[i].epoch, 1);
		ck_assert_uint_lt(refs->refs[i].sequence, MODEL_SEGMENTS);
		m->live[refs->refs[i].sequence] += refs->refs[i].bytes;
	}
}

/* What a reader at `view` must see: false = nothing. */
static inline bool model_get(const struct model *m, uint64_t view, const char *key, struct buf *out)
{
	uint8_t slots[MODEL_SLOTS][2];
	bool known[MODEL_SLOTS] = {false}, exists = false;
	uint64_t covered = 0; /* groups below are hidden */

	/* Newest first; within a group a range delete covers older groups only, so its place there
	 * does not matter. */
	for (size_t i = m->n; i-- > 0;) {
		const struct model_record *r = &m->recs[i];

		if (r->group > view || r->group < covered)
			continue;
		if (r->op == RECORD_RANGE) {
			if (strcmp(r->key, key) <= 0 && strcmp(key, r->end) < 0 &&
				r->group > covered)
				covered = r->group;
			continue;
		}
		if (strcmp(r->key, key) != 0)
			continue;
		if (r->op == RECORD_DELETE)
			break;
		exists = true;
		if (key[0] == 'p') {
			ck_assert_int_eq(buf_append(out, r->value, r->len), 0);
			return true;
		}
		ck_assert_int_eq(toy_overlay(SLICE(r->value, r->len), slots, known), 0);
		if (r->op == RECORD_PUT)
			break;
	}
	if (exists)
		ck_assert_int_eq(toy_encode(slots, known, out), 0);
	return exists;
}

static inline void model_done(struct model *m)
{
	free(m->recs);
	*m = (struct model){0};
}

#endif
