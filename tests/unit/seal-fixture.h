/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_SEAL_FIXTURE_H
#define TESTS_UNIT_SEAL_FIXTURE_H
/* What the tests of core/seal share: a seed that is printed, cheap key derivation, a volume in
 * memory. */
#include "core/base/env.h"
#include "core/base/hex.h"
#include "core/base/rng.h"
#include "core/seal/keys.h"
#include "core/store/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const struct keys_options cheap = {
	.password = "correct horse", .kdf_memory = 8192, .kdf_passes = 1};

/* From SEED where it is set. Printed, so that a failure can be repeated. */
static inline struct rng fixture_rng(void)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : 0;

	if (!text)
		env_random(&seed, sizeof(seed));
	printf("SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return rng_of(seed);
}

/* An empty store that no other test sees. */
static inline struct store *fixture_store(void)
{
	static unsigned count;
	struct store *s = NULL;
	char name[32];

	snprintf(name, sizeof(name), "seal-%u", count++);
	mem_store_forget(name);
	ck_assert_int_eq(mem_store_open(name, &s, NULL), 0);
	return s;
}

static inline struct volume_keys *fixture_keys(struct store *s)
{
	struct volume_keys *k = NULL;
	struct error err = {0};
	int r = keys_create(s, &cheap, &k, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	return k;
}

/* Bytes from hexadecimal digits; returns how many. */
static inline size_t unhex(const char *text, uint8_t *out)
{
	size_t n = strlen(text) / 2;

	ck_assert(hex_decode(text, strlen(text), out, n));
	return n;
}

static inline int run_suite(TCase *(*make)(void), const char *name)
{
	Suite *s = suite_create(name);

	suite_add_tcase(s, make());
	SRunner *sr = srunner_create(s);

	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
