/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_MOUNT_H
#define FUSE_MOUNT_H
/* Mounting through libfuse3 (which asks fusermount3 where the user may not mount); the protocol on
 * the descriptor is ours. */
#include "core/base/error.h"
#include "fuse/options.h"

struct mount;

/* The message for a mount point that cannot be looked at, `e` (positive) saying why; returns -e. */
int mount_point_error(const char *path, int e, struct error *err);
/* Mounts. `url` becomes the source shown by mount(8) unless the user gave fsname=. */
int mount_open(const struct options *o, const char *url, struct mount **ret, struct error *err);
/* The descriptor that speaks FUSE, until mount_close: also after mount_detach, so that nobody who
 * still reads or answers on it meets another file under its number. */
int mount_fd(const struct mount *m);
/* Detaches the mount point if it is still ours. Idempotent, from any thread. Requests must be
 * served meanwhile: the kernel writes back what is mapped. */
void mount_detach(struct mount *m);
/* Nobody uses mount_fd any more: requests that are not answered fail. */
void mount_close(struct mount *m);
void mount_free(struct mount *m); /* NULL is fine */

#endif
