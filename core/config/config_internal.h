/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_CONFIG_CONFIG_INTERNAL_H
#define CORE_CONFIG_CONFIG_INTERNAL_H
/* Shared by config.c (file, questions), options.c (command line) and starter.c (a new file). */
#include "core/config/config.h"
#include "core/config/setting.h"

struct config {
	struct setting *settings; /* one for each of config_keys */
	char *path;
	bool readable; /* by everybody */
};

/* What stands for a key on the command line. */
struct config_option_name {
	const char *name, *key;
	bool plain_bytes; /* a number alone is in bytes */
};

#endif
