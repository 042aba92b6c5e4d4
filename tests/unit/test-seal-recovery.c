/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recovery keys: every single mistake is told, and in which group. */
#include "core/seal/recovery.h"
#include "tests/unit/seal-fixture.h"

#include <ctype.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void replace_char(char *key, size_t at, char c)
{
	char was = key[at], out[RECOVERY_TEXT_BYTES];

	key[at] = c;
	ck_assert_msg(recovery_parse(key, out) == (int)(at / 6) + 1, "%s, place %zu", key, at);
	key[at] = was;
}

static void swap_chars(char *key, size_t a, size_t b)
{
	char was = key[a], out[RECOVERY_TEXT_BYTES];

	if (key[a] == key[b])
		return;
	key[a] = key[b];
	key[b] = was;
	ck_assert_msg(recovery_parse(key, out) > 0, "%s, %zu and %zu exchanged", key, a, b);
	key[b] = key[a];
	key[a] = was;
}

START_TEST(mistakes)
{
	char key[RECOVERY_TEXT_BYTES], out[RECOVERY_TEXT_BYTES];

	for (unsigned round = 0; round < 20; round++) {
		recovery_new(key);
		ck_assert_uint_eq(strlen(key), 41);
		ck_assert_int_eq(recovery_parse(key, out), 0);
		ck_assert_str_eq(key, out);
		for (size_t i = 0; i < 41; i++) {
			if (key[i] == '-')
				continue;
			for (const char *c = alphabet; *c; c++)
				if (*c != key[i])
					replace_char(key, i, *c);
			replace_char(key, i, 'U');
			if (i + 1 < 41 && key[i + 1] != '-')
				swap_chars(key, i, i + 1);
		}
		/* Two groups exchanged. */
		if (memcmp(key, key + 6, 5) != 0) {
			memcpy(out, key, 5);
			memcpy(key, key + 6, 5);
			memcpy(key + 6, out, 5);
			ck_assert_int_gt(recovery_parse(key, out), 0);
		}
	}
}
END_TEST

START_TEST(forms)
{
	char key[RECOVERY_TEXT_BYTES], typed[2 * RECOVERY_TEXT_BYTES], out[RECOVERY_TEXT_BYTES];
	size_t n = 0;

	recovery_new(key);
	for (const char *p = key; *p; p++) { /* small, without dashes, letters for digits */
		if (*p == '-')
			typed[n++] = ' ';
		else
			typed[n++] = *p == '0' ? 'o' : *p == '1' ? 'l' : (char)tolower(*p);
	}
	memcpy(typed + n, "\n", 2);
	ck_assert_int_eq(recovery_parse(typed, out), 0);
	ck_assert_str_eq(key, out);
	/* One character too few and too many in the third group. */
	(void)snprintf(typed, sizeof typed, "%.*s%s", 12, key, key + 13);
	ck_assert_int_eq(recovery_parse(typed, out), 3);
	(void)snprintf(typed, sizeof typed, "%.*sX%s", 12, key, key + 12);
	ck_assert_int_eq(recovery_parse(typed, out), 3);
	ck_assert_int_eq(recovery_parse("", out), -EINVAL);
	ck_assert_int_eq(recovery_parse("correct horse battery staple", out), -EINVAL);
	ck_assert_int_eq(recovery_parse("ABCDE-ABCDE", out), -EINVAL);
	ck_assert_int_eq(recovery_parse("ABCDE-ABCDE-ABCDE-ABCDE-ABCDE-ABCDE-ABCD!", out), -EINVAL);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("recovery");

	tcase_add_test(t, mistakes);
	tcase_add_test(t, forms);
	return t;
}

int main(void)
{
	return run_suite(make, "recovery");
}
