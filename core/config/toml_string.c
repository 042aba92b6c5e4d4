/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strings: basic and literal, of one line and of several, with variables of the environment. */
#include "core/config/toml_internal.h"

#include "core/base/cleanup.h"

#define VARIABLE_MAX 128 /* bytes of the name of a variable */

/* A string being read. The text may be a password, so memory that it leaves behind is wiped. */
struct text {
	char *bytes;
	size_t len, cap;
	struct toml_place at; /* where the string begins */
	bool substituted;
};

static void text_done(struct text *t)
{
	if (t->bytes)
		explicit_bzero(t->bytes, t->cap);
	free(t->bytes);
}

static int append(struct text *t, const char *bytes, size_t n, struct error *err)
{
	if (n > TOML_TEXT_MAX || t->len + n > TOML_TEXT_MAX)
		return reader_error(t->at, err, "the string has more than %d bytes", TOML_TEXT_MAX);
	if (t->len + n + 1 > t->cap) {
		size_t cap = t->len + n + 1 < 64 ? 64 : 2 * (t->len + n + 1);
		char *bigger = malloc(cap);

		if (!bigger)
			return error_set(err, -ENOMEM, "no memory for a configuration");
		if (t->len)
			memcpy(bigger, t->bytes, t->len);
		if (t->bytes)
			explicit_bzero(t->bytes, t->cap);
		free(t->bytes);
		t->bytes = bigger;
		t->cap = cap;
	}
	if (n)
		memcpy(t->bytes + t->len, bytes, n);
	t->len += n;
	t->bytes[t->len] = '\0';
	return 0;
}

static int append_character(struct text *t, uint32_t c, struct error *err)
{
	char out[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(first[n] | c);
	return append(t, out, n, err);
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind "\u" or "\U": that many digits. */
static int read_code(
	struct reader *r, unsigned digits, struct toml_place at, struct text *t, struct error *err)
{
	uint32_t c = 0;

	for (unsigned i = 0; i < digits; i++) {
		int d = hex_digit(reader_peek(r));

		if (d < 0)
			return reader_error(at, err, "\\%c needs %u hexadecimal digits",
				digits == 4 ? 'u' : 'U', digits);
		c = c << 4 | (uint32_t)d;
		reader_skip(r, 1);
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return reader_error(at, err, "U+%04X is no character that can stand here", c);
	return append_character(t, c, err);
}

/* A backslash at the end of a line: the line end and all white space behind it do not count. */
static bool skip_folded(struct reader *r)
{
	const uint8_t *p = r->p;

	while (p < r->end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	if (p == r->end || *p != '\n')
		return false;
	while (r->p < r->end && strchr(" \t\r\n", *r->p))
		reader_skip(r, 1);
	return true;
}

static int read_escape(struct reader *r, bool lines, struct text *t, struct error *err)
{
	static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	struct toml_place at = r->at;
	char there[16];

	reader_skip(r, 1);
	if (lines && skip_folded(r))
		return 0;
	int c = reader_peek(r);
	const char *found = c > 0 ? strchr(names, c) : NULL;

	if (c != 'u' && c != 'U' && !found)
		return reader_error(at, err,
			"a backslash cannot stand before %s; write \\\\ for a backslash",
			reader_describe(r, there));
	reader_skip(r, 1);
	if (!found)
		return read_code(r, c == 'u' ? 4 : 8, at, t, err);
	return append(t, &values[found - names], 1, err);
}

/* "${NAME}" stands here. */
static int read_variable(struct reader *r, struct text *t, struct error *err)
{
	struct toml_place at = r->at;
	char name[VARIABLE_MAX + 1];
	size_t n = 0;

	reader_skip(r, 2);
	for (int c = reader_peek(r);
		n < VARIABLE_MAX && (c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
					    (n > 0 && c >= '0' && c <= '9'));
		c = reader_peek(r)) {
		name[n++] = (char)c;
		reader_skip(r, 1);
	}
	name[n] = '\0';
	if (n == 0 || reader_peek(r) != '}')
		return reader_error(at, err,
			"${ must begin the name of an environment variable and a } end it; write "
			"$${ for a plain ${");
	reader_skip(r, 1);
	const char *value = getenv(name);

	if (!value)
		return reader_error(at, err, "the environment variable %s is not set", name);
	t->substituted = true;
	return append(t, value, strlen(value), err);
}

static int read_dollar(struct reader *r, struct text *t, struct error *err)
{
	if (reader_starts(r, "$${")) {
		reader_skip(r, 3);
		return append(t, "${", 2, err);
	}
	if (reader_starts(r, "${"))
		return read_variable(r, t, err);
	reader_skip(r, 1);
	return append(t, "$", 1, err);
}

struct kind {
	char quote;
	bool lines; /* three quotes, over several lines */
	bool key;
};

/* At the closing quotes: 1; one or two quotes before them belong to the string. Else 0. */
static int read_end(struct reader *r, const struct kind *k, struct text *t, struct error *err)
{
	size_t n = 0;

	while (n < 5 && r->p + n < r->end && r->p[n] == k->quote)
		n++;
	if (!k->lines) {
		reader_skip(r, 1);
		return 1;
	}
	size_t inside = n < 3 ? n : n - 3;
	int e = 0;

	for (size_t i = 0; e == 0 && i < inside; i++)
		e = append(t, &k->quote, 1, err);
	reader_skip(r, n);
	return e < 0 ? e : n >= 3;
}

/* Up to and with the closing quotes. */
static int read_text(struct reader *r, const struct kind *k, struct text *t, struct error *err)
{
	for (;;) {
		int c = reader_peek(r), e;

		if (c < 0 || (!k->lines && (c == '\n' || c == '\r')))
			return reader_error(t->at, err, "the string that begins here has no end");
		if (c == k->quote) {
			e = read_end(r, k, t, err);
			if (e)
				return e < 0 ? e : 0;
			continue;
		}
		if (c == '\\' && k->quote == '"') {
			e = read_escape(r, k->lines, t, err);
		} else if (c == '$' && !k->key) {
			e = read_dollar(r, t, err);
		} else {
			e = append(t, (const char *)r->p, 1, err);
			reader_skip(r, 1);
		}
		if (e < 0)
			return e;
	}
}

int toml_string(
	struct reader *r, bool key, char **ret_text, bool *ret_substituted, struct error *err)
{
	CLEANUP(text_done) struct text t = {.at = r->at};
	struct kind k = {.quote = (char)reader_peek(r), .key = key};

	k.lines = !key && reader_starts(r, k.quote == '"' ? "\"\"\"" : "'''");
	reader_skip(r, k.lines ? 3 : 1);
	if (k.lines && reader_starts(r, "\r\n"))
		reader_skip(r, 2);
	else if (k.lines && reader_peek(r) == '\n')
		reader_skip(r, 1); /* a line end right behind the quotes does not count */
	int e = append(&t, "", 0, err);

	if (e == 0)
		e = read_text(r, &k, &t, err);
	if (e < 0)
		return e;
	*ret_text = TAKE(t.bytes);
	if (ret_substituted)
		*ret_substituted = t.substituted;
	return 0;
}
