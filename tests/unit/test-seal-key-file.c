/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key files that keys_create() does not make: features, odd contents, several slots and ring keys.
 */
#include "core/base/bytes.h"
#include "core/base/crc.h"
#include "core/seal/key_file.h"
#include "tests/unit/seal-keys-fixture.h"

#include <sodium.h>

/* A volume made by hand, so that it can be what keys_create() does not make. */
struct hand {
	struct store *store;
	uint8_t volume[16], master[32], ring_key[32];
	json_t *json; /* of the key file: one slot for `cheap`, ring key 1 */
};

static struct hand hand_make(const char *features)
{
	struct hand h = {.store = fixture_store(), .json = json_object()};
	uint8_t digest[32];
	char volume[33], text[600];

	memset(h.volume, 0x5a, 16);
	memset(h.master, 0x11, 32);
	memset(h.ring_key, 0x22, 32);
	hex_encode(h.volume, 16, volume);
	int n = snprintf(text, sizeof(text),
		"{ \"format\": 1, \"volume\": \"%s\", \"lineage\": \"%s\", \"nonce\": \"%s\","
		" \"created\": \"2030-01-01T00:00:00Z\", \"features\": {%s},"
		" \"settings\": {\"chunk_size\": 262144, \"frame_size\": 65536} }",
		volume, volume, volume, features);

	put(h.store, "zerofs.json", text, (size_t)n);
	crypto_generichash(digest, 32, (uint8_t *)text, (size_t)n, NULL, 0);
	ck_assert_int_eq(fields_put_hex(h.json, "superblock", digest, 32), 0);
	ck_assert_int_eq(fields_put(h.json, "slots", json_array()), 0);
	ck_assert_int_eq(fields_put(h.json, "ring", json_array()), 0);
	ck_assert_int_eq(key_file_add_slot(json_object_get(h.json, "slots"), 1, "password", &cheap,
				 h.volume, h.master, NULL),
		0);
	ck_assert_int_eq(key_file_add_ring_key(json_object_get(h.json, "ring"), 1, h.ring_key,
				 h.volume, h.master, NULL),
		0);
	return h;
}

#define NO_FEATURES "\"incompatible\":[],\"read_only_compatible\":[],\"compatible\":[]"

/* Stores the key file, with one byte of the header changed (`value` 0: none). */
static void hand_store(struct hand *h, uint64_t number, size_t offset, uint8_t value)
{
	struct buf f = BUF_INIT;
	char name[32];
	uint8_t key[32];

	ck_assert_int_eq(key_file_encode(h->json, h->volume, number, h->master, &f, NULL), 0);
	if (value) {
		f.data[offset] = value;
		put_le32(f.data + 92, crc32c(0, f.data, 92));
		crypto_kdf_derive_from_key(key, 32, 5, "zerofs_1", h->master);
		crypto_generichash(f.data + f.len - 32, 32, f.data, f.len - 32, key, 32);
	}
	snprintf(name, sizeof(name), "keys/%016llx", (unsigned long long)number);
	put(h->store, name, f.data, f.len);
	buf_done(&f);
}

static void hand_done(struct hand *h)
{
	json_decref(h->json);
	store_close(h->store);
}

static json_t *hand_slot(struct hand *h, size_t i)
{
	return json_array_get(json_object_get(h->json, "slots"), i);
}

