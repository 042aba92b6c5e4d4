/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The interval map of a group against an array of bytes; growing blocks; many small pieces. */
#include "core/data/pending.h"
#include "tests/unit/seal-fixture.h"

#define SPACE 3000u
#define BUDGET_BYTES (64ull << 20)

/* What one byte of the model is. */
struct cell {
	enum { CELL_NONE, CELL_BYTES, CELL_HOLE, CELL_FRAME } kind;
	uint8_t byte;
	uint64_t ordinal;
	uint32_t at;
};

struct fixture {
	struct budget *budget;
	struct pieces pieces;
	struct piece_pool pool;
	struct cell cells[SPACE];
};

static void begin(struct fixture *x)
{
	memset(x, 0, sizeof(*x));
	x->budget = budget_new(BUDGET_BYTES);
}

static void end(struct fixture *x)
{
	pieces_done(&x->pieces);
	piece_pool_done(&x->pool);
	ck_assert_uint_eq(budget_used(x->budget, BUDGET_DIRTY), 0);
	budget_free(x->budget);
}

static struct dirty_block *block_of(struct fixture *x, const uint8_t *bytes, size_t len, size_t cap)
{
	struct dirty_block *b = dirty_block_new(x->budget, cap);

	ck_assert_ptr_nonnull(b);
	memcpy(b->data, bytes, len);
	b->len = len;
	b->charge = len;
	budget_force(x->budget, BUDGET_DIRTY, len);
	return b;
}

/* `p` covers the byte, or NULL. */
static bool cell_is(const struct cell *c, const struct piece *p, uint32_t i)
{
	if (!p)
		return c->kind == CELL_NONE;
	uint64_t at = i - p->offset;

	switch (p->kind) {
	case PIECE_BYTES:
		return c->kind == CELL_BYTES && p->block->data[p->start + at] == c->byte;
	case PIECE_HOLE:
		return c->kind == CELL_HOLE;
	case PIECE_EXTENT:
		return c->kind == CELL_FRAME && p->extent.ordinal == c->ordinal &&
		       p->extent.skip + at == c->at;
	}
	return false;
}

static void compare(const struct fixture *x)
{
	const struct piece *p = pieces_find(&x->pieces, 0);

	pieces_check(&x->pieces);
	for (uint32_t i = 0; i < SPACE; i++) {
		while (p && p->end <= i)
			p = piece_next(p);
		if (!cell_is(&x->cells[i], p && p->offset <= i ? p : NULL, i))
			ck_abort_msg("byte %u", i);
		if (i % 16 == 0)
			ck_assert_ptr_eq(p, pieces_find(&x->pieces, i));
	}
}

static void write_cells(
	struct fixture *x, uint32_t offset, uint32_t len, struct cell c, const uint8_t *bytes)
{
	for (uint32_t i = 0; i < len; i++) {
		c.at = i;
		if (bytes)
			c.byte = bytes[i];
		x->cells[offset + i] = c;
	}
}

static void random_step(struct fixture *x, struct rng *rng)
{
	uint32_t offset = (uint32_t)rng_below(rng, SPACE),
		 len = (uint32_t)rng_range(rng, 1, SPACE - offset);
	uint8_t bytes[SPACE];

	if (len > 200 && rng_chance(rng, 3, 4))
		len = (uint32_t)rng_range(rng, 1, 200);
	rng_fill(rng, bytes, len);
	ck_assert_int_eq(piece_pool_fill(&x->pool, 2), 0);
	switch (rng_below(rng, 8)) {
	case 0:
		pieces_clear(&x->pieces, offset, offset + len, &x->pool);
		write_cells(x, offset, len, (struct cell){.kind = CELL_NONE}, NULL);
		break;
	case 1:
		pieces_put(&x->pieces,
			&(struct piece){.kind = PIECE_HOLE, .offset = offset, .end = offset + len},
			&x->pool);
		write_cells(x, offset, len, (struct cell){.kind = CELL_HOLE}, NULL);
		break;
	case 2: {
		struct piece p = {.kind = PIECE_EXTENT, .offset = offset, .end = offset + len};

		p.extent.ordinal = rng_below(rng, 3);
		pieces_put(&x->pieces, &p, &x->pool);
		write_cells(x, offset, len,
			(struct cell){.kind = CELL_FRAME, .ordinal = p.extent.ordinal}, NULL);
		break;
	}
	case 3:
	case 4:
		if (pieces_grow(&x->pieces, offset, bytes, len, &x->pool))
			write_cells(x, offset, len, (struct cell){.kind = CELL_BYTES}, bytes);
		break;
	default: {
		struct dirty_block *b = block_of(x, bytes, len, len + rng_below(rng, 300));

		pieces_put(&x->pieces,
			&(struct piece){.kind = PIECE_BYTES,
				.offset = offset,
				.end = offset + len,
				.block = b},
			&x->pool);
		dirty_block_unref(b);
		write_cells(x, offset, len, (struct cell){.kind = CELL_BYTES}, bytes);
		/* What a stream does: goes on where it stopped. */
		while (offset + len + 20 < SPACE && rng_chance(rng, 1, 2)) {
			offset += len;
			len = (uint32_t)rng_range(rng, 1, 20);
			rng_fill(rng, bytes, len);
			ck_assert_int_eq(piece_pool_fill(&x->pool, 2), 0);
			if (!pieces_grow(&x->pieces, offset, bytes, len, &x->pool))
				break;
			write_cells(x, offset, len, (struct cell){.kind = CELL_BYTES}, bytes);
		}
	}
	}
}

