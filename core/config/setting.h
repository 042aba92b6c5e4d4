/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_CONFIG_SETTING_H
#define CORE_CONFIG_SETTING_H
/* One value of a key: checked against the table and converted to the key's unit. */
#include "core/config/keys.h"
#include "core/config/toml.h"

struct setting {
	bool set, from_option, substituted;
	bool truth;
	char *text;
	uint64_t number; /* bytes, milliseconds */
	size_t nitems;
	char **items;
	struct toml_place at; /* in the file */
};

/*
 * Converts. -EINVAL: the text of the error says what the value must be, without key and place.
 * `plain_bytes`: a size that is a number alone is in bytes, not GB.
 */
int setting_convert(const struct config_key *k, const struct toml_value *v, bool plain_bytes,
	struct setting *ret, struct error *err);
/* The same for the text of an option, where a number needs no quotes. */
int setting_from_text(const struct config_key *k, const char *text, bool plain_bytes,
	struct setting *ret, struct error *err);
void setting_done(struct setting *s); /* wipes */

#endif
