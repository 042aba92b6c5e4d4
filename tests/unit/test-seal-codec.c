/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/codec.h"
#include "core/base/thread.h"
#include "tests/unit/seal-fixture.h"

#include <zstd.h>

static const struct codec_choice raw = {.codec = CODEC_RAW}, lz4 = {.codec = CODEC_LZ4},
				 zstd = {.codec = CODEC_ZSTD, .level = 3};

/* Text-like bytes: compressible by matches and by frequency. */
static void fill_text(struct rng *rng, uint8_t *p, size_t len)
{
	static const char *const words[] = {
		"segment ", "extent ", "of ", "the ", "frame\n", "journal "};

	for (size_t at = 0; at < len;) {
		const char *w = words[rng_below(rng, 6)];
		size_t n = strlen(w) < len - at ? strlen(w) : len - at;

		memcpy(p + at, w, n);
		at += n;
	}
}

static size_t pack_one(struct codec_choice c, const uint8_t *p, size_t len, uint8_t *out)
{
	struct slice s = SLICE(p, len);
	int64_t n = codec_pack(c, &s, 1, out);

	ck_assert_int_ge(n, CODEC_HEADER_BYTES);
	ck_assert_uint_le((size_t)n, codec_bound(len));
	return (size_t)n;
}

static void check_back(const uint8_t *packed, size_t n, const uint8_t *plain, size_t len)
{
	uint8_t *back = malloc(len + 1);

	ck_assert_int_eq(codec_plain_len(SLICE(packed, n)), (int64_t)len);
	ck_assert_int_eq(codec_unpack(SLICE(packed, n), back, len), 0);
	ck_assert(memcmp(back, plain, len) == 0);
	free(back);
}

START_TEST(names)
{
	static const char *const wrong[] = {"", "zstd", "zstd-", "zstd-0", "zstd-23", "zstd-03",
		"zstd-3x", "zstd--1", "zstd-99999999999999999999", "LZ4", "gzip", "lz4 "};
	struct codec_choice c;
	struct error err = {0};

	ck_assert_int_eq(codec_parse("auto", &c, &err), 0);
	ck_assert_int_eq(c.codec, CODEC_LZ4);
	ck_assert_int_eq(codec_parse("lz4", &c, &err), 0);
	ck_assert_int_eq(c.codec, CODEC_LZ4);
	ck_assert_int_eq(codec_parse("none", &c, &err), 0);
	ck_assert_int_eq(c.codec, CODEC_RAW);
	ck_assert_int_eq(codec_parse("zstd-1", &c, &err), 0);
	ck_assert_int_eq(c.level, 1);
	ck_assert_int_eq(codec_parse("zstd-22", &c, &err), 0);
	ck_assert_int_eq(c.codec, CODEC_ZSTD);
	ck_assert_int_eq(c.level, 22);
	ck_assert_int_eq(err.code, 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(codec_parse(wrong[i], &c, &err) == -EINVAL, "\"%s\"", wrong[i]);
		ck_assert_ptr_nonnull(strstr(err.text, "zstd-22"));
	}
}
END_TEST

START_TEST(stored_bytes)
{
	uint8_t out[16], big[70000] = {0};

	ck_assert_uint_eq(pack_one(raw, (const uint8_t *)"abc", 3, out), 7);
	ck_assert(memcmp(out, "\0\3\0\0abc", 7) == 0);
	ck_assert_uint_eq(pack_one(lz4, NULL, 0, out), 4);
	ck_assert(memcmp(out, "\0\0\0\0", 4) == 0);

	uint8_t *packed = malloc(codec_bound(sizeof(big)));
	size_t n = pack_one(lz4, big, sizeof(big), packed);

	ck_assert_uint_lt(n, 400);
	ck_assert(memcmp(packed, "\1\x70\x11\x01", 4) == 0);
	n = pack_one(zstd, big, sizeof(big), packed);
	ck_assert_uint_lt(n, 100);
	ck_assert(memcmp(packed, "\2\x70\x11\x01\x28\xb5\x2f\xfd", 8) == 0);
	free(packed);
}
END_TEST

