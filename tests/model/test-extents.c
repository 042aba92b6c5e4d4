/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The algebra of chunks against an array with one cell per byte: puts, encoding and decoding, and
 * folding of full and delta records in any grouping.
 */
#include "core/data/extents.h"
#include "core/data/fold.h"
#include "core/data/keyspace.h"
#include "core/seal/frame.h"
#include "tests/unit/seal-fixture.h"

#define ROUNDS 40
#define GROUPS 8

/* 0: nothing known (deltas). Else form + 1, and for frames which byte of which frame. */
struct cell {
	uint8_t form;
	uint32_t ordinal, at;
};
static struct cell *model; /* CHUNK_BYTES */

static struct extent random_extent(struct rng *rng, bool full)
{
	uint32_t offset = (uint32_t)rng_below(rng, CHUNK_BYTES);
	uint32_t max =
		CHUNK_BYTES - offset < FRAME_PLAIN_MAX ? CHUNK_BYTES - offset : FRAME_PLAIN_MAX;
	struct extent e = {.offset = offset, .len = (uint32_t)rng_range(rng, 1, max)};

	if (rng_chance(rng, 1, 3) && e.len > 500)
		e.len = (uint32_t)rng_range(rng, 1, 500);
	uint64_t kind = rng_below(rng, 10);

	if (kind == 0 && !full) {
		e.form = EXTENT_HOLE;
	} else if (kind == 1) {
		e.form = EXTENT_ALLOCATED;
	} else {
		e.form = EXTENT_FRAME;
		e.ordinal = rng_below(rng, 50);
		e.epoch = 1;
		/* Neighbouring ordinals lie behind each other, so that runs come about. */
		e.place = 96 + e.ordinal * 1000;
		e.sealed_len = 1000;
		e.plain_len = FRAME_PLAIN_MAX;
		e.skip = (uint32_t)rng_below(rng, FRAME_PLAIN_MAX - e.len + 1);
		if (rng_chance(rng, 1, 2))
			e.skip = 0;
	}
	return e;
}

static void model_put(struct cell *m, const struct extent *e)
{
	for (uint32_t i = 0; i < e->len; i++)
		m[e->offset + i] = (struct cell){.form = (uint8_t)(e->form + 1),
			.ordinal = e->form == EXTENT_FRAME ? (uint32_t)e->ordinal : 0,
			.at = e->form == EXTENT_FRAME ? e->skip + i : 0};
}

/* Holes and what is not covered are the same thing in a full chunk. */
static bool cell_eq(const struct cell *a, const struct cell *b, bool full)
{
	bool za = full && (a->form == 0 || a->form == EXTENT_HOLE + 1);
	bool zb = full && (b->form == 0 || b->form == EXTENT_HOLE + 1);

	return za ? zb : a->form == b->form && a->ordinal == b->ordinal && a->at == b->at;
}

static void compare(const struct chunk *c, const struct cell *m, bool full)
{
	static struct cell *seen;
	uint64_t charged = 0;
	uint32_t end = 0;

	if (!seen)
		seen = malloc(CHUNK_BYTES * sizeof(*seen));
	memset(seen, 0, CHUNK_BYTES * sizeof(*seen));
	for (size_t i = 0; i < c->n; i++) {
		ck_assert_uint_ge(c->extents[i].offset, end);
		end = c->extents[i].offset + c->extents[i].len;
		model_put(seen, &c->extents[i]);
	}
	ck_assert_uint_le(end, CHUNK_BYTES);
	for (uint32_t i = 0; i < CHUNK_BYTES; i++) {
		if (!cell_eq(&seen[i], &m[i], full))
			ck_abort_msg("byte %u", i);
		charged += m[i].form == EXTENT_FRAME + 1 || m[i].form == EXTENT_ALLOCATED + 1;
	}
	ck_assert_uint_eq(chunk_allocated(c), charged);
}

static void through_bytes(struct chunk *c, bool full)
{
	struct buf out = BUF_INIT;

	ck_assert_int_eq(chunk_encode(c, full, &out), 0);
	chunk_done(c);
	ck_assert_int_eq(chunk_decode(buf_slice(&out), full, c), 0);
	buf_done(&out);
}

