/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_CONFIG_TOML_INTERNAL_H
#define CORE_CONFIG_TOML_INTERNAL_H
/* What the parser of lines (toml.c) and those of strings (toml_string.c) and values (toml_value.c)
 * share. */
#include "core/config/toml.h"

/* The text that is left, and where it is. */
struct reader {
	const uint8_t *p, *end;
	struct toml_place at;
	unsigned depth;
	struct toml *out;
};

/* The next byte, -1 at the end. */
static inline int reader_peek(const struct reader *r)
{
	return r->p < r->end ? *r->p : -1;
}

static inline bool reader_starts(const struct reader *r, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(r->end - r->p) >= n && memcmp(r->p, with, n) == 0;
}

void reader_skip(struct reader *r, size_t bytes);
/* -EINVAL with "line L, column C: " before the text. */
int reader_error(struct toml_place at, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What stands there, for a message: a character in quotes, "the end of the line", ... */
const char *reader_describe(const struct reader *r, char out[16]);
void reader_blanks(struct reader *r); /* skips spaces and tabs */
/* Skips blanks, comments and line ends. */
void reader_gap(struct reader *r);

/*
 * A string that begins here, of any of the four kinds. `key`: only one line, and no variables.
 * *ret_text: new. The flag is set when a variable was put in.
 */
int toml_string(
	struct reader *r, bool key, char **ret_text, bool *ret_substituted, struct error *err);
/* A value that begins here; an inline table becomes entries below `key`, and *ret_table is set. */
int toml_value(struct reader *r, const char *key, struct toml_value *ret, bool *ret_table,
	struct error *err);
void toml_value_done(struct toml_value *v);
/* "key = value" below the section or inline table `prefix` ("" = none). */
int toml_assignment(struct reader *r, const char *prefix, struct error *err);

#endif