static size_t random_len(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return rng_below(rng, 100);
	case 1:
		return rng_below(rng, 5000);
	default:
		return rng_below(rng, 140000);
	}
}

/* Cuts [p, p + len) into up to 8 slices, some of them empty. */
static size_t cut(struct rng *rng, const uint8_t *p, size_t len, struct slice *out)
{
	size_t n = 1 + rng_below(rng, 8), at = 0;

	for (size_t i = 0; i < n; i++) {
		size_t take = i + 1 == n ? len - at : rng_below(rng, len - at + 1);

		out[i] = SLICE(p + at, take);
		at += take;
	}
	return n;
}

START_TEST(random_round_trips)
{
	struct rng rng = fixture_rng();
	uint8_t *plain = malloc(140000), *packed = malloc(codec_bound(140000)),
		*whole = malloc(codec_bound(140000));
	struct slice parts[8];

	for (int i = 0; i < 200; i++) {
		size_t len = random_len(&rng);
		struct codec_choice c = {
			.codec = (enum codec)(i % 3), .level = 1 + (int)rng_below(&rng, 6)};

		if (rng_chance(&rng, 1, 3))
			rng_fill(&rng, plain, len);
		else
			fill_text(&rng, plain, len);
		size_t nparts = cut(&rng, plain, len, parts);
		int64_t n = codec_pack(c, parts, nparts, packed);

		ck_assert_int_ge(n, 4);
		ck_assert_uint_le((size_t)n, codec_bound(len));
		check_back(packed, (size_t)n, plain, len);
		/* How the input was cut does not show. */
		ck_assert_uint_eq(pack_one(c, plain, len, whole), (size_t)n);
		ck_assert(memcmp(whole, packed, (size_t)n) == 0);
	}
	free(plain);
	free(packed);
	free(whole);
}
END_TEST

START_TEST(what_compresses)
{
	struct rng rng = fixture_rng();
	const struct codec_choice choices[] = {lz4, zstd};
	uint8_t *plain = malloc(65536), *out = malloc(codec_bound(65536));

	for (int i = 0; i < 2; i++) {
		rng_fill(&rng, plain, 65536);
		ck_assert_uint_eq(pack_one(choices[i], plain, 65536, out), 65536 + 4);
		ck_assert_uint_eq(out[0], CODEC_RAW);
		/* Random bytes that repeat at a short distance look random to a count of bytes. */
		for (size_t at = 4096; at < 65536; at += 4096)
			memcpy(plain + at, plain, 4096);
		ck_assert_uint_lt(pack_one(choices[i], plain, 65536, out), 8192);
		fill_text(&rng, plain, 65536);
		ck_assert_uint_lt(pack_one(choices[i], plain, 65536, out), 32768);
		ck_assert_uint_eq(out[0], choices[i].codec);
		/* Half of it. */
		rng_fill(&rng, plain, 32768);
		ck_assert_uint_lt(pack_one(choices[i], plain, 65536, out), 60000);
		/* 64 values: nothing repeats, but six bits would do. */
		rng_fill(&rng, plain, 65536);
		for (size_t at = 0; at < 65536; at++)
			plain[at] &= 63;
		size_t n = pack_one(choices[i], plain, 65536, out);

		ck_assert_uint_eq(out[0], choices[i].codec == CODEC_ZSTD ? CODEC_ZSTD : CODEC_RAW);
		if (choices[i].codec == CODEC_ZSTD)
			ck_assert_uint_lt(n, 51000);
	}
	free(plain);
	free(out);
}
END_TEST

