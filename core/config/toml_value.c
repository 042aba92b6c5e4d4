/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values: numbers, booleans, arrays, inline tables. */
#include "core/config/toml_internal.h"

#include "core/base/cleanup.h"

#include <math.h>

#define WORD_MAX 64 /* bytes of a number */

const char *toml_type_name(enum toml_type type)
{
	switch (type) {
	case TOML_STRING:
		return "a string";
	case TOML_INTEGER:
		return "an integer";
	case TOML_FLOAT:
		return "a number with a fraction";
	case TOML_BOOLEAN:
		return "a boolean";
	case TOML_ARRAY:
		return "an array";
	}
	return "a value";
}

void toml_value_done(struct toml_value *v)
{
	if (v->text)
		explicit_bzero(v->text, strlen(v->text));
	free(v->text);
	for (size_t i = 0; i < v->nitems; i++)
		toml_value_done(&v->items[i]);
	free(v->items);
	*v = (struct toml_value){0};
}

/* The bytes up to something that ends a number or a name. */
static size_t word_len(const struct reader *r)
{
	size_t n = 0;

	while (r->p + n < r->end && !strchr(" \t\r\n,]}#=", r->p[n]))
		n++;
	return n;
}

static bool is_digit_of(char c, unsigned base)
{
	if (base == 16)
		return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
	return c >= '0' && c < (char)('0' + base);
}

/* Copies a number without its underscores, each of which must stand between digits. */
static bool strip(const char *word, size_t n, char out[WORD_MAX + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (word[i] == '_' && (i == 0 || i + 1 == n || !is_digit_of(word[i - 1], 16) ||
					      !is_digit_of(word[i + 1], 16)))
			return false;
		if (word[i] != '_')
			out[len++] = word[i];
	}
	out[len] = '\0';
	return true;
}

/* Digits of the base to the end; at least one. */
static bool all_digits(const char *s, unsigned base)
{
	size_t n = 0;

	while (is_digit_of(s[n], base))
		n++;
	return n > 0 && s[n] == '\0';
}

/* "0", or digits that do not begin with 0. *s moves behind them. */
static bool skip_decimal(const char **s)
{
	const char *start = *s;

	while (is_digit_of(**s, 10))
		++*s;
	return *s > start && (start[0] != '0' || *s == start + 1);
}

static bool is_float(const char *s)
{
	bool more = false;

	s += *s == '+' || *s == '-';
	if (!skip_decimal(&s))
		return false;
	if (*s == '.') {
		more = true;
		s++;
		if (!is_digit_of(*s, 10))
			return false;
		s += strspn(s, "0123456789");
	}
	if (*s == 'e' || *s == 'E') {
		more = true;
		s += 1 + (s[1] == '+' || s[1] == '-');
		if (!is_digit_of(*s, 10))
			return false;
		s += strspn(s, "0123456789");
	}
	return more && *s == '\0';
}

static bool is_decimal_integer(const char *s)
{
	s += *s == '+' || *s == '-';
	return skip_decimal(&s) && *s == '\0';
}

/* 0; -ERANGE; -EINVAL: not a number. `s` has no underscores. */
static int convert_number(const char *s, struct toml_value *v)
{
	unsigned base = s[0] != '0'   ? 10
			: s[1] == 'x' ? 16
			: s[1] == 'o' ? 8
			: s[1] == 'b' ? 2
				      : 10;

	errno = 0;
	if (is_float(s)) {
		v->type = TOML_FLOAT;
		v->number = strtod(s, NULL);
		return isfinite(v->number) ? 0 : -ERANGE;
	}
	if (base == 10 ? !is_decimal_integer(s) : !all_digits(s + 2, base))
		return -EINVAL;
	v->type = TOML_INTEGER;
	v->integer = strtoll(base == 10 ? s : s + 2, NULL, (int)base);
	v->number = (double)v->integer;
	return errno == ERANGE ? -ERANGE : 0;
}

