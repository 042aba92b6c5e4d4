/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunk records: exact bytes, runs, limits, damage. The algebra against a byte array is
 * tests/model/test-extents.c. */
#include "core/base/error.h"
#include "core/data/extents.h"
#include "tests/unit/seal-fixture.h"

static struct extent frame(uint32_t offset, uint32_t len, uint32_t skip, uint32_t plain,
	uint64_t ordinal, uint64_t place)
{
	return (struct extent){.offset = offset,
		.len = len,
		.skip = skip,
		.plain_len = plain,
		.sealed_len = 100,
		.epoch = 1,
		.sequence = 2,
		.ordinal = ordinal,
		.place = place};
}

static struct extent zeros(enum extent_form form, uint32_t offset, uint32_t len)
{
	return (struct extent){.form = form, .offset = offset, .len = len};
}

static void put(struct chunk *c, struct extent e)
{
	ck_assert_int_eq(chunk_put(c, &e), 0);
}

static void expect_bytes(const struct chunk *c, bool full, const char *hex)
{
	struct buf out = BUF_INIT;
	uint8_t want[512];
	size_t n = unhex(hex, want);
	struct chunk back = {0};

	ck_assert_int_eq(chunk_encode(c, full, &out), 0);
	ck_assert_uint_eq(out.len, n);
	ck_assert_mem_eq(out.data, want, n);
	ck_assert_int_eq(chunk_decode(buf_slice(&out), full, &back), 0);
	struct buf again = BUF_INIT;

	ck_assert_int_eq(chunk_encode(&back, full, &again), 0);
	ck_assert(slice_eq(buf_slice(&out), buf_slice(&again)));
	chunk_done(&back);
	buf_done(&out);
	buf_done(&again);
}

START_TEST(encodings)
{
	struct chunk c = {0};

	expect_bytes(&c, true, "01");
	/* One whole frame: gap 0 | form 2, length 1000, epoch 1, sequence 2, ordinal 3, place 96,
	 * sealed 100. */
	put(&c, frame(0, 1000, 0, 1000, 3, 96));
	expect_bytes(&c, true, "0102e8070102036064");
	/* A hole of 24, only in deltas; allocated 8 behind it. */
	put(&c, zeros(EXTENT_HOLE, 1000, 24));
	put(&c, zeros(EXTENT_ALLOCATED, 1024, 8));
	expect_bytes(&c, false,
		"0102e8070102036064"
		"0118"
		"0308");
	/* In a full record the hole is a gap: 24 << 2 | 3. */
	struct buf out = BUF_INIT;

	ck_assert_int_eq(chunk_encode(&c, true, &out), 0);
	uint8_t want[64];
	size_t n = unhex("0102e8070102036064"
			 "6308",
		want);

	ck_assert_uint_eq(out.len, n);
	ck_assert_mem_eq(out.data, want, n);
	buf_done(&out);
	chunk_done(&c);
}
END_TEST

START_TEST(runs)
{
	struct chunk c = {0};

	/* Three neighbours, the first from byte 10 on, the last not to its end: one run. */
	put(&c, frame(0, 90, 10, 100, 5, 1000));
	put(&c, frame(90, 100, 0, 100, 6, 1100));
	put(&c, frame(190, 50, 0, 100, 7, 1200));
	expect_bytes(&c, true,
		"0100f001"
		"010205e8070a03"
		"646464646464");
	/* A fourth whose bytes lie elsewhere stands alone. */
	put(&c, frame(240, 90, 0, 90, 8, 5000));
	expect_bytes(&c, true,
		"0100f001"
		"010205e8070a03"
		"646464646464"
		"025a"
		"010208882764");
	chunk_done(&c);
}
END_TEST

START_TEST(cutting)
{
	struct chunk c = {0};

	put(&c, frame(100, 300, 0, 300, 1, 96));
	put(&c, frame(200, 100, 0, 100, 2, 500));
	ck_assert_uint_eq(c.n, 3);
	ck_assert_uint_eq(c.extents[0].len, 100);
	ck_assert_uint_eq(c.extents[2].offset, 300);
	ck_assert_uint_eq(c.extents[2].skip, 200);
	ck_assert_uint_eq(chunk_allocated(&c), 300);
	/* What was cut apart grows together when the middle comes back. */
	put(&c, frame(200, 100, 100, 300, 1, 96));
	ck_assert_uint_eq(c.n, 1);
	ck_assert_uint_eq(c.extents[0].len, 300);
	put(&c, zeros(EXTENT_HOLE, 0, CHUNK_BYTES));
	ck_assert_uint_eq(c.n, 1);
	ck_assert_uint_eq(chunk_allocated(&c), 0);
	chunk_done(&c);
}
END_TEST

