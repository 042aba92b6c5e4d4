/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parses and prints sizes. No locale and no floating point: "1.1G" has one meaning everywhere. */
#include "core/base/sizes.h"

#include "core/base/checked.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FRACTION_DIGITS_MAX 18 /* 10^18 fits 64 bits */

static const char unit_letters[] = "KMGTPE";

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* The whole of `text` as a unit. 0 when it is none. */
static uint64_t parse_unit(const char *text)
{
	char c = upper(text[0]);

	if (c == '\0' || (c == 'B' && text[1] == '\0'))
		return 1;
	const char *at = strchr(unit_letters, c);

	if (!at)
		return 0;
	bool binary = true;

	if (upper(text[1]) == 'B' && text[2] == '\0')
		binary = false;
	else if (text[1] && !(upper(text[1]) == 'I' && upper(text[2]) == 'B' && text[3] == '\0'))
		return 0;
	uint64_t unit = 1;

	for (const char *p = unit_letters; p <= at; p++)
		unit *= binary ? 1024 : 1000;
	return unit;
}

/* Digits up to the first other byte. */
static int parse_whole(const char **text, uint64_t *ret)
{
	uint64_t v = 0;

	if (!is_digit(**text))
		return -EINVAL;
	for (; is_digit(**text); ++*text)
		if (!checked_mul_u64(v, 10, &v) ||
			!checked_add_u64(v, (uint64_t)(**text - '0'), &v))
			return -ERANGE;
	*ret = v;
	return 0;
}

/* ".ddd", or nothing: the fraction is *ret_part / *ret_of. */
static int parse_fraction(const char **text, uint64_t *ret_part, uint64_t *ret_of)
{
	uint64_t part = 0, of = 1;
	int digits = 0;

	if (**text == '.') {
		++*text;
		for (; is_digit(**text); ++*text, digits++)
			if (digits < FRACTION_DIGITS_MAX) {
				part = part * 10 + (uint64_t)(**text - '0');
				of *= 10;
			}
		if (!digits)
			return -EINVAL;
	}
	*ret_part = part;
	*ret_of = of;
	return digits;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	uint64_t whole, part, of, bytes;

	int r = parse_whole(&text, &whole);
	if (r < 0)
		return r;
	int digits = parse_fraction(&text, &part, &of);
	if (digits < 0)
		return digits;
	while (*text == ' ')
		text++;
	uint64_t unit = parse_unit(text);

	if (unit == 0 || (digits && unit == 1))
		return -EINVAL;
	uint64_t more = (uint64_t)((unsigned __int128)part * unit / of);

	if (!checked_mul_u64(whole, unit, &bytes) || !checked_add_u64(bytes, more, &bytes))
		return -ERANGE;
	*ret_bytes = bytes;
	return 0;
}

const char *size_format(char text[SIZE_TEXT_MAX], uint64_t bytes)
{
	const char *letter = unit_letters;
	uint64_t unit = 1024;

	if (bytes < 1024) {
		snprintf(text, SIZE_TEXT_MAX, "%u B", (unsigned)bytes);
		return text;
	}
	/* Tenths, rounded; 1023.95 of a unit is printed as 1 of the next one. */
	unsigned __int128 tenths;

	for (;;) {
		tenths = ((unsigned __int128)bytes * 10 + unit / 2) / unit;
		if (tenths < 10240 || letter[1] == '\0')
			break;
		unit *= 1024;
		letter++;
	}
	unsigned whole = (unsigned)(tenths / 10), tenth = (unsigned)(tenths % 10);

	if (tenth)
		snprintf(text, SIZE_TEXT_MAX, "%u.%u %ciB", whole, tenth, *letter);
	else
		snprintf(text, SIZE_TEXT_MAX, "%u %ciB", whole, *letter);
	return text;
}
