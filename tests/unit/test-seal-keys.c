/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Creating and opening the keys of a volume; every byte that may be wrong. */
#include "core/base/bytes.h"
#include "core/base/crc.h"
#include "core/store/fault.h"
#include "tests/unit/seal-keys-fixture.h"

#include <jansson.h>
#include <sodium.h>

START_TEST(create_and_open)
{
	struct store *s = fixture_store();
	struct volume_keys *a = fixture_keys(s), *b = NULL;
	struct store_list l = {0};
	struct error err = {0};
	bool read_only = true;
	uint8_t key[32];

	ck_assert_int_eq(store_list_all(s, "", NULL, &l, NULL), 0);
	ck_assert_uint_eq(l.n, 2);
	ck_assert_str_eq(l.entries[0].key, KEYS_1);
	ck_assert_str_eq(l.entries[1].key, "zerofs.json");
	store_list_done(&l);
	ck_assert_int_eq(keys_open(s, &cheap, &b, &read_only, &err), 0);
	ck_assert(!read_only);
	ck_assert_int_eq(err.code, 0);
	same_keys(a, b);
	ck_assert_uint_eq(keys_current(a), 1);
	ck_assert_str_eq(keys_read_only_feature(b), "");
	ck_assert_int_eq(keys_subkey(a, 2, SUBKEY_TABLE, key), -EBADMSG);
	ck_assert_int_eq(keys_subkey(a, 0, SUBKEY_TABLE, key), -EBADMSG);
	keys_free(a);
	keys_free(b);
	keys_free(NULL);
	ck_assert_int_eq(keys_create(s, &other, &a, &err), -EEXIST);
	ck_assert_ptr_nonnull(strstr(err.text, "volume here already"));
	ck_assert_int_eq(try_open(s, &other, NULL, &err), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(err.text, "wrong password"));
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
	store_close(s);
}
END_TEST

START_TEST(options)
{
	static const struct keys_options wrong[] = {
		{.password = NULL},
		{.password = ""},
		{.password = "x", .kdf_memory = 8191},
		{.password = "x", .kdf_memory = (1ull << 30) + 1},
		{.password = "x", .kdf_memory = 8192, .kdf_passes = 17},
	};
	struct store *s = fixture_store();
	struct volume_keys *k = NULL;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(keys_create(s, &wrong[i], &k, NULL), -EINVAL);
		ck_assert_int_eq(try_open(s, &wrong[i], NULL, NULL), -EINVAL);
	}
	ck_assert(!exists(s, "zerofs.json"));
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -ENOENT);
	store_close(s);
}
END_TEST

