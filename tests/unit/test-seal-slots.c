/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slots and ring: adding, removing, rotating, by itself and while somebody has the volume open. */
#include "core/seal/keys_slots.h"
#include "core/seal/recovery.h"
#include "core/store/fault.h"
#include "tests/unit/seal-keys-fixture.h"

static struct volume_keys *open_with(struct store *s, const struct keys_options *o)
{
	struct volume_keys *k = NULL;
	struct error err = {0};
	bool read_only;

	ck_assert_msg(keys_open(s, o, &k, &read_only, &err) == 0, "%s", err.text);
	return k;
}

static size_t count_of(struct store *s, const struct volume_keys *k, const char *what)
{
	json_t *o = NULL;

	ck_assert_int_eq(keys_describe(s, k, &o, NULL), 0);
	size_t n = json_array_size(json_object_get(o, what));

	json_decref(o);
	return n;
}

START_TEST(several_passwords)
{
	static const struct keys_options third = {
		.password = "third", .kdf_memory = 8192, .kdf_passes = 1};
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s);
	struct keys_options dry = other;
	struct error err = {0};
	uint64_t id = 0;

	dry.dry_run = true;
	ck_assert_int_eq(keys_add_slot(s, k, false, &dry, &id, &err), 0);
	ck_assert_uint_eq(id, 2);
	ck_assert(!exists(s, KEYS_2));
	ck_assert_int_eq(keys_remove_slot(s, k, 1, false, &err), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "last one"));
	ck_assert_int_eq(keys_remove_slot(s, k, 9, false, &err), -ENOENT);
	ck_assert_int_eq(keys_add_slot(s, k, false, &other, &id, &err), 0);
	ck_assert(exists(s, KEYS_2) && !exists(s, KEYS_1));
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
	ck_assert_int_eq(
		keys_add_slot(s, k, false, &third, &id, &err), -EAGAIN); /* k is of before */
	keys_free(k);
	/* Each changes his own. */
	k = open_with(s, &other);
	ck_assert_uint_eq(count_of(s, k, "slots"), 2);
	dry = third;
	dry.dry_run = true;
	ck_assert_int_eq(keys_change_password(s, k, &dry, &err), 0);
	ck_assert_int_eq(try_open(s, &other, NULL, NULL), 0);
	ck_assert_int_eq(keys_change_password(s, k, &third, &err), 0);
	keys_free(k);
	ck_assert_int_eq(try_open(s, &other, NULL, NULL), -EKEYREJECTED);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
	k = open_with(s, &third);
	ck_assert_int_eq(keys_remove_slot(s, k, 1, true, &err), 0);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
	ck_assert_int_eq(keys_remove_slot(s, k, 1, false, &err), 0);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EKEYREJECTED);
	keys_free(k);
	k = open_with(s, &third);
	ck_assert_int_eq(keys_remove_slot(s, k, 2, false, &err), -EPERM);
	keys_free(k);
	ck_assert_int_eq(try_open(s, &third, NULL, NULL), 0);
	store_close(s);
}
END_TEST

START_TEST(recovery)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s);
	char text[RECOVERY_TEXT_BYTES], typed[64];
	struct keys_options o = {.password = text, .kdf_memory = 8192, .kdf_passes = 1};
	struct error err = {0};
	uint64_t id;

	recovery_new(text);
	ck_assert_int_eq(keys_add_slot(s, k, true, &o, &id, &err), 0);
	keys_free(k);
	ck_assert_int_eq(try_open(s, &o, NULL, NULL), 0);
	for (size_t i = 0, n = 0; i < sizeof text; i++) /* typed without dashes, in small letters */
		if (text[i] != '-')
			typed[n++] = text[i] >= 'A' ? (char)(text[i] + 32) : text[i];
	o.password = typed;
	ck_assert_int_eq(try_open(s, &o, NULL, NULL), 0);
	typed[12] = typed[12] == '7' ? '8' : '7';
	ck_assert_int_eq(try_open(s, &o, NULL, &err), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(err.text, "typing mistake in group 3"));
	/* It stands for all passwords that were forgotten. */
	o.password = text;
	k = open_with(s, &o);
	ck_assert_int_eq(keys_change_password(s, k, &other, &err), 0);
	keys_free(k);
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EKEYREJECTED);
	ck_assert_int_eq(try_open(s, &other, NULL, NULL), 0);
	ck_assert_int_eq(try_open(s, &o, NULL, NULL), 0);
	store_close(s);
}
END_TEST

