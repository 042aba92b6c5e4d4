/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines, sections and keys. */
#include "core/config/toml_internal.h"

#include "core/base/cleanup.h"

#include <stdio.h>

void reader_skip(struct reader *r, size_t bytes)
{
	for (; bytes > 0; bytes--, r->p++) {
		if (*r->p == '\n') {
			r->at.line++;
			r->at.column = 1;
		} else if ((*r->p & 0xc0) != 0x80) { /* bytes inside a character do not count */
			r->at.column++;
		}
	}
}

int reader_error(struct toml_place at, struct error *err, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return error_set(err, -EINVAL, "line %u, column %u: %s", at.line, at.column, text);
}

const char *reader_describe(const struct reader *r, char out[16])
{
	int c = reader_peek(r);
	size_t n = 1;

	if (c < 0)
		return "the end of the file";
	if (c == '\n' || c == '\r')
		return "the end of the line";
	while (c >= 0xc0 && n < 4 && r->p + n < r->end && (r->p[n] & 0xc0) == 0x80)
		n++;
	(void)snprintf(out, 16, "\"%.*s\"", (int)n, (const char *)r->p);
	return out;
}

void reader_blanks(struct reader *r)
{
	while (reader_peek(r) == ' ' || reader_peek(r) == '\t')
		reader_skip(r, 1);
}

static void skip_comment(struct reader *r)
{
	if (reader_peek(r) == '#')
		while (r->p < r->end && *r->p != '\n')
			reader_skip(r, 1);
}

void reader_gap(struct reader *r)
{
	for (;;) {
		reader_blanks(r);
		skip_comment(r);
		if (reader_peek(r) != '\n' && reader_peek(r) != '\r')
			return;
		reader_skip(r, 1);
	}
}

/* The length of the character at p, 0 when it is not UTF-8 (overlong forms and surrogates
 * included). */
static size_t utf8_len(const uint8_t *p, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? *p : *p & (0xffu >> (n + 1));

	if ((n > 1 && (*p < 0xc0 || *p >= 0xf8)) || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) ? 0 : n;
}

/* The whole file is text, so that everything below may look at single bytes. */
static int check_text(struct reader r, struct error *err)
{
	while (r.p < r.end) {
		size_t n = utf8_len(r.p, (size_t)(r.end - r.p));
		bool line_end = *r.p == '\r' && r.p + 1 < r.end && r.p[1] == '\n';

		if (n == 0)
			return reader_error(r.at, err, "byte 0x%02x is not UTF-8 text", *r.p);
		if ((*r.p < 0x20 && *r.p != '\t' && *r.p != '\n' && !line_end) || *r.p == 0x7f)
			return reader_error(r.at, err, "byte 0x%02x cannot stand in a text", *r.p);
		reader_skip(&r, n);
	}
	return 0;
}

static bool is_bare(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* One part of a key is appended to `key`, which has room for TOML_KEY_MAX + 1 bytes. */
static int read_key_part(struct reader *r, char *key, struct error *err)
{
	CLEANUP(free_p) char *quoted = NULL;
	struct toml_place at = r->at;
	const char *part = (const char *)r->p;
	size_t n = 0, have = strlen(key);
	char there[16];

	if (reader_peek(r) == '"' || reader_peek(r) == '\'') {
		int e = toml_string(r, true, &quoted, NULL, err);

		if (e < 0)
			return e;
		part = quoted;
		n = strlen(quoted);
	} else {
		while (r->p + n < r->end && is_bare(r->p[n]))
			n++;
		if (n == 0)
			return reader_error(
				at, err, "expected a key, not %s", reader_describe(r, there));
		reader_skip(r, n);
	}
	if (have + (have > 0) + n > TOML_KEY_MAX)
		return reader_error(at, err, "the key has more than %d bytes", TOML_KEY_MAX);
	if (have)
		key[have++] = '.';
	memcpy(key + have, part, n);
	key[have + n] = '\0';
	return 0;
}

/* A dotted key; its full name, with `prefix`, goes to `key`. */
static int read_key(
	struct reader *r, const char *prefix, char key[TOML_KEY_MAX + 1], struct error *err)
{
	int e;

	(void)snprintf(key, TOML_KEY_MAX + 1, "%s", prefix);
	for (;;) {
		e = read_key_part(r, key, err);
		reader_blanks(r);
		if (e < 0 || reader_peek(r) != '.')
			return e;
		reader_skip(r, 1);
		reader_blanks(r);
	}
}

/* "a.b" is below "a". */
static bool is_below(const char *key, const char *above)
{
	size_t n = strlen(above);

	return strncmp(key, above, n) == 0 && key[n] == '.';
}

/* A value may not be defined twice, nor have something below it. */
static int check_new(const struct toml *t, const char *key, bool section, struct toml_place at,
	struct error *err)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct toml_entry *e = &t->entries[i];

		if (strcmp(e->key, key) == 0 || is_below(key, e->key) ||
			(!section && is_below(e->key, key)))
			return reader_error(at, err,
				"\"%s\" is defined already, as \"%s\" in line %u", key, e->key,
				e->at.line);
	}
	for (size_t i = 0; i < t->nsections; i++) {
		const struct toml_section *s = &t->sections[i];

		if (strcmp(s->name, key) == 0 || (!section && is_below(s->name, key)))
			return reader_error(at, err,
				"\"%s\" is defined already, as section [%s] in line %u", key,
				s->name, s->at.line);
	}
	return 0;
}

