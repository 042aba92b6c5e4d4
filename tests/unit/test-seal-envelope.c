/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/envelope.h"
#include "core/base/bytes.h"
#include "core/base/crc.h"
#include "core/seal/envelope_format.h"
#include "tests/unit/seal-fixture.h"

#include <sodium.h>

#define SEGMENT (1u << OBJECT_SEGMENT)

static const struct codec_choice lz4 = {.codec = CODEC_LZ4}, none = {.codec = CODEC_RAW};

struct world {
	struct store *store;
	struct volume_keys *keys;
	struct envelope e;
};

static struct world world_make(enum object_kind kind, uint64_t a, uint64_t b)
{
	struct world w = {.store = fixture_store()};

	w.keys = fixture_keys(w.store);
	ck_assert_int_eq(envelope_new(w.keys, kind, a, b, &w.e, NULL), 0);
	return w;
}

static void world_done(struct world *w)
{
	keys_free(w->keys);
	store_close(w->store);
}

static void fix_crc(uint8_t *h)
{
	put_le32(h + 92, crc32c(0, h, 92));
}

START_TEST(header_bytes)
{
	struct header h = {.kind = OBJECT_TABLE,
		.key_id = 0x01020304,
		.a = 0x1112131415161718,
		.b = 0x2122232425262728,
		.incompatible = 0,
		.read_only_compatible = 0x31323334,
		.compatible = 0x41424344};
	uint8_t raw[96], expected[96];
	struct header back;

	memset(h.volume, 0xaa, 16);
	memset(h.salt, 0xbb, 16);
	header_encode(&h, raw);
	unhex("8f5a45524f46530a"
	      "03010100"
	      "04030201"
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	      "1817161514131211"
	      "2827262524232221"
	      "00000000"
	      "34333231"
	      "44434241"
	      "00000000000000000000000000000000"
	      "00000000",
		expected);
	fix_crc(expected);
	ck_assert(memcmp(raw, expected, 96) == 0);
	ck_assert_int_eq(header_decode(SLICE(raw, 96), &back, NULL), 0);
	ck_assert_int_eq(back.kind, OBJECT_TABLE);
	ck_assert_uint_eq(back.key_id, h.key_id);
	ck_assert_uint_eq(back.a, h.a);
	ck_assert_uint_eq(back.b, h.b);
	ck_assert_uint_eq(back.read_only_compatible, h.read_only_compatible);
	ck_assert_uint_eq(back.compatible, h.compatible);
	ck_assert(memcmp(back.volume, h.volume, 16) == 0 && memcmp(back.salt, h.salt, 16) == 0);
}
END_TEST

START_TEST(header_refused)
{
	struct header h = {.kind = OBJECT_CLAIM, .key_id = 1, .a = 1}, back;
	struct error err = {0};
	uint8_t raw[96], bad[96];

	header_encode(&h, raw);
	for (size_t n = 0; n < 96; n++)
		ck_assert_int_eq(header_decode(SLICE(raw, n), &back, &err), -EBADMSG);
	for (size_t bit = 0; bit < 96 * 8; bit++) {
		memcpy(bad, raw, 96);
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(header_decode(SLICE(bad, 96), &back, &err), -EBADMSG);
	}
	for (unsigned kind = 0; kind < 256; kind++) {
		memcpy(bad, raw, 96);
		bad[8] = (uint8_t)kind;
		fix_crc(bad);
		ck_assert_int_eq(header_decode(SLICE(bad, 96), &back, &err),
			kind >= 1 && kind <= 7 ? 0 : -EBADMSG);
	}
	memcpy(bad, raw, 96);
	bad[9] = 2;
	fix_crc(bad);
	ck_assert_int_eq(header_decode(SLICE(bad, 96), &back, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "version 2"));
	memcpy(bad, raw, 96);
	bad[10] = 2;
	fix_crc(bad);
	ck_assert_int_eq(header_decode(SLICE(bad, 96), &back, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "cipher 2"));
	for (unsigned bit = 0; bit < 32; bit++) {
		char text[40];

		memcpy(bad, raw, 96);
		put_le32(bad + 64, 1u << bit);
		fix_crc(bad);
		ck_assert_int_eq(header_decode(SLICE(bad, 96), &back, &err), -EPROTONOSUPPORT);
		snprintf(text, sizeof(text), "incompatible feature %u,", bit);
		ck_assert_ptr_nonnull(strstr(err.text, text));
	}
	/* Reserved bytes and the other classes of features do not refuse. */
	memcpy(bad, raw, 96);
	bad[11] = 1;
	memset(bad + 68, 0xff, 24);
	fix_crc(bad);
	ck_assert_int_eq(header_decode(SLICE(bad, 96), &back, &err), 0);
}
END_TEST

