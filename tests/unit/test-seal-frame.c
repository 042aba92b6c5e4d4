/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/frame.h"
#include "core/base/bytes.h"
#include "tests/unit/seal-fixture.h"

#include <sodium.h>

static const struct codec_choice lz4 = {.codec = CODEC_LZ4}, raw = {.codec = CODEC_RAW};

struct fixture {
	uint8_t key[32], salt[16], lineage[16];
	struct aead_object object;
};

static struct fixture fixture_make(void)
{
	struct fixture f = {.key = {1, 2, 3}, .salt = {4, 5}, .lineage = {6, 7, 8}};

	aead_object_init(&f.object, f.key, f.salt);
	return f;
}

START_TEST(round_trips)
{
	static const size_t lens[] = {1, 2, 31, 32, 4096, 65535, 65536};
	struct fixture f = fixture_make();
	struct rng rng = fixture_rng();
	uint8_t *plain = malloc(65536), *sealed = malloc(frame_bound(65536)), *out = malloc(65536);

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]) * 3; i++) {
		size_t len = lens[i / 3], half = len / 2;
		struct slice two[2] = {SLICE(plain, half), SLICE(plain + half, len - half)};
		struct codec_choice c = {.codec = (enum codec)(i % 3), .level = 3};

		memset(plain, 'x', len);
		rng_fill(&rng, plain, len / 3);
		int64_t n = frame_seal(&f.object, f.lineage, i, c, two, 2, sealed);

		ck_assert_int_gt(n, 20);
		ck_assert_uint_le((size_t)n, frame_bound(len));
		ck_assert_int_eq(
			frame_open(&f.object, f.lineage, i, sealed, (size_t)n, out, len), 0);
		ck_assert(memcmp(out, plain, len) == 0);
	}
	free(plain);
	free(sealed);
	free(out);
}
END_TEST

/* The bytes of docs/format.md, put together by libsodium alone. */
START_TEST(stored_bytes)
{
	struct fixture f = fixture_make();
	uint8_t sealed[27], expected[27], nonce[24], aad[28];
	struct slice plain = SLICE("Hallo!!", 7);

	ck_assert_int_eq(frame_seal(&f.object, f.lineage, 0x0102, raw, &plain, 1, sealed), 27);
	memcpy(nonce, f.salt, 16);
	put_le64(nonce + 16, 0x0102);
	memcpy(aad, f.lineage, 16);
	put_le64(aad + 16, 0x0102);
	put_le32(aad + 24, 7);
	crypto_aead_xchacha20poly1305_ietf_encrypt(expected, NULL,
		(const uint8_t *)"\0\7\0\0Hallo!!", 11, aad, 28, NULL, nonce, f.key);
	ck_assert(memcmp(sealed, expected, 27) == 0);
}
END_TEST

static int try_open(
	const struct fixture *f, uint64_t ordinal, const uint8_t *sealed, size_t n, size_t len)
{
	uint8_t *copy = malloc(n ? n : 1), *out = malloc(len ? len : 1);

	memcpy(copy, sealed, n);
	int r = frame_open(&f->object, f->lineage, ordinal, copy, n, out, len);

	free(copy);
	free(out);
	return r;
}

