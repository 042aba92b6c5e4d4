/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories against a list: random insertions, removals and lookups, with 56 bits of hash and
 * with so few that names collide all the time. After each burst every name is found with its own
 * inode, cookies are unique and have not changed, reading in steps meets every entry that stayed
 * exactly once.
 */
#include "core/base/rng.h"
#include "core/vfs/dir.h"
#include "core/vfs/inode_codec.h"
#include "tests/lib/small_index.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define DIR_NUMBER 9ull
#define NAMES 3000u
#define BURSTS 7
#define BURST 600

struct model_entry {
	bool there, stayed;
	uint64_t inode, cookie;
	unsigned seen;
};

static struct small_index ix;
static struct name_hash hash;
static struct model_entry model[NAMES];
static unsigned count;
static struct rng rng;

static struct slice name_of(unsigned i, char out[32])
{
	int n = snprintf(out, 32, "%x%s", i, i % 3 ? "" : "-with-a-tail");

	return SLICE(out, (size_t)n);
}

static unsigned number_of(struct slice name)
{
	char text[64] = {0};

	ck_assert_uint_lt(name.len, sizeof(text));
	memcpy(text, name.data, name.len);
	return (unsigned)strtoul(text, NULL, 16);
}

static void put(struct slice name, uint64_t cookie, uint64_t inode)
{
	struct key k = key_dirent(DIR_NUMBER, cookie, name);
	uint8_t v[DIRENT_VALUE_MAX];
	size_t len = dirent_value_encode(inode, DT_REG, v);

	small_index_put(&ix, &k, SLICE(v, len));
}

/* How many entries share the hash of `i`. */
static unsigned sharing(unsigned i)
{
	char a[32], b[32];
	uint64_t cookie = name_cookie(&hash, name_of(i, a));
	unsigned n = 0;

	for (unsigned k = 0; k < NAMES; k++)
		n += model[k].there && name_cookie(&hash, name_of(k, b)) == cookie;
	return n;
}

static void step(void)
{
	unsigned i = (unsigned)rng_below(&rng, NAMES);
	struct model_entry *m = &model[i];
	struct dir_slot s;
	char text[32];
	struct slice name = name_of(i, text);

	ck_assert_int_eq(dir_scan(ix.index, &hash, DIR_NUMBER, name, 0, &s), 0);
	ck_assert_uint_eq(s.inode, m->there ? m->inode : 0);
	if (m->there) {
		ck_assert_uint_eq(s.cookie, m->cookie);
		if (rng_chance(&rng, 1, 2)) {
			struct key k = key_dirent(DIR_NUMBER, s.cookie, name);

			small_index_delete(&ix, &k);
			m->there = m->stayed = false;
			count--;
		}
	} else if (s.cookie == 0) {
		ck_assert_uint_eq(sharing(i), COOKIE_SLOTS);
	} else {
		*m = (struct model_entry){
			.there = true, .inode = 10 + rng_below(&rng, 1u << 20), .cookie = s.cookie};
		put(name, s.cookie, m->inode);
		count++;
	}
}

/* Reads the directory from the front, a few entries a time, changing it in between. */
static void read_all(bool change)
{
	struct key high = key_kind_first(DIR_NUMBER, KEY_DIRENT + 1);
	uint64_t after = 0;
	bool more = true;

	for (unsigned i = 0; i < NAMES; i++) {
		model[i].seen = 0;
		model[i].stayed = model[i].there;
	}
	while (more) {
		struct key low = key_dirent(DIR_NUMBER, after + 1, (struct slice){0});
		size_t want = rng_range(&rng, 1, 40), n = 0;
		struct index_scan *s;
		struct record rec;
		struct key_parts k;

		ck_assert_int_eq(index_scan_open(ix.index, GROUP_NOW, key_slice(&low),
					 key_slice(&high), 0, &s, NULL),
			0);
		while (n < want && (more = index_scan_next(s, &rec, NULL) > 0)) {
			ck_assert(key_parse(rec.key, &k));
			ck_assert_uint_gt(k.a, after);
			after = k.a;
			model[number_of(k.name)].seen++;
			n++;
		}
		index_scan_close(s);
		for (int i = 0; change && i < 5; i++)
			step();
	}
	for (unsigned i = 0; i < NAMES; i++) {
		if (model[i].stayed)
			ck_assert_uint_eq(model[i].seen, 1);
		if (!change)
			ck_assert_uint_eq(model[i].seen, model[i].there);
	}
}

START_TEST(test_directory)
{
	static const unsigned bits[] = {56, 8, 4, 8};
	const char *env_seed = getenv("SEED");
	uint64_t seed = env_seed ? strtoull(env_seed, NULL, 0) : 1 + (uint64_t)_i;

	if (!env_seed && _i == 3)
		env_random(&seed, sizeof(seed));
	printf("test-directory: SEED=%llu bits=%u\n", (unsigned long long)seed, bits[_i]);
	rng = rng_of(seed);
	small_index_open(&ix);
	ck_assert_int_eq(name_hash_init(&hash, ix.keys), 0);
	hash.bits = bits[_i];
	memset(model, 0, sizeof(model));
	count = 0;
	for (int burst = 0; burst < BURSTS; burst++) {
		small_index_begin(&ix);
		for (int n = 0; n < BURST; n++)
			step();
		read_all(false);
		read_all(true);
		ck_assert_int_eq(dir_is_empty(ix.index, DIR_NUMBER, 0), count == 0);
		small_index_end(&ix);
	}
	ck_assert_uint_gt(count, NAMES / 8);
	small_index_close(&ix);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("directory");
	TCase *t = tcase_create("model");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_directory, 0, 4);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
