/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Published vectors, libsodium's whole XChaCha20-Poly1305 as oracle, both engines against each
 * other. */
#include "core/base/bytes.h"
#include "core/base/thread.h"
#include "core/seal/aead.h"
#include "tests/unit/seal-fixture.h"

#include <sodium.h>

struct vector {
	uint8_t key[32], aad[64], plain[512], sealed[528];
	size_t aad_len, plain_len, sealed_len;
};

static void check_vector(const struct aead_object *o, uint64_t ordinal, const struct vector *v)
{
	uint8_t out[528];

	ck_assert_uint_eq(v->sealed_len, v->plain_len + AEAD_TAG_BYTES);
	ck_assert_int_eq(aead_seal(o, ordinal, SLICE(v->aad, v->aad_len),
				 SLICE(v->plain, v->plain_len), out),
		0);
	ck_assert(memcmp(out, v->sealed, v->sealed_len) == 0);
	memset(out, 0, sizeof(out));
	ck_assert_int_eq(aead_open(o, ordinal, SLICE(v->aad, v->aad_len),
				 SLICE(v->sealed, v->sealed_len), out),
		0);
	ck_assert(memcmp(out, v->plain, v->plain_len) == 0);
}

/* draft-irtf-cfrg-xchacha-03, A.3.1 */
START_TEST(xchacha_vector)
{
	static const char text[] =
		"Ladies and Gentlemen of the class of '99: If I could offer you only one tip "
		"for the future, sunscreen would be it.";
	uint8_t nonce[24];
	struct vector v = {.plain_len = strlen(text)};
	struct aead_object o;

	aead_use((enum aead_engine)_i);
	memcpy(v.plain, text, v.plain_len);
	unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", v.key);
	unhex("404142434445464748494a4b4c4d4e4f5051525354555657", nonce);
	v.aad_len = unhex("50515253c0c1c2c3c4c5c6c7", v.aad);
	v.sealed_len = unhex(
		"bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa644"
		"0bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e"
		"3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e"
		"c0875924c1c7987947deafd8780acf49",
		v.sealed);
	aead_object_init(&o, v.key, nonce);
	check_vector(&o, get_le64(nonce + 16), &v);
}
END_TEST

/* RFC 8439, A.5, whose nonce begins with four zeros as ours do */
START_TEST(rfc8439_vector)
{
	struct vector v = {0};
	struct aead_object o;

	aead_use((enum aead_engine)_i);
	unhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0", o.key);
	v.aad_len = unhex("f33388860000000000004e91", v.aad);
	v.plain_len = unhex(
		"496e7465726e65742d4472616674732061726520647261667420646f63756d656e74732076616c69"
		"6420666f722061206d6178696d756d206f6620736978206d6f6e74687320616e64206d6179206265"
		"20757064617465642c207265706c616365642c206f72206f62736f6c65746564206279206f746865"
		"7220646f63756d656e747320617420616e792074696d652e20497420697320696e617070726f7072"
		"6961746520746f2075736520496e7465726e65742d447261667473206173207265666572656e6365"
		"206d6174657269616c206f7220746f2063697465207468656d206f74686572207468616e20617320"
		"2fe2809c776f726b20696e2070726f67726573732e2fe2809d",
		v.plain);
	v.sealed_len = unhex(
		"64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43ee"
		"a09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b9481"
		"14ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0"
		"f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
		"af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa7699"
		"1955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"
		"305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b"
		"eead9d67890cbb22392336fea1851f38",
		v.sealed);
	check_vector(&o, 0x0807060504030201ull, &v);
}
END_TEST

/* draft-irtf-cfrg-xchacha-03, 2.2.1 */
START_TEST(hchacha_vector)
{
	uint8_t key[32], salt[16], expected[32];
	struct aead_object o;

	unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", key);
	unhex("000000090000004a0000000031415927", salt);
	unhex("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc", expected);
	aead_object_init(&o, key, salt);
	ck_assert(memcmp(o.key, expected, 32) == 0);
}
END_TEST

