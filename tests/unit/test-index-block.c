/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/bytes.h"
#include "core/index/block.h"
#include "tests/unit/seal-fixture.h"

#define KEYS_MAX 400

struct sample {
	uint8_t key[40], value[300];
	size_t key_len, value_len;
	uint64_t group;
	enum record_op op;
};

static struct record record_of(const struct sample *s)
{
	return (struct record){
		SLICE(s->key, s->key_len), s->group, s->op, SLICE(s->value, s->value_len)};
}

/* Rising keys with long shared prefixes, each with a few versions. */
static size_t make_samples(struct rng *rng, struct sample *out, uint64_t base)
{
	size_t n = 0, want = rng_below(rng, KEYS_MAX);
	uint64_t number = 0;

	while (n < want) {
		uint64_t group = base;
		size_t versions = 1 + rng_below(rng, 3), len = 9 + rng_below(rng, 20);

		number += 1 + rng_below(rng, 5);
		for (size_t v = 0; v < versions && n < want; v++) {
			struct sample *s = &out[n];

			if (rng_chance(rng, 1, 2) || v)
				group -= 1 + rng_below(rng, base / 8);
			put_be64(s->key, number);
			memset(s->key + 8, 'x', sizeof(s->key) - 8);
			s->key_len = len;
			s->group = group;
			s->op = (enum record_op)rng_range(rng, RECORD_PUT, RECORD_DELTA);
			s->value_len =
				s->op == RECORD_DELETE ? 0 : rng_below(rng, sizeof(s->value));
			rng_fill(rng, s->value, s->value_len);
			n++;
		}
	}
	return n;
}

static void build(const struct sample *s, size_t n, uint64_t base, struct buf *out)
{
	struct block_builder b;

	ck_assert_int_eq(block_builder_init(&b, base), 0);
	for (size_t i = 0; i < n; i++) {
		struct record r = record_of(&s[i]);

		ck_assert_int_eq(block_builder_add(&b, &r), 0);
	}
	size_t bytes = block_builder_bytes(&b);

	ck_assert_int_eq(block_builder_finish(&b), 0);
	ck_assert_uint_eq(b.out.len, bytes);
	ck_assert_int_eq(buf_append_slice(out, buf_slice(&b.out)), 0);
	block_builder_done(&b);
}

static bool same(const struct record *a, const struct record *b)
{
	return slice_eq(a->key, b->key) && a->group == b->group && a->op == b->op &&
	       slice_eq(a->value, b->value);
}

static void check_seeks(struct rng *rng, struct slice block, const struct sample *s, size_t n)
{
	struct block_iter it;

	ck_assert_int_eq(block_iter_init(&it, block), 0);
	for (int round = 0; round < 100; round++) {
		uint8_t key[12];
		size_t want = 0, len = 7 + rng_below(rng, 5);

		memset(key, 'x', sizeof(key));
		put_be64(key, rng_below(rng, n * 3 + 3));
		while (want < n &&
			slice_cmp(SLICE(s[want].key, s[want].key_len), SLICE(key, len)) < 0)
			want++;
		ck_assert_int_eq(block_iter_seek(&it, SLICE(key, len)), 0);
		for (int steps = 0; steps < 3; steps++) {
			ck_assert_int_eq(it.valid, want < n);
			if (!it.valid)
				break;
			struct record r = record_of(&s[want++]);

			ck_assert(same(&it.rec, &r));
			ck_assert_int_eq(block_iter_next(&it), 0);
		}
	}
}

START_TEST(round_trip)
{
	struct rng rng = fixture_rng();
	struct sample *s = calloc(KEYS_MAX, sizeof(*s));

	for (int round = 0; round < 40; round++) {
		uint64_t base = 1000 + rng_below(&rng, 1u << 20);
		size_t n = make_samples(&rng, s, base), i = 0;
		struct buf block = BUF_INIT;
		struct block_iter it;

		build(s, n, base, &block);
		ck_assert_int_eq(block_iter_init(&it, buf_slice(&block)), 0);
		ck_assert_int_eq(block_iter_first(&it), 0);
		for (; it.valid; i++) {
			struct record r = record_of(&s[i]);

			ck_assert_uint_lt(i, n);
			ck_assert(same(&it.rec, &r));
			ck_assert_int_eq(block_iter_next(&it), 0);
		}
		ck_assert_uint_eq(i, n);
		check_seeks(&rng, buf_slice(&block), s, n);
		buf_done(&block);
	}
	free(s);
}
END_TEST