/* The key file taken apart as docs/format.md says, by libsodium and jansson alone. */
START_TEST(stored_bytes)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s);
	struct buf sb = load(s, "zerofs.json"), f = load(s, KEYS_1);
	const uint8_t *volume = keys_volume_id(k);
	uint8_t digest[32], stored[64], salt[16], nonce[24], wrapped[48], key[32], master[32],
		ring[32], mac[32], aad[24];
	size_t json_len = f.len - 96 - 32;
	json_t *o = json_loadb((char *)f.data + 96, json_len, 0, NULL);
	json_t *slot = json_array_get(json_object_get(o, "slots"), 0);
	json_t *entry = json_array_get(json_object_get(o, "ring"), 0);

	ck_assert(memcmp(f.data, "\x8fZEROFS\n\6\1\1\0\0\0\0\0", 16) == 0);
	ck_assert(memcmp(f.data + 16, volume, 16) == 0);
	ck_assert_uint_eq(get_le64(f.data + 48), 1);
	ck_assert_uint_eq(get_le64(f.data + 56), 0);
	ck_assert_uint_eq(get_le32(f.data + 92), crc32c(0, f.data, 92));
	crypto_generichash(digest, 32, sb.data, sb.len, NULL, 0);
	ck_assert_uint_eq(unhex(json_string_value(json_object_get(o, "superblock")), stored), 32);
	ck_assert(memcmp(digest, stored, 32) == 0);
	ck_assert_str_eq(json_string_value(json_object_get(slot, "kind")), "password");
	ck_assert_str_eq(json_string_value(json_object_get(slot, "kdf")), "argon2id");
	ck_assert_int_eq(json_integer_value(json_object_get(slot, "memory")), 8192);
	ck_assert_int_eq(json_integer_value(json_object_get(slot, "passes")), 1);
	ck_assert_uint_eq(unhex(json_string_value(json_object_get(slot, "salt")), salt), 16);
	ck_assert_uint_eq(unhex(json_string_value(json_object_get(slot, "nonce")), nonce), 24);
	ck_assert_uint_eq(unhex(json_string_value(json_object_get(slot, "wrapped")), wrapped), 48);
	ck_assert_int_eq(crypto_pwhash(key, 32, cheap.password, strlen(cheap.password), salt, 1,
				 8192, crypto_pwhash_ALG_ARGON2ID13),
		0);
	memcpy(aad, volume, 16);
	memcpy(aad + 16, "slot", 4);
	ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(
				 master, NULL, NULL, wrapped, 48, aad, 20, nonce, key),
		0);
	crypto_kdf_derive_from_key(key, 32, 5, "zerofs_1", master);
	crypto_generichash(mac, 32, f.data, f.len - 32, key, 32);
	ck_assert(memcmp(mac, f.data + f.len - 32, 32) == 0);
	ck_assert_int_eq(json_integer_value(json_object_get(entry, "id")), 1);
	ck_assert_uint_eq(unhex(json_string_value(json_object_get(entry, "nonce")), nonce), 24);
	ck_assert_uint_eq(unhex(json_string_value(json_object_get(entry, "sealed")), wrapped), 48);
	memcpy(aad + 16, "ring\1\0\0\0", 8);
	ck_assert_int_eq(crypto_aead_xchacha20poly1305_ietf_decrypt(
				 ring, NULL, NULL, wrapped, 48, aad, 24, nonce, master),
		0);
	for (enum subkey i = SUBKEY_SEGMENT; i <= SUBKEY_CACHE; i++) {
		uint8_t expected[32];

		crypto_kdf_derive_from_key(expected, 32, i, "zerofs_1", ring);
		ck_assert_int_eq(keys_subkey(k, 1, i, key), 0);
		ck_assert(memcmp(key, expected, 32) == 0);
	}
	json_decref(o);
	buf_done(&sb);
	buf_done(&f);
	keys_free(k);
	store_close(s);
}
END_TEST

START_TEST(interrupted_creation)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s), *again = NULL;
	struct error err = {0};

	ck_assert_int_eq(store_delete(s, KEYS_1, NULL), 0);
	ck_assert_int_eq(try_open(s, &cheap, NULL, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "never finished"));
	err = (struct error){0};
	ck_assert_int_eq(keys_create(s, &other, &again, &err), 0);
	ck_assert_int_eq(err.code, 0);
	ck_assert(memcmp(keys_volume_id(k), keys_volume_id(again), 16) == 0);
	ck_assert_str_eq(keys_superblock_json(k), keys_superblock_json(again));
	keys_free(k);
	keys_free(again);
	ck_assert_int_eq(try_open(s, &other, NULL, NULL), 0);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EKEYREJECTED);
	/* One that this program may not finish. */
	ck_assert_int_eq(store_delete(s, KEYS_1, NULL), 0);
	put(s, "zerofs.json", "{\"format\":2}", 12);
	ck_assert_int_eq(keys_create(s, &other, &again, &err), -EPROTONOSUPPORT);
	put(s, "zerofs.json", "{", 1);
	ck_assert_int_eq(keys_create(s, &other, &again, &err), -EBADMSG);
	ck_assert(!exists(s, KEYS_1));
	store_close(s);
}
END_TEST

