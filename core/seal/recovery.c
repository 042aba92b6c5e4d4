/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The check character is a sum over GF(32): place^1 * first + ... + place^4 * fourth + number of
 * the group. All weights differ and none is 0 or 1, so that a change of one character and an
 * exchange of two neighbours (the check character included) never cancel out.
 */
#include "core/seal/recovery.h"

#include "core/base/env.h"
#include "core/seal/secret.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define GROUP 5 /* characters, the last one checks */
#define SYMBOLS (RECOVERY_GROUPS * GROUP)
#define FIELD_POLYNOMIAL 0x25u /* x^5 + x^2 + 1 */

/* Without I, L, O and U, which are mistaken for others. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static_assert(
	RECOVERY_TEXT_BYTES == SYMBOLS + RECOVERY_GROUPS, "a dash between groups, a terminator");

static unsigned times_x(unsigned v)
{
	v <<= 1;
	return v & 32 ? v ^ FIELD_POLYNOMIAL : v;
}

static unsigned check_of(const uint8_t values[GROUP - 1], unsigned group)
{
	unsigned sum = 0;

	/* Horner's way: the first character gets the highest power. */
	for (unsigned i = 0; i < GROUP - 1; i++)
		sum = times_x(sum ^ values[i]);
	return sum ^ (group + 1);
}

static void write_text(const uint8_t values[SYMBOLS], char out[RECOVERY_TEXT_BYTES])
{
	for (unsigned i = 0; i < SYMBOLS; i++) {
		if (i > 0 && i % GROUP == 0)
			*out++ = '-';
		*out++ = alphabet[values[i]];
	}
	*out = '\0';
}

void recovery_new(char out[RECOVERY_TEXT_BYTES])
{
	uint8_t values[SYMBOLS];

	env_random(values, sizeof(values));
	for (unsigned g = 0; g < RECOVERY_GROUPS; g++) {
		uint8_t *v = values + (size_t)g * GROUP;

		for (unsigned i = 0; i < GROUP - 1; i++)
			v[i] &= 31;
		v[GROUP - 1] = (uint8_t)check_of(v, g);
	}
	write_text(values, out);
	secret_wipe(values, sizeof(values));
}

/* -1: a letter or digit that no key has; -2: something else. */
static int value_of(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	const char *at = c ? strchr(alphabet, c) : NULL;

	if (at)
		return (int)(at - alphabet);
	return c == 'U' ? -1 : -2;
}

/* What was typed, taken apart. */
struct typed {
	int8_t values[SYMBOLS];
	unsigned n, groups;
	int uneven; /* the first group, from 1, that has not five characters; 0 = none */
};

/* False: it has characters that cannot be meant as a recovery key, or too many. */
static bool read_typed(const char *text, struct typed *t)
{
	unsigned in_group = 0;

	for (;; text++) {
		if (*text == ' ' || *text == '\t' || *text == '\r' || *text == '\n')
			continue;
		if (*text == '-' || *text == '\0') {
			if (in_group > 0 && ++t->groups && in_group != GROUP && !t->uneven)
				t->uneven = (int)t->groups;
			in_group = 0;
			if (*text == '\0')
				return true;
			continue;
		}
		int v = value_of(*text);

		if (v < -1 || t->n == SYMBOLS + GROUP)
			return false;
		if (t->n < SYMBOLS)
			t->values[t->n] = (int8_t)v;
		t->n++;
		in_group++;
	}
}

static int check_groups(const struct typed *t, uint8_t values[SYMBOLS])
{
	for (unsigned g = 0; g < RECOVERY_GROUPS; g++) {
		for (unsigned i = g * GROUP; i < (g + 1) * GROUP; i++) {
			if (t->values[i] < 0)
				return (int)g + 1;
			values[i] = (uint8_t)t->values[i];
		}
		if (values[g * GROUP + GROUP - 1] != check_of(values + (size_t)g * GROUP, g))
			return (int)g + 1;
	}
	return 0;
}

int recovery_parse(const char *text, char out[RECOVERY_TEXT_BYTES])
{
	uint8_t values[SYMBOLS];
	struct typed t = {0};
	int r;

	if (!read_typed(text, &t))
		return -EINVAL;
	if (t.groups == RECOVERY_GROUPS && t.uneven)
		return t.uneven;
	if (t.n != SYMBOLS)
		return -EINVAL;
	r = check_groups(&t, values);
	if (r == 0)
		write_text(values, out);
	secret_wipe(values, sizeof(values));
	secret_wipe(&t, sizeof(t));
	return r;
}