START_TEST(features_of_the_superblock)
{
	struct error err = {0};
	bool read_only = false;
	struct hand h = hand_make(NO_FEATURES);

	hand_store(&h, 1, 0, 0);
	ck_assert_int_eq(try_open(h.store, &cheap, &read_only, NULL), 0);
	ck_assert(!read_only);
	hand_done(&h);

	h = hand_make("\"incompatible\":[\"warp\"],\"read_only_compatible\":[],\"compatible\":[]");
	hand_store(&h, 1, 0, 0);
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "\"warp\""));
	hand_done(&h);

	h = hand_make("\"incompatible\":[],\"read_only_compatible\":[\"tags\"],\"compatible\":[]");
	/* Finishing a creation would be writing. */
	struct volume_keys *k = NULL;

	ck_assert_int_eq(keys_create(h.store, &cheap, &k, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "\"tags\""));
	hand_store(&h, 1, 0, 0);
	ck_assert_int_eq(keys_open(h.store, &cheap, &k, &read_only, NULL), 0);
	ck_assert(read_only);
	ck_assert_str_eq(keys_read_only_feature(k), "tags");
	ck_assert_int_eq(keys_change_password(h.store, k, &other, &err), -EPROTONOSUPPORT);
	ck_assert(exists(h.store, KEYS_1) && !exists(h.store, KEYS_2));
	keys_free(k);
	hand_done(&h);

	h = hand_make("\"incompatible\":[],\"read_only_compatible\":[],\"compatible\":[\"hints\"]");
	hand_store(&h, 1, 0, 0);
	ck_assert_int_eq(try_open(h.store, &cheap, &read_only, NULL), 0);
	ck_assert(!read_only);
	hand_done(&h);
}
END_TEST

START_TEST(features_of_the_key_file)
{
	struct hand h = hand_make(NO_FEATURES);
	struct error err = {0};
	bool read_only = false;

	hand_store(&h, 1, 0, 0);
	hand_store(&h, 2, 9, 2); /* version */
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, KEYS_2));
	hand_store(&h, 2, 10, 2); /* cipher */
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, NULL), -EPROTONOSUPPORT);
	hand_store(&h, 2, 64, 4); /* incompatible */
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "feature 2,"));
	hand_store(&h, 2, 68, 8); /* read-only compatible */
	ck_assert_int_eq(try_open(h.store, &cheap, &read_only, NULL), 0);
	ck_assert(read_only);
	hand_store(&h, 2, 72, 1); /* compatible */
	ck_assert_int_eq(try_open(h.store, &cheap, &read_only, NULL), 0);
	ck_assert(!read_only);
	hand_store(&h, 2, 11, 1); /* reserved */
	ck_assert_int_eq(try_open(h.store, &cheap, &read_only, NULL), 0);
	hand_done(&h);
}
END_TEST

/* Authentic or not, nothing is derived at a cost beyond the limits, and nothing odd is believed. */
START_TEST(hostile_key_files)
{
	static const struct {
		const char *member;
		json_int_t value;
	} costs[] = {{"memory", (1ll << 30) + 1}, {"memory", 8191}, {"memory", -1},
		{"memory", INT64_MAX}, {"passes", 0}, {"passes", 17}, {"passes", 1ll << 32 | 1}};
	struct error err = {0};

	for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
		struct hand h = hand_make(NO_FEATURES);

		json_object_set_new(
			hand_slot(&h, 0), costs[i].member, json_integer(costs[i].value));
		hand_store(&h, 1, 0, 0);
		ck_assert_int_eq(try_open(h.store, &cheap, NULL, &err), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(err.text, costs[i].member));
		hand_done(&h);
	}
	/* 33 slots */
	struct hand h = hand_make(NO_FEATURES);

	for (int i = 0; i < 32; i++)
		json_array_append(json_object_get(h.json, "slots"), hand_slot(&h, 0));
	hand_store(&h, 1, 0, 0);
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "\"slots\""));
	hand_done(&h);
	/* A ring without key 1, with a key twice, empty. */
	for (int i = 0; i < 3; i++) {
		h = hand_make(NO_FEATURES);
		json_t *ring = json_object_get(h.json, "ring");

		if (i != 1)
			json_array_clear(ring);
		if (i != 2)
			key_file_add_ring_key(
				ring, i == 0 ? 2 : 1, h.ring_key, h.volume, h.master, NULL);
		hand_store(&h, 1, 0, 0);
		ck_assert_int_eq(try_open(h.store, &cheap, NULL, &err), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(err.text, "ring"));
		hand_done(&h);
	}
	/* Place, volume, kind. */
	h = hand_make(NO_FEATURES);
	static const size_t offsets[] = {8, 12, 16, 48, 56};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		hand_store(&h, 1, offsets[i], 4);
		ck_assert_int_eq(try_open(h.store, &cheap, NULL, NULL), -EBADMSG);
	}
	hand_done(&h);
}
END_TEST