START_TEST(foreign_objects)
{
	static const struct {
		const char *key, *text;
		bool with_superblock;
	} cases[] = {
		{"notes.txt", "something else: \"notes.txt\"", false},
		{"notes.txt", "something else: \"notes.txt\"", true},
		{"zerofs.json.bak", "\"zerofs.json.bak\"", true},
		{"zz", "\"zz\"", true},
		{"keys/readme", "something else: \"keys/readme\"", false},
		{"log/old.log", "something else: \"log/old.log\"", false},
		{"manifest/0000000000000001", "lost its keys", false},
		{"table/00000000000000010000000000000001", "lost its keys", true},
		{"log/0000000000000001/0000000000000000", "lost its keys", true},
		{"writer/0000000000000001.alive", "lost its keys", true},
		{KEYS_1, "already", false},
		{KEYS_3, "already", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store *s = fixture_store();
		struct volume_keys *k = NULL;
		struct error err = {0};

		if (cases[i].with_superblock) {
			keys_free(fixture_keys(s));
			ck_assert_int_eq(store_delete(s, KEYS_1, NULL), 0);
		}
		put(s, cases[i].key, "x", 1);
		ck_assert_int_eq(keys_create(s, &cheap, &k, &err), -EEXIST);
		ck_assert_msg(strstr(err.text, cases[i].text), "%s: %s", cases[i].key, err.text);
		ck_assert(exists(s, "zerofs.json") == cases[i].with_superblock);
		store_close(s);
	}
}
END_TEST

START_TEST(lost_key_file)
{
	struct store *s = fixture_store();
	struct error err = {0};

	keys_free(fixture_keys(s));
	put(s, "manifest/0000000000000001", "x", 1);
	ck_assert_int_eq(store_delete(s, KEYS_1, NULL), 0);
	ck_assert_int_eq(try_open(s, &cheap, NULL, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "key file"));
	store_close(s);
}
END_TEST

/* Somebody else creates at the same moment: at most one wins, and the other says so. */
struct race {
	struct store store; /* a layer that lets the rival act before a certain create */
	const char *key;
	const struct keys_options *rival;
	int result;
};

static int race_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	struct race *r = (struct race *)s;
	struct volume_keys *k = NULL;

	if (r->key && strcmp(key, r->key) == 0) {
		r->key = NULL;
		r->result = keys_create(s->below, r->rival, &k, NULL);
		keys_free(k);
	}
	return s->below->ops->create(s->below, key, parts, nparts, err);
}

static int race_get(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
	size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	return s->below->ops->get(
		s->below, key, offset, from_end, buf, len, ret_len, ret_size, err);
}

static int race_list(struct store *s, const char *prefix, const char *after, struct store_list *out,
	struct error *err)
{
	return s->below->ops->list(s->below, prefix, after, out, err);
}

START_TEST(race_of_creators)
{
	static const struct store_ops ops = {
		.name = "race", .create = race_create, .get = race_get, .list = race_list};
	static const char *const moments[] = {"zerofs.json", KEYS_1};

	for (int i = 0; i < 2; i++) {
		struct race r = {.store = {.ops = &ops, .below = fixture_store()},
			.key = moments[i],
			.rival = &other};
		struct volume_keys *k = NULL;
		struct error err = {0};

		ck_assert_int_eq(keys_create(&r.store, &cheap, &k, &err), -EEXIST);
		ck_assert_ptr_nonnull(strstr(err.text, "same moment"));
		ck_assert_int_eq(r.result, 0);
		ck_assert_int_eq(try_open(r.store.below, &other, NULL, NULL), 0);
		ck_assert_int_eq(try_open(r.store.below, &cheap, NULL, NULL), -EKEYREJECTED);
		store_close(r.store.below);
	}
}
END_TEST

/*
 * Any byte of the key file changed, and any length but the right one: never a success.
 */
START_TEST(key_file_sweep)
{
	static const uint8_t masks[] = {0x01, 0x10, 0x80};
	struct store *s = fixture_store();
	unsigned damaged = 0, rejected = 0;

	keys_free(fixture_keys(s));
	struct buf f = load(s, KEYS_1);

	for (size_t i = 0; i < f.len * 3; i++) {
		f.data[i / 3] ^= masks[i % 3];
		put(s, KEYS_1, f.data, f.len);
		f.data[i / 3] ^= masks[i % 3];
		struct error err = {0};
		int r = try_open(s, &cheap, NULL, &err);

		damaged += r == -EBADMSG;
		rejected += r == -EKEYREJECTED;
		ck_assert_msg(r == -EBADMSG || r == -EKEYREJECTED || r == -EPROTONOSUPPORT,
			"byte %zu mask %d: %d", i / 3, masks[i % 3], r);
		if (r == -EBADMSG)
			ck_assert_msg(strstr(err.text, KEYS_1), "byte %zu: %s", i / 3, err.text);
	}
	ck_assert_uint_gt(damaged, 300);
	ck_assert_uint_gt(rejected, 100); /* salt, nonce, wrapped */
	for (size_t n = 0; n < f.len; n++) {
		put(s, KEYS_1, f.data, n);
		int r = try_open(s, &cheap, NULL, NULL);

		ck_assert_msg(r == -EBADMSG || r == -EKEYREJECTED, "length %zu: %d", n, r);
	}
	buf_append_u8(&f, 0);
	put(s, KEYS_1, f.data, f.len);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EBADMSG);
	put(s, KEYS_1, f.data, f.len - 1);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
	buf_done(&f);
	store_close(s);
}
END_TEST

