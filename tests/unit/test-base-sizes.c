/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sizes, checksums, repeatable random numbers. */
#include "core/base/crc.h"
#include "core/base/rng.h"
#include "core/base/sizes.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text;
	int result;
	uint64_t bytes;
} parse_cases[] = {
	{"0", 0, 0},
	{"4096", 0, 4096},
	{"4096B", 0, 4096},
	{"512M", 0, 512ull << 20},
	{"512m", 0, 512ull << 20},
	{"10GiB", 0, 10ull << 30},
	{"10gib", 0, 10ull << 30},
	{"10GB", 0, 10000000000ull},
	{"1.5G", 0, 3ull << 29},
	{"1.5 GiB", 0, 3ull << 29},
	{"0.5K", 0, 512},
	{"0.0009765625M", 0, 1024},
	{"1.000000000000000000000000001K", 0, 1024},
	{"15E", 0, 15ull << 60},
	{"15.999E", 0, 18445591152204944769ull},
	{"18446744073709551615", 0, UINT64_MAX},
	{"18446744073709551616", -ERANGE, 0},
	{"16E", -ERANGE, 0},
	{"99999999999999999999999", -ERANGE, 0},
	{"18446744073709551615K", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"M", -EINVAL, 0},
	{"-1", -EINVAL, 0},
	{"+1", -EINVAL, 0},
	{" 1", -EINVAL, 0},
	{"1.5", -EINVAL, 0},
	{"1.5B", -EINVAL, 0},
	{"1.", -EINVAL, 0},
	{"1.K", -EINVAL, 0},
	{".5K", -EINVAL, 0},
	{"1Z", -EINVAL, 0},
	{"1Ki", -EINVAL, 0},
	{"1KiBx", -EINVAL, 0},
	{"1KBB", -EINVAL, 0},
	{"1K 2", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
	{"1e3", -EINVAL, 0},
};

START_TEST(parses)
{
	uint64_t bytes = 77;
	int r = size_parse(parse_cases[_i].text, &bytes);

	ck_assert_msg(r == parse_cases[_i].result, "'%s' gave %d", parse_cases[_i].text, r);
	ck_assert_msg(bytes == (r < 0 ? 77 : parse_cases[_i].bytes), "'%s' gave %llu",
		parse_cases[_i].text, (unsigned long long)bytes);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
} format_cases[] = {
	{0, "0 B"},
	{1023, "1023 B"},
	{1024, "1 KiB"},
	{1536, "1.5 KiB"},
	{(1ull << 20) - 1, "1 MiB"},
	{1ull << 20, "1 MiB"},
	{10ull << 30, "10 GiB"},
	{1023ull << 30, "1023 GiB"},
	{(3ull << 39) + 1, "1.5 TiB"},
	{UINT64_MAX, "16 EiB"},
};

START_TEST(formats)
{
	char text[SIZE_TEXT_MAX];

	ck_assert_str_eq(size_format(text, format_cases[_i].bytes), format_cases[_i].text);
}
END_TEST

START_TEST(formats_what_it_parses)
{
	struct rng rng = rng_of(5);

	for (int i = 0; i < 10000; i++) {
		uint64_t v = rng_next(&rng) >> rng_below(&rng, 64), back;
		char text[SIZE_TEXT_MAX];
		int r = size_parse(size_format(text, v), &back);

		if (r == -ERANGE && v > 15ull << 60)
			continue; /* rounded up to 16 EiB */
		ck_assert_int_eq(r, 0);
		ck_assert_msg((back > v ? back - v : v - back) <= v / 10 + 1, "%s", text);
	}
}
END_TEST

START_TEST(knows_the_published_checksums)
{
	uint8_t block[32];

	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c_portable(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c(0, NULL, 0), 0);
	/* RFC 3720 B.4 */
	memset(block, 0, sizeof(block));
	ck_assert_uint_eq(crc32c(0, block, 32), 0x8a9136aa);
	memset(block, 0xff, sizeof(block));
	ck_assert_uint_eq(crc32c(0, block, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		block[i] = (uint8_t)i;
	ck_assert_uint_eq(crc32c(0, block, 32), 0x46dd794e);
}
END_TEST

START_TEST(checksums_agree_and_chain)
{
	struct rng rng = rng_of(6);
	uint8_t bytes[700];

	rng_fill(&rng, bytes, sizeof(bytes));
	for (int i = 0; i < 3000; i++) {
		size_t from = rng_below(&rng, 16), len = rng_below(&rng, 600);
		size_t cut = rng_below(&rng, len + 1);
		uint32_t whole = crc32c(0, bytes + from, len);

		ck_assert_uint_eq(crc32c_portable(0, bytes + from, len), whole);
		uint32_t part = crc32c(0, bytes + from, cut);

		ck_assert_uint_eq(crc32c(part, bytes + from + cut, len - cut), whole);
	}
}
END_TEST

START_TEST(draws_repeatable_numbers)
{
	struct rng a = rng_of(9), b = rng_of(9), c = rng_of(10);
	int equal = 0, hits[7] = {0}, chances = 0;

	for (int i = 0; i < 70000; i++) {
		uint64_t v = rng_next(&a);

		ck_assert_uint_eq(v, rng_next(&b));
		equal += v == rng_next(&c);
		hits[rng_below(&a, 7)]++;
		(void)rng_below(&b, 7);
		chances += rng_chance(&c, 1, 4);
	}
	ck_assert_int_eq(equal, 0);
	for (int i = 0; i < 7; i++)
		ck_assert(hits[i] > 9500 && hits[i] < 10500);
	ck_assert(chances > 17000 && chances < 18000);
	for (int i = 0; i < 1000; i++) {
		uint64_t v = rng_range(&a, 5, 7);

		ck_assert(v >= 5 && v <= 7);
		ck_assert_uint_eq(rng_range(&a, 3, 3), 3);
	}
	(void)rng_range(&a, 0, UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-sizes");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, parses, 0, sizeof(parse_cases) / sizeof(parse_cases[0]));
	tcase_add_loop_test(t, formats, 0, sizeof(format_cases) / sizeof(format_cases[0]));
	tcase_add_test(t, formats_what_it_parses);
	tcase_add_test(t, knows_the_published_checksums);
	tcase_add_test(t, checksums_agree_and_chain);
	tcase_add_test(t, draws_repeatable_numbers);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
