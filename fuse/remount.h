/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef FUSE_REMOUNT_H
#define FUSE_REMOUNT_H
/*
 * mount -o remount of a mount that is there: root may make it read-only and writable again and
 * change nosuid, nodev, noexec and the like. It is the kernel that refuses changes then: the
 * process goes on and holds the volume. A mount that follows a writer (-o ro from the beginning)
 * cannot become writable.
 */
#include "core/base/error.h"

struct options;

/* `mountpoint` without links. */
int remount(const struct options *o, const char *mountpoint, struct error *err);

#endif