START_TEST(ring_of_two)
{
	struct hand h = hand_make(NO_FEATURES);
	struct volume_keys *k = NULL;
	uint8_t second[32] = {0x33}, got[32], expected[32];
	bool read_only;

	key_file_add_ring_key(json_object_get(h.json, "ring"), 7, second, h.volume, h.master, NULL);
	hand_store(&h, 1, 0, 0);
	ck_assert_int_eq(keys_open(h.store, &cheap, &k, &read_only, NULL), 0);
	ck_assert_uint_eq(keys_current(k), 7);
	crypto_kdf_derive_from_key(expected, 32, SUBKEY_TABLE, "zerofs_1", second);
	ck_assert_int_eq(keys_subkey(k, 7, SUBKEY_TABLE, got), 0);
	ck_assert(memcmp(got, expected, 32) == 0);
	crypto_kdf_derive_from_key(expected, 32, SUBKEY_NAME_HASH, "zerofs_1", h.ring_key);
	ck_assert_int_eq(keys_subkey(k, 7, SUBKEY_NAME_HASH, got), 0);
	ck_assert(memcmp(got, expected, 32) == 0);
	crypto_kdf_derive_from_key(expected, 32, SUBKEY_HANDLE, "zerofs_1", h.ring_key);
	ck_assert_int_eq(keys_subkey(k, 7, SUBKEY_HANDLE, got), 0);
	ck_assert(memcmp(got, expected, 32) == 0);
	ck_assert_int_eq(keys_subkey(k, 2, SUBKEY_TABLE, got), -EBADMSG);
	keys_free(k);
	hand_done(&h);
}
END_TEST

START_TEST(many_slots)
{
	struct hand h = hand_make(NO_FEATURES);
	struct volume_keys *k = NULL;
	json_t *slots = json_object_get(h.json, "slots"), *foreign = json_object();
	struct keys_options recovery = {
		.password = "paper in a safe", .kdf_memory = 8192, .kdf_passes = 1};
	struct error err = {0};
	bool read_only;

	fields_put(foreign, "id", json_integer(40));
	fields_put(foreign, "kind", json_string("smartcard"));
	fields_put(foreign, "kdf", json_string("none"));
	json_array_insert_new(slots, 0, foreign);
	key_file_add_slot(slots, 2, "recovery", &recovery, h.volume, h.master, NULL);
	hand_store(&h, 1, 0, 0);
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, NULL), 0);
	ck_assert_int_eq(keys_open(h.store, &recovery, &k, &read_only, NULL), 0);
	ck_assert_int_eq(try_open(h.store, &other, NULL, NULL), -EKEYREJECTED);
	/* A change of the password keeps what is not a password. */
	ck_assert_int_eq(keys_change_password(h.store, k, &other, &err), 0);
	keys_free(k);
	ck_assert_int_eq(try_open(h.store, &other, NULL, NULL), 0);
	ck_assert_int_eq(try_open(h.store, &recovery, NULL, NULL), 0);
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, NULL), -EKEYREJECTED);
	struct buf f = load(h.store, KEYS_2);

	f.data[f.len - 1] = 0;
	ck_assert_ptr_nonnull(strstr((char *)f.data + 96, "smartcard"));
	buf_done(&f);
	/* Only slots of kinds that nobody here knows. */
	json_array_remove(slots, 2);
	json_array_remove(slots, 1);
	hand_store(&h, 3, 0, 0);
	ck_assert_int_eq(try_open(h.store, &cheap, NULL, &err), -EPROTONOSUPPORT);
	hand_done(&h);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("key-file");

	tcase_add_test(t, features_of_the_superblock);
	tcase_add_test(t, features_of_the_key_file);
	tcase_add_test(t, hostile_key_files);
	tcase_add_test(t, ring_of_two);
	tcase_add_test(t, many_slots);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "key-file");
}
