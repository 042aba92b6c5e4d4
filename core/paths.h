/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_PATHS_H
#define CORE_PATHS_H
/* The user's own directories, as the XDG base directory specification places them. */
#include "core/base/error.h"

#include <stddef.h>

/* $XDG_STATE_HOME/zerofs, else ~/.local/state/zerofs. -ENOENT when there is no home directory. */
int paths_state(char *out, size_t size, struct error *err);

#endif
