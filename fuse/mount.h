/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_MOUNT_H
#define FUSE_MOUNT_H
/* Mounting through libfuse3 (which asks fusermount3 where the user may not mount); the protocol on
 * the descriptor is ours. */
#include "core/base/error.h"
#include "fuse/options.h"

struct mount;

/* Mounts. `url` becomes the source shown by mount(8) unless the user gave fsname=. */
int mount_open(const struct options *o, const char *url, struct mount **ret, struct error *err);
int mount_fd(const struct mount *m); /* the descriptor that speaks FUSE */
/* Detaches the mount point if it is still ours. Idempotent. */
void mount_detach(struct mount *m);
void mount_free(struct mount *m); /* NULL is fine */

#endif