static int read_word(struct reader *r, struct toml_value *v, struct error *err)
{
	const char *word = (const char *)r->p;
	char number[WORD_MAX + 1], there[16];
	size_t n = word_len(r);
	int e = -EINVAL;

	if (n == 0)
		return reader_error(
			r->at, err, "expected a value, not %s", reader_describe(r, there));
	if ((n == 4 && memcmp(word, "true", 4) == 0) || (n == 5 && memcmp(word, "false", 5) == 0)) {
		v->type = TOML_BOOLEAN;
		v->truth = n == 4;
		reader_skip(r, n);
		return 0;
	}
	if (n <= WORD_MAX && strip(word, n, number))
		e = convert_number(number, v);
	if (e == -ERANGE)
		return reader_error(v->at, err, "the number is too large");
	if (e < 0) /* not repeated here: it may be a password */
		return reader_error(v->at, err,
			"this is neither a number nor true or false; texts stand in quotes");
	v->text = strdup(number);
	reader_skip(r, n);
	return v->text ? 0 : error_set(err, -ENOMEM, "no memory for a configuration");
}

static int add_item(struct reader *r, struct toml_value *v, struct error *err)
{
	if (v->nitems == TOML_ITEMS_MAX)
		return reader_error(r->at, err, "more than %d items in an array", TOML_ITEMS_MAX);
	if ((v->nitems & (v->nitems - 1)) == 0) { /* grows at powers of two */
		struct toml_value *more =
			realloc(v->items, (v->nitems ? 2 * v->nitems : 1) * sizeof v->items[0]);

		if (!more)
			return error_set(err, -ENOMEM, "no memory for a configuration");
		v->items = more;
	}
	struct toml_value *item = &v->items[v->nitems];

	*item = (struct toml_value){0};
	int e = toml_value(r, NULL, item, NULL, err);

	if (e == 0)
		v->nitems++;
	return e;
}

static int read_array(struct reader *r, struct toml_value *v, struct error *err)
{
	char there[16];

	v->type = TOML_ARRAY;
	reader_skip(r, 1);
	for (;;) {
		reader_gap(r);
		if (reader_peek(r) == ']')
			break;
		if (r->p == r->end)
			return reader_error(v->at, err, "the array that begins here has no end");
		int e = add_item(r, v, err);

		if (e < 0)
			return e;
		reader_gap(r);
		if (reader_peek(r) == ']')
			break;
		if (reader_peek(r) != ',' && r->p < r->end)
			return reader_error(r->at, err,
				"expected \",\" or \"]\" in the array, not %s",
				reader_describe(r, there));
		reader_skip(r, r->p < r->end);
	}
	reader_skip(r, 1);
	return 0;
}

/* { a = 1, b.c = "x" }, on one line. */
static int read_table(struct reader *r, const char *key, struct toml_place at, struct error *err)
{
	char there[16];

	if (!key)
		return reader_error(at, err, "tables in arrays have no meaning here");
	reader_skip(r, 1);
	reader_blanks(r);
	for (bool first = true; !(first && reader_peek(r) == '}'); first = false) {
		int e = toml_assignment(r, key, err);

		if (e < 0)
			return e;
		reader_blanks(r);
		if (reader_peek(r) == '}')
			break;
		if (reader_peek(r) != ',')
			return reader_error(r->at, err,
				"expected \",\" or \"}\" in the inline table, not %s",
				reader_describe(r, there));
		reader_skip(r, 1);
		reader_blanks(r);
	}
	reader_skip(r, 1);
	return 0;
}

int toml_value(struct reader *r, const char *key, struct toml_value *ret, bool *ret_table,
	struct error *err)
{
	struct toml_value v = {.at = r->at};
	int c = reader_peek(r), e;

	if ((c == '[' || c == '{') && r->depth == TOML_DEPTH_MAX)
		return reader_error(r->at, err, "nested more than %d times", TOML_DEPTH_MAX);
	r->depth++;
	if (c == '{') {
		e = read_table(r, key, v.at, err);
		if (e == 0)
			*ret_table = true;
	} else if (c == '[') {
		e = read_array(r, &v, err);
	} else if (c == '"' || c == '\'') {
		v.type = TOML_STRING;
		e = toml_string(r, false, &v.text, &v.substituted, err);
	} else {
		e = read_word(r, &v, err);
	}
	r->depth--;
	if (e < 0)
		toml_value_done(&v);
	else
		*ret = v;
	return e;
}
