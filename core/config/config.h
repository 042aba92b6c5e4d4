/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_CONFIG_CONFIG_H
#define CORE_CONFIG_CONFIG_H
/*
 * The settings of a program: command line over configuration file over environment over default.
 * First the options are put in, then the file is read, then values are asked for by the names of
 * the keys (keys.h). Everything is checked when it is put in; asking cannot fail. Not thread-safe;
 * belongs to the main thread.
 */
#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct option; /* of getopt.h */

/* Returns new, empty; NULL on ENOMEM. */
struct config *config_new(void);
void config_free(struct config *c); /* wipes texts; NULL is fine */

/* ---- options of the command line ---- */

#define CONFIG_OPTION_FIRST 1000 /* `val` of the options that config_add_options adds */
#define CONFIG_OPTIONS_MAX 16

/* Appends the long options of the keys behind options[n], at most CONFIG_OPTIONS_MAX; returns the
 * new count. */
size_t config_add_options(struct option *options, size_t n);
/* Sets what the option `val` stands for. -EINVAL names the option and what it takes. */
int config_set_option(struct config *c, int val, const char *text, struct error *err);
/* The same for "name" as -o options spell it (_ for -). -ENOENT without `err`: there is no such
 * option. */
int config_set_named(struct config *c, const char *name, const char *text, struct error *err);
/* The lines of --help about these options. */
extern const char config_options_help[];

/* ---- the file ---- */

/*
 * Reads the file `path`; NULL: $ZEROFS_CONFIG, else $XDG_CONFIG_HOME/zerofs/zerofs.toml, else
 * /etc/zerofs/zerofs.toml, else none. A file that was named must be there. Then the environment
 * fills what is not set. Errors name the file, line and column. Once per config.
 */
int config_load(struct config *c, const char *path, struct error *err);
/* The same for a text, without the environment: for tests. `name` stands in messages. */
int config_parse(
	struct config *c, const char *name, const void *text, size_t len, struct error *err);
const char *config_path(const struct config *c); /* of the file that was read, NULL = none */
/* Logs, as warnings: keys of ZeroFS, keys without effect, secrets that everybody can read. One line
 * each. */
void config_warn(const struct config *c);
/* Where `zerofs init` writes when nothing is named: for root /etc/zerofs/zerofs.toml, else the one
 * in the home. */
int config_own_path(char *out, size_t size, struct error *err);

/* ---- values; asking for a key that is not in the table, or as another type, is a bug ---- */

bool config_is_set(const struct config *c, const char *key);
/* A text, choice or compression; NULL = not set. */
const char *config_text(const struct config *c, const char *key);
/* A size in bytes, seconds in milliseconds. False = not set: *ret is left. */
bool config_u64(const struct config *c, const char *key, uint64_t *ret);
bool config_boolean(const struct config *c, const char *key, bool *ret);
/* Item `i` of an array; NULL behind the last. */
const char *config_item(const struct config *c, const char *key, size_t i);

/* Wipes a value that is no longer needed; it counts as not set. */
void config_forget(struct config *c, const char *key);

/* A commented file with everything that is set on the command line, the rest as comments. Returns a
 * new string. */
char *config_starter(const struct config *c);

#endif