START_TEST(open_checks_the_place)
{
	struct world w = world_make(OBJECT_SEGMENT, 7, 9), other = world_make(OBJECT_SEGMENT, 7, 9);
	struct envelope e;
	struct error err = {0};
	uint8_t salt[16], bad[96];
	struct slice raw = SLICE(w.e.raw, 96);

	memcpy(salt, w.e.header.salt, 16);
	ck_assert_int_eq(envelope_open(w.keys, raw, SEGMENT, 7, 9, NULL, &e, &err), 0);
	ck_assert(memcmp(e.raw, w.e.raw, 96) == 0);
	ck_assert(memcmp(e.key.key, w.e.key.key, 32) == 0);
	ck_assert_int_eq(
		envelope_open(w.keys, raw, SEGMENT | 1u << OBJECT_FENCE, 7, 9, salt, &e, &err), 0);
	ck_assert_int_eq(err.code, 0);
	ck_assert_int_eq(envelope_open(w.keys, raw, SEGMENT, 8, 9, NULL, &e, &err), -EBADMSG);
	ck_assert_int_eq(envelope_open(w.keys, raw, SEGMENT, 7, 8, NULL, &e, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "another place"));
	ck_assert_int_eq(
		envelope_open(w.keys, raw, 1u << OBJECT_FENCE, 7, 9, NULL, &e, &err), -EBADMSG);
	salt[0] ^= 1;
	ck_assert_int_eq(envelope_open(w.keys, raw, SEGMENT, 7, 9, salt, &e, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "salt"));
	ck_assert_int_eq(envelope_open(other.keys, raw, SEGMENT, 7, 9, NULL, &e, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "another volume"));
	memcpy(bad, w.e.raw, 96);
	bad[12] = 2;
	fix_crc(bad);
	ck_assert_int_eq(
		envelope_open(w.keys, SLICE(bad, 96), SEGMENT, 7, 9, NULL, &e, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "ring key 2"));
	world_done(&w);
	world_done(&other);
}
END_TEST

/* Each object has a salt and so a key of its own; kinds have subkeys of their own. */
START_TEST(keys_differ)
{
	struct world w = world_make(OBJECT_SEGMENT, 1, 0);
	struct envelope again, fence;
	uint8_t a[32], b[32];

	ck_assert_int_eq(envelope_new(w.keys, OBJECT_SEGMENT, 1, 0, &again, NULL), 0);
	ck_assert(memcmp(again.header.salt, w.e.header.salt, 16) != 0);
	ck_assert(memcmp(again.key.key, w.e.key.key, 32) != 0);
	ck_assert_int_eq(envelope_new(w.keys, OBJECT_FENCE, 1, 0, &fence, NULL), 0);
	for (enum subkey i = SUBKEY_SEGMENT; i <= SUBKEY_CACHE; i++)
		for (enum subkey j = SUBKEY_SEGMENT; j < i; j++) {
			ck_assert_int_eq(keys_subkey(w.keys, 1, i, a), 0);
			ck_assert_int_eq(keys_subkey(w.keys, 1, j, b), 0);
			ck_assert(memcmp(a, b, 32) != 0);
		}
	static const struct {
		enum object_kind kind;
		enum subkey subkey;
	} map[] = {{OBJECT_SEGMENT, SUBKEY_SEGMENT}, {OBJECT_FENCE, SUBKEY_SEGMENT},
		{OBJECT_TABLE, SUBKEY_TABLE}, {OBJECT_MANIFEST, SUBKEY_MANIFEST},
		{OBJECT_CLAIM, SUBKEY_CLAIM}, {OBJECT_HEARTBEAT, SUBKEY_CLAIM}};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		struct aead_object o;

		ck_assert_int_eq(envelope_new(w.keys, map[i].kind, 1, 0, &again, NULL), 0);
		ck_assert_int_eq(keys_subkey(w.keys, 1, map[i].subkey, a), 0);
		aead_object_init(&o, a, again.header.salt);
		ck_assert(memcmp(o.key, again.key.key, 32) == 0);
	}
	world_done(&w);
}
END_TEST