START_TEST(rotation)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s), *now;
	uint8_t a[32], b[32];
	uint32_t id = 0;
	struct error err = {0};

	ck_assert_int_eq(keys_rotate(s, k, true, &id, &err), 0);
	ck_assert(id == 2 && !exists(s, KEYS_2));
	ck_assert_int_eq(keys_refresh(s, k, &err), 0);
	ck_assert_int_eq(keys_rotate(s, k, false, &id, &err), 0);
	ck_assert_uint_eq(id, 2);
	now = open_with(s, &cheap);
	ck_assert_uint_eq(keys_current(now), 2);
	ck_assert_uint_eq(keys_current(k), 1); /* whoever has it open goes on */
	ck_assert_int_eq(keys_subkey(k, 2, SUBKEY_TABLE, a), -EBADMSG);
	ck_assert_int_eq(keys_refresh(s, k, &err), 1);
	ck_assert_int_eq(keys_refresh(s, k, &err), 0);
	ck_assert_uint_eq(keys_current(k), 2);
	for (uint32_t key = 1; key <= 2; key++)
		for (enum subkey i = SUBKEY_SEGMENT; i <= SUBKEY_CACHE; i++) {
			ck_assert_int_eq(keys_subkey(k, key, i, a), 0);
			ck_assert_int_eq(keys_subkey(now, key, i, b), 0);
			ck_assert(memcmp(a, b, 32) == 0);
			ck_assert_int_eq(keys_subkey(now, 3 - key, i, b), 0);
			/* Names and handles are of key 1 for ever. */
			ck_assert((memcmp(a, b, 32) == 0) ==
				  (i == SUBKEY_NAME_HASH || i == SUBKEY_HANDLE));
		}
	ck_assert_uint_eq(count_of(s, now, "ring"), 2);
	ck_assert_int_eq(keys_rotate(s, now, false, &id, &err), 0);
	ck_assert_uint_eq(id, 3);
	/* A newest file that is damaged does not count. */
	put(s, "keys/0000000000000009", "x", 1);
	ck_assert_int_eq(keys_refresh(s, k, &err), 1);
	ck_assert_uint_eq(keys_current(k), 3);
	keys_free(k);
	keys_free(now);
	store_close(s);
}
END_TEST

/* The n-th request of a rotation fails: the old ring or the new one is there, and it can be
 * repeated. */
START_TEST(rotation_under_faults)
{
	static const enum fault_kind kinds[] = {
		FAULT_ERROR, FAULT_LOST_REPLY, FAULT_CUT_AFTER, FAULT_GARBLED};
	unsigned failures = 0;

	for (unsigned i = 0; i < 4 * 10; i++) {
		struct store *s = fault_new(fixture_store());
		struct fault_rule rule = {.kind = kinds[i % 4], .nth = i / 4 + 1};
		struct volume_keys *k = fixture_keys(s), *now;
		uint32_t id = 0;

		ck_assert_int_ge(fault_add(s, &rule), 0);
		int r = keys_rotate(s, k, false, &id, NULL);

		failures += r < 0;
		fault_clear(s);
		now = open_with(s, &cheap);
		ck_assert(r < 0 || keys_current(now) == 2);
		ck_assert(keys_current(now) <= 2);
		ck_assert_int_eq(keys_rotate(s, now, false, &id, NULL), 0);
		keys_free(now);
		now = open_with(s, &cheap);
		ck_assert_uint_eq(keys_current(now), id);
		keys_free(now);
		keys_free(k);
		store_close(s);
	}
	ck_assert_uint_ge(failures, 10);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("slots");

	tcase_add_test(t, several_passwords);
	tcase_add_test(t, recovery);
	tcase_add_test(t, rotation);
	tcase_add_test(t, rotation_under_faults);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "slots");
}
