/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_CONFIGURE_H
#define CORE_CONFIGURE_H
/* From the settings of a program to those of a volume. */
#include "core/base/error.h"

struct config;
struct volume_config;

/* Sets what the configuration sets; the rest of *ret is left. Strings are borrowed from `c`. */
void configure_volume(const struct config *c, struct volume_config *ret);
/* *ret: the volume's address, `named` or that of the configuration, borrowed. -EINVAL: there is
 * none. */
int configure_source(
	const struct config *c, const char *named, const char **ret, struct error *err);

#endif