int toml_assignment(struct reader *r, const char *prefix, struct error *err)
{
	char key[TOML_KEY_MAX + 1], there[16];
	struct toml_entry entry = {.at = r->at};
	bool table = false;
	int e = read_key(r, prefix, key, err);

	if (e == 0)
		e = check_new(r->out, key, false, entry.at, err);
	if (e < 0)
		return e;
	if (reader_peek(r) != '=')
		return reader_error(r->at, err, "expected \"=\" after the key, not %s",
			reader_describe(r, there));
	reader_skip(r, 1);
	reader_blanks(r);
	e = toml_value(r, key, &entry.value, &table, err);
	if (e < 0 || table)
		return e;
	entry.key = strdup(key);
	if (!entry.key || r->out->n == TOML_ENTRIES_MAX) {
		toml_value_done(&entry.value);
		free(entry.key);
		return entry.key ? reader_error(
					   entry.at, err, "more than %d values", TOML_ENTRIES_MAX)
				 : error_set(err, -ENOMEM, "no memory for a configuration");
	}
	r->out->entries[r->out->n++] = entry;
	return 0;
}

static int read_section(struct reader *r, char name[TOML_KEY_MAX + 1], struct error *err)
{
	struct toml_section s = {.at = r->at};
	char there[16];

	reader_skip(r, 1);
	if (reader_peek(r) == '[')
		return reader_error(s.at, err, "[[...]] (an array of tables) has no meaning here");
	reader_blanks(r);
	int e = read_key(r, "", name, err);

	if (e == 0 && reader_peek(r) != ']')
		e = reader_error(r->at, err, "expected \"]\" after the name of the section, not %s",
			reader_describe(r, there));
	if (e == 0)
		e = check_new(r->out, name, true, s.at, err);
	if (e == 0 && r->out->nsections == TOML_ENTRIES_MAX)
		e = reader_error(s.at, err, "more than %d sections", TOML_ENTRIES_MAX);
	if (e < 0)
		return e;
	reader_skip(r, 1);
	s.name = strdup(name);
	if (!s.name)
		return error_set(err, -ENOMEM, "no memory for a configuration");
	r->out->sections[r->out->nsections++] = s;
	return 0;
}

static int read_file(struct reader *r, struct error *err)
{
	char section[TOML_KEY_MAX + 1] = "", there[16];

	for (;;) {
		reader_gap(r);
		if (r->p == r->end)
			return 0;
		int e = reader_peek(r) == '[' ? read_section(r, section, err)
					      : toml_assignment(r, section, err);

		if (e < 0)
			return e;
		reader_blanks(r);
		skip_comment(r);
		if (reader_peek(r) >= 0 && reader_peek(r) != '\n' && reader_peek(r) != '\r')
			return reader_error(r->at, err, "expected the end of the line, not %s",
				reader_describe(r, there));
	}
}

int toml_parse(struct slice text, struct toml *ret, struct error *err)
{
	struct toml t = {0};
	struct reader r = {.p = text.data, .end = text.data + text.len, .at = {1, 1}, .out = &t};

	if (text.len > TOML_BYTES_MAX)
		return error_set(err, -E2BIG, "more than %u bytes", TOML_BYTES_MAX);
	if (text.len == 0) {
		*ret = t;
		return 0;
	}
	if (reader_starts(&r, "\xef\xbb\xbf")) /* some editors begin a file like this */
		r.p += 3;
	t.entries = calloc(TOML_ENTRIES_MAX, sizeof t.entries[0]);
	t.sections = calloc(TOML_ENTRIES_MAX, sizeof t.sections[0]);
	int e = t.entries && t.sections ? check_text(r, err)
					: error_set(err, -ENOMEM, "no memory for a configuration");

	if (e == 0)
		e = read_file(&r, err);
	if (e < 0) {
		toml_done(&t);
		return e;
	}
	*ret = t;
	return 0;
}

void toml_done(struct toml *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->entries[i].key);
		toml_value_done(&t->entries[i].value);
	}
	for (size_t i = 0; i < t->nsections; i++)
		free(t->sections[i].name);
	free(t->entries);
	free(t->sections);
	*t = (struct toml){0};
}
