/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_DUMP_H
#define CORE_DUMP_H
/* Any stored object as readable lines, for people who debug or repair. Reads only; opens no volume.
 */
#include "core/volume.h"

struct dump_sink {
	void (*line)(void *arg, const char *text);
	void *arg;
};

/* All objects of the store: size and key, one line each. */
int dump_list(const struct volume_config *c, const struct dump_sink *sink, struct error *err);
/* The object `key`: header, and what its kind holds; records of journals and tables one per line.
 * -ENOENT, -EBADMSG. */
int dump_object(const struct volume_config *c, const char *key, const struct dump_sink *sink,
	struct error *err);

#endif