/* Never a codec that saves less than 1/32. */
START_TEST(saves_enough_or_raw)
{
	struct rng rng = fixture_rng();
	uint8_t plain[4096], out[4100];
	unsigned packed = 0;

	for (size_t zeros = 0; zeros < 400; zeros++) {
		rng_fill(&rng, plain, sizeof(plain));
		memset(plain, 0, zeros);
		size_t n = pack_one(zeros % 2 ? lz4 : zstd, plain, 4096, out);

		if (out[0] == CODEC_RAW)
			ck_assert_uint_eq(n, 4100);
		else
			ck_assert_uint_le(n, 4 + 4096 - 128);
		packed += out[0] != CODEC_RAW;
		check_back(out, n, plain, 4096);
	}
	ck_assert_uint_gt(packed, 50);
}
END_TEST

START_TEST(largest)
{
	struct rng rng = fixture_rng();
	size_t len = CODEC_PLAIN_MAX;
	uint8_t *plain = malloc(len), *out = malloc(codec_bound(len));

	fill_text(&rng, plain, len);
	for (int codec = 0; codec < 3; codec++) {
		struct codec_choice c = {.codec = (enum codec)codec, .level = 1};
		size_t n = pack_one(c, plain, len, out);

		ck_assert_uint_eq(out[0], (unsigned)codec);
		check_back(out, n, plain, len);
	}
	free(plain);
	free(out);
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
	struct rng rng = fixture_rng();
	uint8_t plain[3000], packed[3004], more[6100], out[3001];

	fill_text(&rng, plain, sizeof(plain));
	for (int codec = 0; codec < 3; codec++) {
		struct codec_choice c = {.codec = (enum codec)codec, .level = 3};
		size_t n = pack_one(c, plain, sizeof(plain), packed);

		ck_assert_uint_eq(packed[0], (unsigned)codec);
		ck_assert_int_eq(codec_unpack(SLICE(packed, n), out, 2999), -EBADMSG);
		ck_assert_int_eq(codec_unpack(SLICE(packed, n), out, 3001), -EBADMSG);
		for (size_t cut_at = 0; cut_at < n; cut_at++)
			ck_assert_int_eq(codec_unpack(SLICE(packed, cut_at), out, 3000), -EBADMSG);
		memcpy(more, packed, n);
		more[n] = 0;
		ck_assert_int_eq(codec_unpack(SLICE(more, n + 1), out, 3000), -EBADMSG);
		more[1]++; /* says one byte more than it holds */
		ck_assert_int_eq(codec_unpack(SLICE(more, n), out, 3001), -EBADMSG);
	}
	packed[0] = 3;
	ck_assert_int_eq(codec_plain_len(SLICE(packed, 100)), -EBADMSG);
	ck_assert_int_eq(codec_plain_len(SLICE("\1\0\0\0", 4)), -EBADMSG);
	ck_assert_int_eq(codec_plain_len(SLICE("\2\0\0\0x", 5)), -EBADMSG);
	ck_assert_int_eq(codec_plain_len(SLICE("\0\0\0", 3)), -EBADMSG);
	ck_assert_int_eq(codec_plain_len(SLICE("\0\0\0\0", 4)), 0);
}
END_TEST