#define ORACLE_MAX 70000

/* The whole algorithm by libsodium: nonce = salt || ordinal. */
static void oracle(const uint8_t *key, const uint8_t *salt, uint64_t ordinal, struct slice aad,
	struct slice plain, uint8_t *out)
{
	uint8_t nonce[24];

	memcpy(nonce, salt, 16);
	put_le64(nonce + 16, ordinal);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		out, NULL, plain.data, plain.len, aad.data, aad.len, NULL, nonce, key);
}

START_TEST(random_against_oracle)
{
	struct rng rng = fixture_rng();
	uint8_t *plain = malloc(ORACLE_MAX), *expected = malloc(ORACLE_MAX + 16),
		*out = malloc(ORACLE_MAX + 16), key[32], salt[16], aad[200];
	struct aead_object o;

	for (int i = 0; i < 600; i++) {
		size_t len = rng_below(&rng, i % 20 ? 300 : ORACLE_MAX),
		       aad_len = rng_below(&rng, 200);
		uint64_t ordinal = rng_chance(&rng, 1, 4) ? 1ull << 63 | rng_below(&rng, 10)
							  : rng_next(&rng) >> rng_below(&rng, 64);

		rng_fill(&rng, plain, len);
		rng_fill(&rng, key, sizeof(key));
		rng_fill(&rng, salt, sizeof(salt));
		rng_fill(&rng, aad, aad_len);
		oracle(key, salt, ordinal, SLICE(aad, aad_len), SLICE(plain, len), expected);
		aead_object_init(&o, key, salt);
		for (int engine = 0; engine < 2; engine++) {
			aead_use((enum aead_engine)engine);
			memcpy(out, plain, len); /* in place */
			ck_assert_int_eq(
				aead_seal(&o, ordinal, SLICE(aad, aad_len), SLICE(out, len), out),
				0);
			ck_assert(memcmp(out, expected, len + 16) == 0);
			ck_assert_int_eq(aead_open(&o, ordinal, SLICE(aad, aad_len),
						 SLICE(out, len + 16), out),
				0);
			ck_assert(memcmp(out, plain, len) == 0);
		}
	}
	free(plain);
	free(expected);
	free(out);
}
END_TEST