/* The bytes of docs/format.md "Block". */
START_TEST(golden)
{
	static const char *expected = "0a" /* base group */
				      "0003010001"
				      "616263"
				      "31"	   /* abc, put, group 10, "1" */
				      "0300020300" /* abc again, delete, group 7 */
				      "0201040201"
				      "64"
				      "7a"	 /* abd: range delete to "z", group 8 */
				      "01000000" /* the restart point: offset 1 */
				      "01000000";
	struct record recs[] = {{SLICE_STR("abc"), 10, RECORD_PUT, SLICE_STR("1")},
		{SLICE_STR("abc"), 7, RECORD_DELETE, SLICE(NULL, 0)},
		{SLICE_STR("abd"), 8, RECORD_RANGE, SLICE_STR("z")}};
	struct block_builder b;
	uint8_t want[64];
	size_t len = unhex(expected, want);

	ck_assert_int_eq(block_builder_init(&b, 10), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(block_builder_add(&b, &recs[i]), 0);
	ck_assert_int_eq(block_builder_finish(&b), 0);
	ck_assert_uint_eq(b.out.len, len);
	ck_assert_mem_eq(b.out.data, want, len);
	block_builder_done(&b);
}
END_TEST

/* Steps through whatever it is; the order must hold as far as it goes. Few ck_asserts: each costs a
 * system call. */
static int walk(struct slice block, bool seek)
{
	struct block_iter it;
	uint8_t last[RECORD_KEY_MAX];
	size_t last_len = 0;
	uint64_t group = 0, sum = 0;
	bool wrong = false;
	int r = block_iter_init(&it, block);

	if (r == 0)
		r = seek ? block_iter_seek(&it, SLICE("\0\0\0\0\0\0\0\x40xx", 10))
			 : block_iter_first(&it);
	while (r == 0 && it.valid) {
		int c = slice_cmp(SLICE(last, last_len), it.rec.key);

		wrong |= c > 0 || (c == 0 && it.rec.group >= group && it.rec.op != RECORD_RANGE);
		wrong |= it.rec.key.len == 0 || it.rec.key.len > RECORD_KEY_MAX;
		wrong |= it.rec.group == 0 || it.rec.value.len > RECORD_VALUE_MAX;
		group = it.rec.group;
		last_len = it.rec.key.len;
		memcpy(last, it.rec.key.data, last_len);
		/* Read all of it, for the address sanitizer. */
		for (size_t i = 0; i < it.rec.value.len; i++)
			sum += it.rec.value.data[i];
		r = block_iter_next(&it);
	}
	wrong |= (r != 0 && r != -EBADMSG) || (r != 0 && it.valid);
	ck_assert(!wrong && sum != UINT64_MAX);
	return r;
}

static void walk_copy(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len + 1); /* exactly as long as it says: one byte more is poison */

	memcpy(copy, data, len);
	copy = realloc(copy, len ? len : 1);
	(void)walk(SLICE(copy, len), false);
	(void)walk(SLICE(copy, len), true);
	free(copy);
}

START_TEST(bad_input)
{
	struct rng rng = fixture_rng();
	struct sample *s = calloc(KEYS_MAX, sizeof(*s));
	struct buf block = BUF_INIT;
	size_t n;

	do
		n = make_samples(&rng, s, 5000);
	while (n < 40 || n > 80);
	build(s, n, 5000, &block);
	ck_assert_int_eq(walk(buf_slice(&block), false), 0);
	for (size_t len = 0; len < block.len; len++)
		walk_copy(block.data, len);
	for (size_t i = 0; i < block.len; i++) {
		uint8_t old = block.data[i];

		for (int k = 0; k < 3; k++) {
			block.data[i] = k == 0 ? old ^ 1 << rng_below(&rng, 8) : k == 1 ? 0xff : 0;
			walk_copy(block.data, block.len);
		}
		block.data[i] = old;
	}
	for (int round = 0; round < 2000; round++) {
		uint8_t noise[64];
		size_t len = rng_below(&rng, sizeof(noise));

		rng_fill(&rng, noise, len);
		if (len > 4)
			put_le32(noise + len - 4, (uint32_t)rng_below(&rng, 4));
		walk_copy(noise, len);
	}
	buf_done(&block);
	free(s);
}
END_TEST

/* Each breaks one rule of the block. */
START_TEST(refused)
{
	static const char *const bad[] = {
		"", "0a00000100", /* more restart points than bytes */
		"0a01000000",	  /* a restart point that is not there */
		"0a000101000131"
		"01000000", /* an entry without restart points */
		"0a0001010b006101000000"
		"01000000", /* group below 1 */
		"0a0001050061"
		"01000000"
		"01000000", /* operation 5, value length cut */
		"0a0000010001"
		"31"
		"01000000"
		"01000000", /* an empty key */
		"0a000102000161"
		"31"
		"01000000"
		"01000000", /* a delete with a value */
		"0a000104000161"
		"61"
		"01000000"
		"01000000", /* an empty range */
		"0a0001010001"
		"6231"
		"0001010001"
		"6131"
		"01000000"
		"01000000", /* keys fall */
		"0a0001010001"
		"6231"
		"0100010001"
		"31"
		"01000000"
		"01000000", /* a group twice */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t raw[64];
		size_t len = unhex(bad[i], raw);

		ck_assert_msg(
			walk(SLICE(raw, len), false) == -EBADMSG, "block %zu was accepted", i);
	}
	/* And the same with nothing wrong. */
	uint8_t raw[64];
	size_t len = unhex("0a0001010001"
			   "6231"
			   "0100010101"
			   "31"
			   "01000000"
			   "01000000",
		raw);

	ck_assert_int_eq(walk(SLICE(raw, len), false), 0);
	len = unhex("0a00000000", raw);
	ck_assert_int_eq(walk(SLICE(raw, len), false), 0);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("block");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, golden);
	tcase_add_test(t, bad_input);
	tcase_add_test(t, refused);
	return t;
}

int main(void)
{
	return run_suite(make, "index-block");
}