START_TEST(against_bytes)
{
	struct rng rng = fixture_rng();
	struct fixture x;

	for (int round = 0; round < 10; round++) {
		begin(&x);
		x.pieces.random = rng_next(&rng);
		for (int i = 0; i < 200; i++) {
			random_step(&x, &rng);
			compare(&x);
		}
		end(&x);
	}
}
END_TEST

START_TEST(for_ever)
{
	struct fixture x;

	begin(&x);
	ck_assert_int_eq(piece_pool_fill(&x.pool, 8), 0);
	pieces_put(&x.pieces,
		&(struct piece){.kind = PIECE_HOLE, .offset = 100, .end = PIECE_FOREVER}, &x.pool);
	pieces_put(&x.pieces,
		&(struct piece){
			.kind = PIECE_EXTENT, .offset = 1ull << 40, .end = (1ull << 40) + 5},
		&x.pool);
	pieces_check(&x.pieces);
	ck_assert_uint_eq(x.pieces.n, 3);
	ck_assert_uint_eq(pieces_find(&x.pieces, UINT64_MAX - 1)->offset, (1ull << 40) + 5);
	/* Holes that touch are one. */
	pieces_put(
		&x.pieces, &(struct piece){.kind = PIECE_HOLE, .offset = 50, .end = 100}, &x.pool);
	ck_assert_uint_eq(x.pieces.n, 3);
	pieces_put(&x.pieces,
		&(struct piece){.kind = PIECE_HOLE, .offset = 0, .end = PIECE_FOREVER}, &x.pool);
	ck_assert_uint_eq(x.pieces.n, 1);
	end(&x);
}
END_TEST

START_TEST(appends_share_a_block)
{
	struct fixture x;
	uint8_t line[100];

	begin(&x);
	memset(line, 'x', sizeof(line));
	struct dirty_block *b = block_of(&x, line, sizeof(line), 4096);

	ck_assert_int_eq(piece_pool_fill(&x.pool, 2), 0);
	pieces_put(&x.pieces,
		&(struct piece){.kind = PIECE_BYTES, .offset = 0, .end = 100, .block = b}, &x.pool);
	for (uint64_t at = 100; at < 4000; at += 100)
		ck_assert(pieces_grow(&x.pieces, at, line, 100, &x.pool));
	ck_assert_uint_eq(x.pieces.n, 1);
	ck_assert(!pieces_grow(&x.pieces, 4000, line, 100, &x.pool)); /* no room */
	ck_assert(!pieces_grow(&x.pieces, 3900, line, 100, &x.pool)); /* not at its end */
	/* The tail is overwritten by somebody else: the old piece's end is not the block's any
	 * more. */
	pieces_clear(&x.pieces, 3000, 4000, &x.pool);
	ck_assert(!pieces_grow(&x.pieces, 3000, line, 10, &x.pool));
	dirty_block_unref(b);
	end(&x);
}
END_TEST

START_TEST(many)
{
	struct rng rng = fixture_rng();
	struct fixture x;
	uint8_t byte = 1;
	const uint64_t blocks = 400000;

	begin(&x);
	uint64_t began = env_now_ns();
	struct dirty_block *b = block_of(&x, &byte, 1, 4096);

	for (int i = 0; i < 100000; i++) {
		uint64_t at = rng_below(&rng, blocks) * 4096;

		ck_assert_int_eq(piece_pool_fill(&x.pool, 2), 0);
		pieces_put(&x.pieces,
			&(struct piece){
				.kind = PIECE_BYTES, .offset = at, .end = at + 4096, .block = b},
			&x.pool);
	}
	dirty_block_unref(b);
	pieces_check(&x.pieces);
	ck_assert_uint_gt(x.pieces.n, 80000);
	/* Far from quadratic: a sorted array that moves its tail, or a list, would take minutes
	 * here. */
	ck_assert_uint_lt(env_now_ns() - began, 20000000000ull);
	end(&x);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("pending");

	tcase_add_test(t, against_bytes);
	tcase_add_test(t, for_ever);
	tcase_add_test(t, appends_share_a_block);
	tcase_add_test(t, many);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "data-pending");
}