START_TEST(lookups)
{
	struct chunk c = {0}, copy = {0};
	struct segment_refs refs = {0};

	ck_assert_ptr_null(chunk_at(&c, 0));
	put(&c, frame(100, 50, 0, 50, 1, 96));
	put(&c, frame(300, 50, 0, 50, 2, 500));
	ck_assert_uint_eq(chunk_at(&c, 0)->offset, 100);
	ck_assert_uint_eq(chunk_at(&c, 149)->offset, 100);
	ck_assert_uint_eq(chunk_at(&c, 150)->offset, 300);
	ck_assert_ptr_null(chunk_at(&c, 350));
	ck_assert_int_eq(chunk_copy(&c, &copy), 0);
	ck_assert_int_eq(chunk_references(&copy, 1, &refs), 0);
	ck_assert_uint_eq(refs.n, 1);
	ck_assert_int_eq(refs.refs[0].bytes, 100);
	ck_assert_int_eq(chunk_references(&copy, -1, &refs), 0);
	ck_assert_uint_eq(refs.n, 0);
	segment_refs_done(&refs);
	chunk_done(&copy);
	chunk_done(&c);
}
END_TEST

static int decode_hex(const char *hex, bool full)
{
	uint8_t bytes[256];
	size_t n = unhex(hex, bytes);
	struct chunk c = {0};
	int r = chunk_decode(SLICE(bytes, n), full, &c);

	chunk_done(&c);
	return r;
}

START_TEST(damage)
{
	static const char *const bad[] = {
		"",		    /* no version */
		"02",		    /* another one */
		"0102e80701020360", /* cut */
		"0102e80700020360"
		"64",			      /* epoch 0 */
		"0102e8070102035f64",	      /* place inside the header */
		"0102e8070102036014",	      /* sealed shorter than a tag */
		"0102e807010203608080808001", /* sealed longer than any */
		"01020001020360"
		"64", /* length 0 */
		"010281800401020360"
		"64", /* longer than a frame */
		"0102e88700"
		"01020360"
		"64", /* varint not in its shortest form */
		"0100f001"
		"010205e8070a02"
		"64646464", /* run shorter than its length */
		"0100f001"
		"010205e8070a00", /* run of no frames */
		"010032"
		"010205e8070a02"
		"64646464", /* a frame of the run is not used */
		"0100f001"
		"010205e8076403"
		"646464646464", /* skips all of the first frame */
		"03"
		"80808001",
		"0103818010", /* behind the end of the chunk */
		"01"
		"83808004"
		"01", /* gap to the end, then something */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(decode_hex(bad[i], true) == -EBADMSG, "case %zu: %s", i, bad[i]);
	/* Holes are for deltas. */
	ck_assert_int_eq(decode_hex("010118", true), -EBADMSG);
	ck_assert_int_eq(decode_hex("010118", false), 0);
	ck_assert_int_eq(decode_hex("0103808010", true), 0); /* all of the chunk */
}
END_TEST

/* Any bytes: an answer, and if it is "fine", an encoding that decodes to the same. */
START_TEST(any_bytes)
{
	struct rng rng = fixture_rng();
	uint8_t bytes[64];
	unsigned fine = 0;

	for (int i = 0; i < 200000; i++) {
		size_t n = rng_below(&rng, sizeof(bytes));
		bool full = rng_chance(&rng, 1, 2);
		struct chunk c = {0};

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)rng_below(&rng, rng_chance(&rng, 1, 4) ? 256 : 8);
		bytes[0] = 1;
		if (chunk_decode(SLICE(bytes, n), full, &c) == 0) {
			struct buf out = BUF_INIT;
			struct chunk back = {0};

			fine++;
			ck_assert_int_eq(chunk_encode(&c, full, &out), 0);
			ck_assert_int_eq(chunk_decode(buf_slice(&out), full, &back), 0);
			ck_assert_uint_eq(back.n, c.n);
			chunk_done(&back);
			buf_done(&out);
		}
		chunk_done(&c);
	}
	ck_assert_uint_gt(fine, 100);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("extents");

	tcase_add_test(t, encodings);
	tcase_add_test(t, runs);
	tcase_add_test(t, cutting);
	tcase_add_test(t, lookups);
	tcase_add_test(t, damage);
	tcase_add_test(t, any_bytes);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "data-extents");
}