START_TEST(tamper_sweep)
{
	struct fixture f = fixture_make();
	uint8_t plain[500] = {0}, sealed[520];
	struct slice s = SLICE(plain, 500);

	memset(plain + 100, 'a', 200);
	int64_t n = frame_seal(&f.object, f.lineage, 3, _i ? lz4 : raw, &s, 1, sealed);

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(try_open(&f, 3, sealed, (size_t)n, 500), 0);
	for (size_t i = 0; i < (size_t)n * 8; i++) {
		sealed[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert_int_eq(try_open(&f, 3, sealed, (size_t)n, 500), -EBADMSG);
		sealed[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t i = 0; i < (size_t)n; i++)
		ck_assert_int_eq(try_open(&f, 3, sealed, i, 500), -EBADMSG);
	ck_assert_int_eq(try_open(&f, 2, sealed, (size_t)n, 500), -EBADMSG);
	ck_assert_int_eq(try_open(&f, 3 | 1ull << 63, sealed, (size_t)n, 500), -EBADMSG);
	ck_assert_int_eq(try_open(&f, 3, sealed, (size_t)n, 499), -EBADMSG);
	ck_assert_int_eq(try_open(&f, 3, sealed, (size_t)n, 501), -EBADMSG);
	for (int i = 0; i < 16; i++) {
		f.lineage[i] ^= 0x10;
		ck_assert_int_eq(try_open(&f, 3, sealed, (size_t)n, 500), -EBADMSG);
		f.lineage[i] ^= 0x10;
	}
	ck_assert_int_eq(try_open(&f, 3, sealed, (size_t)n, 500), 0);
}
END_TEST

/* Lengths come from records and may be anything. */
START_TEST(hostile_lengths)
{
	struct fixture f = fixture_make();
	uint8_t sealed[100] = {0}, out[8];

	ck_assert_int_eq(frame_open(&f.object, f.lineage, 0, sealed, 20, out, 0), -EBADMSG);
	ck_assert_int_eq(frame_open(&f.object, f.lineage, 0, sealed, 100, out, 65537), -EBADMSG);
	ck_assert_int_eq(frame_open(&f.object, f.lineage, 0, sealed, 100, out, SIZE_MAX), -EBADMSG);
	ck_assert_int_eq(frame_open(&f.object, f.lineage, 0, sealed, SIZE_MAX, out, 8), -EBADMSG);
	ck_assert_int_eq(frame_open(&f.object, f.lineage, 0, sealed, 29, out, 8), -EBADMSG);
	ck_assert_int_eq(frame_open(&f.object, f.lineage, 0, sealed, 0, out, 8), -EBADMSG);
}
END_TEST

/* Authentic, but its inside does not fit: a part sealed under a frame's AAD with another packed
 * header. */
START_TEST(authentic_but_wrong)
{
	struct fixture f = fixture_make();
	uint8_t packed[11 + 16] = {0, 6, 0, 0, 'H', 'a', 'l', 'l', 'o', '!', '!'}, aad[28], out[7];

	memcpy(aad, f.lineage, 16);
	put_le64(aad + 16, 1);
	put_le32(aad + 24, 7);
	ck_assert_int_eq(aead_seal(&f.object, 1, SLICE(aad, 28), SLICE(packed, 11), packed), 0);
	ck_assert_int_eq(frame_open(&f.object, f.lineage, 1, packed, 27, out, 7), -EBADMSG);
	/* Empty, and larger than a frame may be. */
	static const size_t lens[] = {0, FRAME_PLAIN_MAX + 1};

	for (int i = 0; i < 2; i++) {
		uint8_t *large = calloc(1, lens[i] + 20), *back = malloc(lens[i] + 1);

		large[1] = (uint8_t)lens[i];
		large[3] = (uint8_t)(lens[i] >> 16);
		put_le32(aad + 24, (uint32_t)lens[i]);
		ck_assert_int_eq(
			aead_seal(&f.object, 1, SLICE(aad, 28), SLICE(large, lens[i] + 4), large),
			0);
		ck_assert_int_eq(
			frame_open(&f.object, f.lineage, 1, large, lens[i] + 20, back, lens[i]),
			-EBADMSG);
		free(large);
		free(back);
	}
}
END_TEST

START_TEST(zeros)
{
	uint8_t buf[200] = {0};

	ck_assert(bytes_are_zero(NULL, 0));
	for (size_t len = 0; len <= 200; len++) {
		ck_assert(bytes_are_zero(buf, len));
		for (size_t at = 0; at < 200; at++) {
			buf[at] = 0x80;
			ck_assert(bytes_are_zero(buf, len) == (at >= len));
			buf[at] = 0;
		}
	}
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("frame");

	tcase_add_test(t, round_trips);
	tcase_add_test(t, stored_bytes);
	tcase_add_loop_test(t, tamper_sweep, 0, 2);
	tcase_add_test(t, hostile_lengths);
	tcase_add_test(t, authentic_but_wrong);
	tcase_add_test(t, zeros);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "frame");
}