static int open_part(const struct envelope *e, uint64_t ordinal, uint32_t aad_len, const uint8_t *p,
	size_t n, size_t max)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct error err = {0};

	buf_append(&out, "before", 6);
	uint8_t *exact = malloc(n ? n : 1);

	memcpy(exact, p, n);
	int r = part_open(e, ordinal, aad_len, SLICE(exact, n), max, &out, "the part", &err);

	free(exact);
	ck_assert(memcmp(out.data, "before", 6) == 0);
	if (r < 0) {
		ck_assert_uint_eq(out.len, 6);
		ck_assert_ptr_nonnull(strstr(err.text, "the part"));
	}
	return r;
}

/* The bytes of docs/format.md, put together by libsodium alone. */
START_TEST(part_bytes)
{
	struct world w = world_make(OBJECT_MANIFEST, 3, 0);
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	uint8_t subkey[32], nonce[24], aad[108], expected[23];

	ck_assert_int_eq(
		part_seal(&w.e, ORDINAL_MANIFEST, 0, none, SLICE("abc", 3), &out, NULL), 0);
	ck_assert_int_eq(keys_subkey(w.keys, 1, SUBKEY_MANIFEST, subkey), 0);
	memcpy(nonce, w.e.raw + 32, 16);
	put_le64(nonce + 16, (1ull << 63) + 3);
	memcpy(aad, w.e.raw, 96);
	put_le64(aad + 96, (1ull << 63) + 3);
	put_le32(aad + 104, 0);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		expected, NULL, (const uint8_t *)"\0\3\0\0abc", 7, aad, 108, NULL, nonce, subkey);
	ck_assert_uint_eq(out.len, 23);
	ck_assert(memcmp(out.data, expected, 23) == 0);
	buf_clear(&out);
	/* The body of a fence: 20 bytes. */
	ck_assert_int_eq(part_seal(&w.e, ORDINAL_FENCE, 0, lz4, SLICE(NULL, 0), &out, NULL), 0);
	ck_assert_uint_eq(out.len, 20);
	ck_assert_int_eq(open_part(&w.e, ORDINAL_FENCE, 0, out.data, 20, 0), 0);
	world_done(&w);
}
END_TEST

START_TEST(part_round_trips)
{
	struct world w = world_make(OBJECT_TABLE, 3, 5);
	struct rng rng = fixture_rng();
	CLEANUP(buf_done) struct buf out = BUF_INIT, back = BUF_INIT;
	uint8_t *plain = malloc(30000);
	size_t at = 0;

	for (uint64_t i = 0; i < 40; i++) {
		size_t len = rng_below(&rng, 30000), before = back.len;
		struct codec_choice c = {.codec = (enum codec)(i % 3), .level = 3};
		uint32_t known = i % 2 ? (uint32_t)len : 0;

		memset(plain, (int)i, len);
		rng_fill(&rng, plain, len / 2);
		ck_assert_int_eq(part_seal(&w.e, i, known, c, SLICE(plain, len), &out, NULL), 0);
		ck_assert_uint_le(out.len - at, part_bound(len));
		ck_assert_int_eq(part_open(&w.e, i, known, SLICE(out.data + at, out.len - at), len,
					 &back, "part", NULL),
			0);
		ck_assert_uint_eq(back.len - before, len);
		ck_assert(memcmp(back.data + before, plain, len) == 0);
		at = out.len;
	}
	free(plain);
	world_done(&w);
}
END_TEST

