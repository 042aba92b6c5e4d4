/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing the password, interrupted and damaged changes. */
#include "core/store/fault.h"
#include "tests/unit/seal-keys-fixture.h"

START_TEST(change_of_password)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s), *again = NULL;
	struct buf old = load(s, KEYS_1);
	struct error err = {0};
	bool read_only;

	ck_assert_int_eq(keys_change_password(s, k, &other, &err), 0);
	ck_assert_int_eq(err.code, 0);
	ck_assert(!exists(s, KEYS_1) && exists(s, KEYS_2));
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), -EKEYREJECTED);
	ck_assert_int_eq(keys_open(s, &other, &again, &read_only, NULL), 0);
	same_keys(k, again);
	/* `k` is of before. */
	ck_assert_int_eq(keys_change_password(s, k, &cheap, &err), -EAGAIN);
	/* Interrupted before the deletion: the newer one counts, whoever asks. */
	put(s, KEYS_1, old.data, old.len);
	ck_assert_int_eq(try_open(s, &cheap, NULL, &err), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(err.text, "changed"));
	ck_assert_int_eq(try_open(s, &other, NULL, NULL), 0);
	ck_assert_int_eq(keys_change_password(s, k, &cheap, &err), -EAGAIN);
	ck_assert_int_eq(keys_clean(s, k, NULL), 0);
	ck_assert(exists(s, KEYS_1) && exists(s, KEYS_2));
	ck_assert_int_eq(keys_clean(s, again, NULL), 0);
	ck_assert(!exists(s, KEYS_1) && exists(s, KEYS_2));
	keys_free(k);
	keys_free(again);
	buf_done(&old);
	store_close(s);
}
END_TEST

START_TEST(damaged_newest)
{
	struct store *s = fixture_store();
	struct volume_keys *k = fixture_keys(s), *again = NULL;
	struct buf old = load(s, KEYS_1);
	struct error err = {0};
	bool read_only;

	ck_assert_int_eq(keys_change_password(s, k, &other, NULL), 0);
	keys_free(k);
	put(s, KEYS_1, old.data, old.len);
	struct buf new = load(s, KEYS_2);

	new.data[20] ^= 1;
	put(s, KEYS_2, new.data, new.len);
	/* The newest that verifies is now keys/1, with its own password; keys/2 is named to whoever
	 * has another. */
	ck_assert_int_eq(try_open(s, &other, NULL, &err), -EKEYREJECTED);
	ck_assert_ptr_nonnull(strstr(err.text, KEYS_2));
	ck_assert_int_eq(keys_open(s, &cheap, &again, &read_only, NULL), 0);
	ck_assert_int_eq(keys_clean(s, again, NULL), 0);
	ck_assert(exists(s, KEYS_1) && exists(s, KEYS_2));
	/* Numbers are not used twice. */
	ck_assert_int_eq(keys_change_password(s, again, &other, NULL), 0);
	ck_assert(exists(s, KEYS_3) && !exists(s, KEYS_2) && !exists(s, KEYS_1));
	keys_free(again);
	ck_assert_int_eq(try_open(s, &other, NULL, NULL), 0);
	put(s, KEYS_3, "x", 1);
	ck_assert_int_eq(try_open(s, &other, NULL, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, KEYS_3));
	put(s, "keys/ffffffffffffffff", "x", 1);
	put(s, "keys/0000000000000000", "x", 1);
	put(s, "keys/readme", "x", 1);
	put(s, KEYS_3, old.data, old.len); /* written for another place */
	ck_assert_int_eq(try_open(s, &cheap, NULL, &err), -EBADMSG);
	put(s, KEYS_1, old.data, old.len);
	ck_assert_int_eq(keys_open(s, &cheap, &again, &read_only, NULL), 0);
	ck_assert_int_eq(keys_change_password(s, again, &other, &err), -EBADMSG);
	keys_free(again);
	buf_done(&old);
	buf_done(&new);
	store_close(s);
}
END_TEST

/* The n-th request of a change fails: one of the passwords opens the volume, and the change can be
 * repeated. */
START_TEST(change_under_faults)
{
	static const enum fault_kind kinds[] = {
		FAULT_ERROR, FAULT_LOST_REPLY, FAULT_CUT_AFTER, FAULT_GARBLED};
	unsigned failures = 0;

	for (unsigned i = 0; i < 4 * 10; i++) {
		struct store *s = fault_new(fixture_store());
		struct fault_rule rule = {.kind = kinds[i % 4], .nth = i / 4 + 1};
		struct volume_keys *k = fixture_keys(s), *now = NULL;
		bool read_only;

		ck_assert_int_ge(fault_add(s, &rule), 0);
		int r = keys_change_password(s, k, &other, NULL);

		failures += r < 0;
		fault_clear(s);
		int with_new = try_open(s, &other, NULL, NULL),
		    with_old = try_open(s, &cheap, NULL, NULL);

		ck_assert((with_new == 0) != (with_old == 0));
		ck_assert(with_new == 0 || with_new == -EKEYREJECTED);
		ck_assert(with_old == 0 || with_old == -EKEYREJECTED);
		ck_assert(r < 0 || with_new == 0);
		ck_assert_int_eq(
			keys_open(s, with_new == 0 ? &other : &cheap, &now, &read_only, NULL), 0);
		ck_assert_int_eq(keys_clean(s, now, NULL), 0);
		ck_assert_int_eq(keys_change_password(s, now, &other, NULL), 0);
		ck_assert_int_eq(try_open(s, &other, NULL, NULL), 0);
		struct store_list l = {0};

		ck_assert_int_eq(store_list_all(s, "keys/", NULL, &l, NULL), 0);
		ck_assert_uint_eq(l.n, 1);
		store_list_done(&l);
		keys_free(now);
		keys_free(k);
		store_close(s);
	}
	ck_assert_uint_ge(failures, 10);
}
END_TEST

/* A new key file that does not read back as it was written replaces nothing. */
START_TEST(change_is_read_back)
{
	struct store *s = fault_new(fixture_store());
	struct fault_rule rule = {.kind = FAULT_GARBLED,
		.prefix = KEYS_2,
		.ops = FAULT_OP(STORE_GET),
		.count = FAULT_FOREVER};
	struct volume_keys *k = fixture_keys(s);

	ck_assert_int_ge(fault_add(s, &rule), 0);
	ck_assert_int_eq(keys_change_password(s, k, &other, NULL), -EBADMSG);
	ck_assert(exists(s, KEYS_1));
	ck_assert_int_eq(try_open(s, &cheap, NULL, NULL), 0);
	keys_free(k);
	store_close(s);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("password");

	tcase_add_test(t, change_of_password);
	tcase_add_test(t, damaged_newest);
	tcase_add_test(t, change_under_faults);
	tcase_add_test(t, change_is_read_back);
	tcase_set_timeout(t, 60);
	return t;
}

int main(void)
{
	return run_suite(make, "password");
}
