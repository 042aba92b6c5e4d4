/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_CONFIG_KEYS_H
#define CORE_CONFIG_KEYS_H
/*
 * The table of all keys of the configuration: type, range, default, what it is for, and how much of
 * it this version carries out. The manual page zerofs.toml(5) and the file that `zerofs init`
 * writes are held against it by tests.
 */
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_TEXT,
	CONFIG_CHOICE,	    /* one of `choices` */
	CONFIG_COMPRESSION, /* auto, lz4, none, zstd-1 .. zstd-22 */
	CONFIG_BOOLEAN,
	CONFIG_SIZE,	  /* a number of GB (10^9), or a text with a unit; kept in bytes */
	CONFIG_SECONDS,	  /* a number; kept in milliseconds */
	CONFIG_ADDRESSES, /* an array of "host:port" */
	CONFIG_ANY,	  /* not looked at */
};

enum config_state {
	CONFIG_USED,
	CONFIG_DESCRIBES, /* a server or an account: used by whoever needs it, silently kept by all
			     others */
	CONFIG_LATER,	  /* has no effect in this version, which is said when it is set */
	CONFIG_FOREIGN,	  /* ZeroFS has it and this program has not; said when it is set */
};

struct config_key {
	const char *name; /* "section.key"; FOREIGN may end with '.': everything below it */
	enum config_type type;
	enum config_state state;
	double min, max;     /* bytes or milliseconds */
	const char *initial; /* the default as it would be written, NULL = none */
	const char *choices; /* "a|b" */
	const char *help;    /* one or more lines, without the default */
};

extern const struct config_key config_keys[];
extern const size_t config_keys_count;

/* The key of that full name; also the FOREIGN one that it lies below. NULL = unknown. */
const struct config_key *config_key_find(const char *name);
/* Whether some key lies in the section `name` or below it. */
int config_section_known(const char *name);
/* The key of our own that is most like `name`. Never NULL. */
const struct config_key *config_key_nearest(const char *name);
/* "a text", "a size (...)": what a value of this key must be. `out` has room for 200 bytes. */
const char *config_key_expects(const struct config_key *k, char out[200]);

#endif
