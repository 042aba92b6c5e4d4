/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/hex.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(bytes_there_and_back)
{
	uint8_t all[256], back[256];
	char text[513];

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	hex_encode(all, 256, text);
	ck_assert_uint_eq(strlen(text), 512);
	ck_assert(strncmp(text, "000102030405060708090a0b0c0d0e0f10", 34) == 0);
	ck_assert(strcmp(text + 508, "feff") == 0);
	ck_assert(hex_decode(text, 512, back, 256));
	ck_assert(memcmp(all, back, 256) == 0);
	hex_encode(NULL, 0, text);
	ck_assert_str_eq(text, "");
	ck_assert(hex_decode("", 0, back, 0));
}
END_TEST

START_TEST(bytes_refused)
{
	uint8_t out[4];

	ck_assert(!hex_decode("ab", 2, out, 2));
	ck_assert(!hex_decode("abcde", 5, out, 2));
	ck_assert(!hex_decode("abcdef", 6, out, 2));
	ck_assert(!hex_decode("AB", 2, out, 1));
	ck_assert(!hex_decode("0g", 2, out, 1));
	ck_assert(!hex_decode("g0", 2, out, 1));
	ck_assert(!hex_decode(" 1", 2, out, 1));
	ck_assert(!hex_decode("0/", 2, out, 1));
	ck_assert(!hex_decode("0:", 2, out, 1));
	ck_assert(!hex_decode("0`", 2, out, 1));
}
END_TEST

START_TEST(numbers)
{
	static const uint64_t values[] = {0, 1, 15, 16, 0x123456789abcdef0ull, UINT64_MAX};
	char text[17];
	uint64_t v;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		hex_encode_u64(values[i], text);
		ck_assert_uint_eq(strlen(text), 16);
		ck_assert(hex_decode_u64(text, 16, &v));
		ck_assert_uint_eq(v, values[i]);
	}
	hex_encode_u64(0xab, text);
	ck_assert_str_eq(text, "00000000000000ab");
	ck_assert(!hex_decode_u64("00000000000000ab", 15, &v));
	ck_assert(!hex_decode_u64("00000000000000ab0", 17, &v));
	ck_assert(!hex_decode_u64("00000000000000AB", 16, &v));
	ck_assert(!hex_decode_u64("-000000000000001", 16, &v));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hex");
	TCase *t = tcase_create("hex");

	tcase_add_test(t, bytes_there_and_back);
	tcase_add_test(t, bytes_refused);
	tcase_add_test(t, numbers);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);

	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
