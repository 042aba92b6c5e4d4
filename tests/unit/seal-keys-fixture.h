/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_SEAL_KEYS_FIXTURE_H
#define TESTS_UNIT_SEAL_KEYS_FIXTURE_H
/* What the tests of a volume's keys share: two passwords, stored objects as bytes. */
#include "tests/unit/seal-fixture.h"

#define KEYS_1 "keys/0000000000000001"
#define KEYS_2 "keys/0000000000000002"
#define KEYS_3 "keys/0000000000000003"

static const struct keys_options other = {
	.password = "battery staple", .kdf_memory = 16384, .kdf_passes = 2};

static inline struct buf load(struct store *s, const char *key)
{
	struct buf b = BUF_INIT;

	ck_assert_int_eq(store_get_all(s, key, 2 << 20, &b, NULL), 0);
	return b;
}

static inline void put(struct store *s, const char *key, const void *data, size_t len)
{
	ck_assert_int_eq(store_put(s, key, SLICE(data, len), NULL), 0);
}

static inline bool exists(struct store *s, const char *key)
{
	uint8_t byte;
	size_t n;

	return store_get(s, key, 0, &byte, 1, &n, NULL, NULL) == 0;
}

/* Opens and closes. `err` may be NULL. */
static inline int try_open(
	struct store *s, const struct keys_options *o, bool *ret_read_only, struct error *err)
{
	struct volume_keys *k = NULL;
	bool read_only = false;
	int r = keys_open(s, o, &k, &read_only, err);

	ck_assert((r == 0) == (k != NULL));
	keys_free(k);
	if (ret_read_only)
		*ret_read_only = read_only;
	return r;
}

static inline void same_keys(const struct volume_keys *a, const struct volume_keys *b)
{
	uint8_t x[32], y[32];

	ck_assert(memcmp(keys_volume_id(a), keys_volume_id(b), 16) == 0);
	ck_assert(memcmp(keys_lineage(a), keys_lineage(b), 16) == 0);
	ck_assert_uint_eq(keys_current(a), keys_current(b));
	ck_assert_str_eq(keys_superblock_json(a), keys_superblock_json(b));
	for (enum subkey i = SUBKEY_SEGMENT; i <= SUBKEY_CACHE; i++) {
		ck_assert_int_eq(keys_subkey(a, 1, i, x), 0);
		ck_assert_int_eq(keys_subkey(b, 1, i, y), 0);
		ck_assert(memcmp(x, y, 32) == 0);
	}
}

#endif
