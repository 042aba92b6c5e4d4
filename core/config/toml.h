/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_CONFIG_TOML_H
#define CORE_CONFIG_TOML_H
/*
 * The part of TOML 1.0 that a configuration needs: comments, [sections], dotted and quoted keys,
 * strings of all four kinds, integers, floating-point numbers, booleans, arrays over several lines,
 * inline tables. Left out, and refused by name: arrays of tables, dates, infinities. In strings
 * ${NAME} stands for an environment variable, which must be set; $${ is a plain ${.
 *
 * The result is flat: one entry per value under its full name ("servers.nfs.addresses"), in the
 * order of the file. What was decided about duplicates follows TOML: a key, a section or a part of
 * either may be defined once.
 *
 * Input is not trusted: it is checked to be UTF-8 without control characters, all counts and depths
 * are bounded. Every error says where: "line 3, column 7: ..."; columns count characters from 1, a
 * tab is one.
 */
#include "core/base/buf.h"
#include "core/base/error.h"

#define TOML_BYTES_MAX (1u << 20) /* of a file */
#define TOML_ENTRIES_MAX 1000	  /* values, and sections as well */
#define TOML_ITEMS_MAX 1000	  /* of an array */
#define TOML_DEPTH_MAX 8	  /* of arrays and inline tables */
#define TOML_KEY_MAX 256	  /* bytes of a full name */
#define TOML_TEXT_MAX 65536	  /* bytes of a string, variables put in */

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOLEAN, TOML_ARRAY };

struct toml_place {
	uint32_t line, column; /* from 1 */
};

struct toml_value {
	enum toml_type type;
	struct toml_place at;
	char *text;	  /* string: without zero bytes, terminated; numbers: as written, without
			     underscores */
	bool substituted; /* string: an environment variable was put in */
	bool truth;
	int64_t integer;
	double number; /* also of integers */
	size_t nitems;
	struct toml_value *items;
};

struct toml_entry {
	char *key;
	struct toml_place at; /* of the key */
	struct toml_value value;
};

struct toml_section {
	char *name;
	struct toml_place at;
};

struct toml {
	size_t n, nsections;
	struct toml_entry *entries;
	struct toml_section *sections;
};

/* -EINVAL with place and reason, -E2BIG, -ENOMEM. On failure nothing is left in *ret. Reads the
 * environment. */
int toml_parse(struct slice text, struct toml *ret, struct error *err);
void toml_done(struct toml *t); /* wipes the texts: passwords may be among them */

const char *toml_type_name(enum toml_type type); /* "a string", ... */

#endif