START_TEST(algebra)
{
	struct rng rng = fixture_rng();

	for (int round = 0; round < ROUNDS; round++) {
		bool full = rng_chance(&rng, 1, 2);
		struct chunk c = {0};

		memset(model, 0, CHUNK_BYTES * sizeof(*model));
		for (int i = 0, n = (int)rng_below(&rng, 60); i < n; i++) {
			struct extent e = random_extent(&rng, full);

			ck_assert_int_eq(chunk_put(&c, &e), 0);
			model_put(model, &e);
			for (int k = 0; k < 4; k++) {
				uint32_t at = (uint32_t)rng_below(&rng, CHUNK_BYTES);
				const struct extent *x = chunk_at(&c, at);
				bool covers = x && x->offset <= at;

				ck_assert_int_eq(covers, model[at].form != 0);
			}
			if (rng_chance(&rng, 1, 8)) {
				through_bytes(&c, full);
				compare(&c, model, full);
			}
		}
		compare(&c, model, full);
		chunk_done(&c);
	}
}
END_TEST

/* A history of versions of one key. */
struct history {
	struct buf values[GROUPS];
	enum record_op ops[GROUPS];
	size_t n;
};

static void make_history(struct history *h, struct rng *rng)
{
	memset(model, 0, CHUNK_BYTES * sizeof(*model));
	h->n = (size_t)rng_range(rng, 1, GROUPS);
	for (size_t g = 0; g < h->n; g++) {
		bool full = rng_chance(rng, 1, 6);
		struct chunk c = {0};

		if (full)
			memset(model, 0, CHUNK_BYTES * sizeof(*model));
		for (int i = 0, n = (int)rng_below(rng, 12); i < n; i++) {
			struct extent e = random_extent(rng, full);

			ck_assert_int_eq(chunk_put(&c, &e), 0);
			model_put(model, &e);
		}
		h->ops[g] = full ? RECORD_PUT : RECORD_DELTA;
		h->values[g] = (struct buf)BUF_INIT;
		ck_assert_int_eq(chunk_encode(&c, full, &h->values[g]), 0);
		chunk_done(&c);
	}
}

/* Folds versions [from, to) into version `from`, as a merge somewhere in the middle does. */
static void fold_range(struct history *h, size_t from, size_t to, bool complete)
{
	struct key k = key_chunk(7, 0);
	struct record versions[GROUPS];
	struct buf out = BUF_INIT;
	size_t n = 0;
	enum record_op op;

	for (size_t g = to; g-- > from;) {
		versions[n++] = (struct record){.key = key_slice(&k),
			.group = g + 1,
			.op = h->ops[g],
			.value = buf_slice(&h->values[g])};
		if (h->ops[g] == RECORD_PUT)
			break;
	}
	ck_assert_int_eq(data_fold.fold(versions, n, complete, &out, &op), 0);
	ck_assert_int_eq(
		op, complete || versions[n - 1].op == RECORD_PUT ? RECORD_PUT : RECORD_DELTA);
	for (size_t g = from; g < to; g++)
		buf_done(&h->values[g]);
	h->values[from] = out;
	h->ops[from] = op;
	memmove(h->values + from + 1, h->values + to, (h->n - to) * sizeof(h->values[0]));
	memmove(h->ops + from + 1, h->ops + to, (h->n - to) * sizeof(h->ops[0]));
	h->n -= to - from - 1;
}

START_TEST(folding)
{
	struct rng rng = fixture_rng();

	for (int round = 0; round < ROUNDS; round++) {
		struct history h = {0};
		struct chunk c = {0};

		make_history(&h, &rng);
		while (h.n > 1) {
			size_t from = (size_t)rng_below(&rng, h.n - 1);
			size_t to = (size_t)rng_range(&rng, from + 2, h.n);

			/* Only the oldest may be completed. */
			fold_range(&h, from, to, from == 0 && rng_chance(&rng, 1, 2));
		}
		fold_range(&h, 0, 1, true);
		ck_assert_int_eq(h.ops[0], RECORD_PUT);
		ck_assert_int_eq(chunk_decode(buf_slice(&h.values[0]), true, &c), 0);
		compare(&c, model, true);
		chunk_done(&c);
		buf_done(&h.values[0]);
	}
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("extents");

	tcase_add_test(t, algebra);
	tcase_add_test(t, folding);
	tcase_set_timeout(t, 120);
	return t;
}

int main(void)
{
	model = calloc(CHUNK_BYTES, sizeof(*model));
	int r = run_suite(make, "extents");

	free(model);
	return r;
}