/* One frame and nothing else, though the library would read several and skip foreign ones. */
START_TEST(one_zstd_frame)
{
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0xaa};
	/* What zstd 0.7 wrote: 200 times 'a'. Libraries built with support for it would read it. */
	static const uint8_t legacy[] = {
		CODEC_ZSTD, 200, 0, 0, 0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0x80, 0, 200, 'a', 0xc0, 0, 0};
	uint8_t zeros[2000] = {0}, packed[300] = {CODEC_ZSTD, 0xd0, 0x07, 0}, out[2000];
	size_t a = ZSTD_compress(packed + 4, 200, zeros, 1000, 1);
	size_t b = ZSTD_compress(packed + 4 + a, 200 - a, zeros, 1000, 1);

	ck_assert_int_eq(codec_unpack(SLICE(packed, 4 + a + b), out, 2000), -EBADMSG);
	ck_assert_int_eq(codec_unpack(SLICE(legacy, sizeof(legacy)), out, 200), -EBADMSG);
	memcpy(packed + 4, skippable, sizeof(skippable));
	a = ZSTD_compress(packed + 4 + sizeof(skippable), 200, zeros, 2000, 1);
	ck_assert_int_eq(
		codec_unpack(SLICE(packed, 4 + sizeof(skippable) + a), out, 2000), -EBADMSG);
	a = ZSTD_compress(packed + 4, 200, zeros, 2000, 1);
	ck_assert_int_eq(codec_unpack(SLICE(packed, 4 + a), out, 2000), 0);
	memcpy(packed + 4 + a, skippable, sizeof(skippable));
	ck_assert_int_eq(
		codec_unpack(SLICE(packed, 4 + a + sizeof(skippable)), out, 2000), -EBADMSG);
}
END_TEST

/* Arbitrary bytes: an error or a result, never a byte outside (AddressSanitizer watches). */
START_TEST(hostile_bytes)
{
	struct rng rng = fixture_rng();
	uint8_t plain[2000];

	for (int i = 0; i < 20000; i++) {
		size_t len = rng_below(&rng, 2000), n;
		uint8_t *packed = malloc(codec_bound(len)), *out;

		if (rng_chance(&rng, 1, 2)) {
			n = rng_below(&rng, codec_bound(len) + 1);
			rng_fill(&rng, packed, n);
			if (n > 3) {
				packed[0] %= 4;
				packed[2] &= 7;
				packed[3] = 0;
			}
		} else {
			fill_text(&rng, plain, len);
			n = pack_one(rng_chance(&rng, 1, 2) ? lz4 : zstd, plain, len, packed);
			for (unsigned j = 0; j < 3; j++)
				packed[rng_below(&rng, n)] ^= (uint8_t)(1u << rng_below(&rng, 8));
		}
		/* exact allocations, so that a byte too far is seen */
		uint8_t *exact = malloc(n ? n : 1);

		memcpy(exact, packed, n);
		int64_t said = codec_plain_len(SLICE(exact, n));

		if (said >= 0 && said < 4096) {
			out = malloc(said ? (size_t)said : 1);
			int r = codec_unpack(SLICE(exact, n), out, (size_t)said);

			ck_assert(r == 0 || r == -EBADMSG);
			free(out);
		}
		free(exact);
		free(packed);
	}
}
END_TEST

static void pack_many(void *arg)
{
	struct rng rng = rng_of(*(uint64_t *)arg);
	uint8_t *plain = malloc(20000), *out = malloc(codec_bound(20000));

	for (int i = 0; i < 60; i++) {
		struct slice two[2] = {SLICE(plain, 9000), SLICE(plain + 9000, 11000)};
		struct codec_choice c = {.codec = (enum codec)(i % 3), .level = 1};

		fill_text(&rng, plain, 20000);
		int64_t n = codec_pack(c, two, 2, out);

		check_back(out, (size_t)n, plain, 20000);
	}
	free(plain);
	free(out);
}

START_TEST(threads)
{
	struct thread t[4];
	uint64_t id[4] = {1, 2, 3, 4};

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(thread_start(&t[i], "pack", pack_many, &id[i]), 0);
	for (int i = 0; i < 4; i++)
		thread_join(&t[i]);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("codec");

	tcase_add_test(t, names);
	tcase_add_test(t, stored_bytes);
	tcase_add_test(t, random_round_trips);
	tcase_add_test(t, what_compresses);
	tcase_add_test(t, saves_enough_or_raw);
	tcase_add_test(t, largest);
	tcase_add_test(t, refuses_what_does_not_fit);
	tcase_add_test(t, one_zstd_frame);
	tcase_add_test(t, hostile_bytes);
	tcase_add_test(t, threads);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "codec");
}