START_TEST(part_tamper_sweep)
{
	struct world w = world_make(OBJECT_TABLE, 3, 5);
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	uint8_t plain[400] = {1};
	struct envelope e;

	ck_assert_int_eq(
		part_seal(&w.e, 2, 400, _i ? lz4 : none, SLICE(plain, 400), &out, NULL), 0);
	ck_assert_int_eq(open_part(&w.e, 2, 400, out.data, out.len, 400), 0);
	ck_assert_int_eq(open_part(&w.e, 2, 400, out.data, out.len, 399), -EBADMSG);
	ck_assert_int_eq(open_part(&w.e, 2, 0, out.data, out.len, 400), -EBADMSG);
	ck_assert_int_eq(open_part(&w.e, 2, 399, out.data, out.len, 400), -EBADMSG);
	ck_assert_int_eq(open_part(&w.e, 3, 400, out.data, out.len, 400), -EBADMSG);
	for (size_t i = 0; i < out.len; i++)
		ck_assert_int_eq(open_part(&w.e, 2, 400, out.data, i, 400), -EBADMSG);
	for (size_t i = 0; i < out.len * 8; i++) {
		out.data[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert_int_eq(open_part(&w.e, 2, 400, out.data, out.len, 400), -EBADMSG);
		out.data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	/* Every byte of the header is bound, those that a reader ignores as well. */
	for (size_t i = 0; i < HEADER_BYTES; i++) {
		e = w.e;
		e.raw[i] ^= 0x40;
		ck_assert_int_eq(open_part(&e, 2, 400, out.data, out.len, 400), -EBADMSG);
	}
	ck_assert_int_eq(envelope_new(w.keys, OBJECT_TABLE, 3, 5, &e, NULL), 0);
	ck_assert_int_eq(open_part(&e, 2, 400, out.data, out.len, 400), -EBADMSG);
	world_done(&w);
}
END_TEST

/* A forged header that passes the checksum never yields a part. */
START_TEST(forged_header)
{
	struct world w = world_make(OBJECT_SEGMENT, 3, 5);
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	uint8_t bad[96];
	unsigned opened = 0;

	ck_assert_int_eq(part_seal(&w.e, 2, 0, lz4, SLICE("directory", 9), &out, NULL), 0);
	for (size_t i = 0; i < 92; i++) {
		struct envelope e;

		memcpy(bad, w.e.raw, 96);
		bad[i] ^= 1;
		fix_crc(bad);
		int r = envelope_open(
			w.keys, SLICE(bad, 96), SEGMENT | 1u << OBJECT_FENCE, 3, 5, NULL, &e, NULL);

		if (r < 0)
			continue;
		opened++;
		ck_assert_int_eq(open_part(&e, 2, 0, out.data, out.len, 9), -EBADMSG);
	}
	ck_assert_uint_gt(opened, 16); /* salt, features, reserved */
	world_done(&w);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("envelope");

	tcase_add_test(t, header_bytes);
	tcase_add_test(t, header_refused);
	tcase_add_test(t, open_checks_the_place);
	tcase_add_test(t, keys_differ);
	tcase_add_test(t, part_bytes);
	tcase_add_test(t, part_round_trips);
	tcase_add_loop_test(t, part_tamper_sweep, 0, 2);
	tcase_add_test(t, forged_header);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "envelope");
}