START_TEST(refuses_changes)
{
	struct aead_object o, other;
	uint8_t key[32] = {1}, salt[16] = {2}, plain[50] = {3}, aad[20] = {4}, sealed[66], out[66];

	aead_use((enum aead_engine)_i);
	aead_object_init(&o, key, salt);
	ck_assert_int_eq(aead_seal(&o, 5, SLICE(aad, 20), SLICE(plain, 50), sealed), 0);
	ck_assert_int_eq(aead_open(&o, 5, SLICE(aad, 20), SLICE(sealed, 66), out), 0);
	ck_assert_int_eq(aead_open(&o, 6, SLICE(aad, 20), SLICE(sealed, 66), out), -EBADMSG);
	ck_assert_int_eq(aead_open(&o, 5, SLICE(aad, 19), SLICE(sealed, 66), out), -EBADMSG);
	for (size_t n = 0; n < 66; n++)
		ck_assert_int_eq(aead_open(&o, 5, SLICE(aad, 20), SLICE(sealed, n), out), -EBADMSG);
	for (size_t bit = 0; bit < 66 * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(
			aead_open(&o, 5, SLICE(aad, 20), SLICE(sealed, 66), out), -EBADMSG);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 20 * 8; bit++) {
		aad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(
			aead_open(&o, 5, SLICE(aad, 20), SLICE(sealed, 66), out), -EBADMSG);
		aad[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	salt[15] ^= 1;
	aead_object_init(&other, key, salt);
	ck_assert_int_eq(aead_open(&other, 5, SLICE(aad, 20), SLICE(sealed, 66), out), -EBADMSG);
	ck_assert_int_eq(aead_open(&o, 5, SLICE(aad, 20), SLICE(sealed, 66), out), 0);
}
END_TEST

START_TEST(empty)
{
	struct aead_object o = {{9}};
	uint8_t tag[16], other[16];

	aead_use(AEAD_LIBCRYPTO);
	ck_assert_int_eq(aead_seal(&o, 0, SLICE(NULL, 0), SLICE(NULL, 0), tag), 0);
	aead_use(AEAD_LIBSODIUM);
	ck_assert_int_eq(aead_seal(&o, 0, SLICE(NULL, 0), SLICE(NULL, 0), other), 0);
	ck_assert(memcmp(tag, other, 16) == 0);
	ck_assert_int_eq(aead_open(&o, 0, SLICE(NULL, 0), SLICE(tag, 16), NULL), 0);
	aead_use(AEAD_LIBCRYPTO);
	ck_assert_int_eq(aead_open(&o, 0, SLICE(NULL, 0), SLICE(tag, 16), NULL), 0);
	ck_assert_int_eq(aead_open(&o, 1, SLICE(NULL, 0), SLICE(tag, 16), NULL), -EBADMSG);
}
END_TEST

START_TEST(ordinals)
{
	ck_assert_uint_eq(ORDINAL_JOURNAL_PART(0), 0x8000000000000001ull);
	ck_assert_uint_eq(ORDINAL_JOURNAL_PART(1), 0x8000000000001001ull);
	ck_assert_uint_eq(ORDINAL_JOURNAL_PART(2), 0x8000000000001002ull);
	ck_assert_uint_eq(ORDINAL_TABLE_PROPERTIES, 0x8000000000000009ull);
}
END_TEST

static void seal_many(void *arg)
{
	uint8_t key[32] = {*(uint8_t *)arg}, salt[16] = {0}, buf[1016] = {0}, expected[1016];
	struct aead_object o;

	aead_object_init(&o, key, salt);
	oracle(key, salt, 1, SLICE("", 0), SLICE(buf, 1000), expected);
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(aead_seal(&o, 1, SLICE(NULL, 0), SLICE(buf, 1000), buf), 0);
		ck_assert(memcmp(buf, expected, 1016) == 0);
		ck_assert_int_eq(aead_open(&o, 1, SLICE(NULL, 0), SLICE(buf, 1016), buf), 0);
	}
}

/* Each thread has a context of its own, which goes with it (LeakSanitizer watches). */
START_TEST(threads)
{
	struct thread t[4];
	uint8_t id[4] = {1, 2, 3, 4};

	aead_use(AEAD_LIBCRYPTO);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(thread_start(&t[i], "seal", seal_many, &id[i]), 0);
	for (int i = 0; i < 4; i++)
		thread_join(&t[i]);
}
END_TEST

/* Here libcrypto has the cipher: the fast engine is really the one that the other tests ran. */
START_TEST(engine_is_chosen)
{
	ck_assert_int_eq(aead_engine(), AEAD_LIBCRYPTO);
	aead_use(AEAD_LIBSODIUM);
	ck_assert_int_eq(aead_engine(), AEAD_LIBSODIUM);
	aead_use(AEAD_LIBCRYPTO);
	ck_assert_int_eq(aead_engine(), AEAD_LIBCRYPTO);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("aead");

	tcase_add_loop_test(t, xchacha_vector, 0, 2);
	tcase_add_loop_test(t, rfc8439_vector, 0, 2);
	tcase_add_test(t, hchacha_vector);
	tcase_add_test(t, random_against_oracle);
	tcase_add_loop_test(t, refuses_changes, 0, 2);
	tcase_add_test(t, empty);
	tcase_add_test(t, ordinals);
	tcase_add_test(t, threads);
	tcase_add_test(t, engine_is_chosen);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "aead");
}