START_TEST(superblock_sweep)
{
	struct store *s = fixture_store();
	struct buf f;

	keys_free(fixture_keys(s));
	f = load(s, "zerofs.json");
	for (size_t i = 0; i < f.len * 8; i++) {
		f.data[i / 8] ^= (uint8_t)(1u << i % 8);
		put(s, "zerofs.json", f.data, f.len);
		f.data[i / 8] ^= (uint8_t)(1u << i % 8);
		int r = try_open(s, &cheap, NULL, NULL);

		ck_assert_msg(r == -EBADMSG || r == -EPROTONOSUPPORT, "bit %zu: %d", i, r);
	}
	for (size_t n = 0; n < f.len; n++) {
		put(s, "zerofs.json", f.data, n);
		ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EBADMSG);
	}
	buf_append_u8(&f, '\n');
	put(s, "zerofs.json", f.data, f.len);
	struct error err = {0};

	ck_assert_int_eq(try_open(s, &cheap, NULL, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "zerofs.json is not the one"));
	put(s, "zerofs.json", f.data, f.len - 1);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
	buf_done(&f);
	store_close(s);
}
END_TEST

/* The n-th request fails, or loses its reply: an error, or a success that holds; and in the end it
 * can be finished. */
START_TEST(creation_under_faults)
{
	static const enum fault_kind kinds[] = {
		FAULT_ERROR, FAULT_LOST_REPLY, FAULT_CUT, FAULT_CUT_AFTER};
	unsigned failures = 0;

	for (unsigned i = 0; i < 4 * 12; i++) {
		struct store *s = fault_new(fixture_store());
		struct fault_rule rule = {.kind = kinds[i % 4], .nth = i / 4 + 1};
		struct volume_keys *k = NULL;
		struct error err = {0};

		ck_assert_int_ge(fault_add(s, &rule), 0);
		int r = keys_create(s, &cheap, &k, &err);

		ck_assert((r == 0) == (k != NULL));
		failures += r < 0;
		fault_clear(s);
		if (r < 0) {
			ck_assert_msg(r == -EIO || r == -ETIMEDOUT, "request %u: %d", i / 4 + 1, r);
			ck_assert_int_ne(err.code, 0);
			r = keys_create(s, &cheap, &k, &err);
			/* The lost reply may have been that of the key file. */
			ck_assert(r == 0 || (r == -EEXIST && exists(s, KEYS_1)));
		}
		keys_free(k);
		ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
		store_close(s);
	}
	ck_assert_uint_ge(failures, 12);
}
END_TEST

/* Errors of the store are not taken for damage or absence. */
START_TEST(opening_under_faults)
{
	for (unsigned nth = 1; nth <= 3; nth++) {
		struct store *s = fault_new(fixture_store());
		struct fault_rule rule = {.kind = FAULT_ERROR, .nth = nth, .code = -EACCES};

		keys_free(fixture_keys(s));
		ck_assert_int_ge(fault_add(s, &rule), 0);
		ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EACCES);
		ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
		/* The key file goes away between LIST and GET once: listed again. */
		fault_clear(s);
		rule = (struct fault_rule){.kind = FAULT_ERROR,
			.prefix = "keys/",
			.ops = FAULT_OP(STORE_GET),
			.code = -ENOENT};
		ck_assert_int_ge(fault_add(s, &rule), 0);
		ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
		fault_clear(s);
		rule.count = FAULT_FOREVER;
		ck_assert_int_ge(fault_add(s, &rule), 0);
		ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EAGAIN);
		store_close(s);
	}
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("keys");

	tcase_add_test(t, create_and_open);
	tcase_add_test(t, options);
	tcase_add_test(t, stored_bytes);
	tcase_add_test(t, interrupted_creation);
	tcase_add_test(t, foreign_objects);
	tcase_add_test(t, lost_key_file);
	tcase_add_test(t, race_of_creators);
	tcase_add_test(t, key_file_sweep);
	tcase_add_test(t, superblock_sweep);
	tcase_add_test(t, creation_under_faults);
	tcase_add_test(t, opening_under_faults);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "keys");
}
