/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_KEPT_H
#define TESTS_SIM_KEPT_H
#include "core/base/buf.h"

#include <stdbool.h>

struct vfs;

/* unlink or rmdir; what lost its last name stays until it is forgotten, which happens at once. */
int client_remove_kept(struct vfs *v, bool directory, uint64_t dir, struct slice name);

#endif
