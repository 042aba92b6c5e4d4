/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_PLACES_H
#define FUSE_PLACES_H
/*
 * The local files beside a mount: the state directory, the control socket, and the link by which
 * zerofs(1) finds the socket from the mount point. Found, and opened where that is needed, before
 * anything is mounted, because they may lie below the mount point: a process that looks for them
 * there later would wait for itself. A mount works without any of them, with a warning.
 */
#include "core/base/error.h"

#include <stdbool.h>

struct places {
	char state_dir[512]; /* "" = none */
	char control[512];   /* the socket, "" = none */
	char link[64];	     /* in runtime_fd */
	int runtime_fd;	     /* of the directory of sockets, -1 = none */
};

/*
 * `url`: canonical. `mountpoint`: absolute, without links. -EINVAL: the mount point lies in the
 * store's own directory. The rest cannot fail.
 */
int places_find(
	struct places *p, const char *url, const char *mountpoint, bool writer, struct error *err);
/* The mount can be found by its mount point, and not any more. */
void places_show(struct places *p);
void places_hide(struct places *p);

#endif
