/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_BENCH_NOTHING_VFS_H
#define TESTS_BENCH_NOTHING_VFS_H
/*
 * A struct vfs that does nothing but keep names and attributes in memory: writes change the size
 * and forget the bytes, reads give zeros, fsync returns at once. Under the same request loop as
 * zerofs-mount it shows what the kernel and the loop cost by themselves. Thread-safe. Left out:
 * links, symlinks, devices, extended attributes, locks, permissions (the kernel checks them by
 * default_permissions).
 */
#include "core/vfs/vfs.h"

/* A new, empty tree; the root belongs to the caller of this process. NULL on ENOMEM. */
struct vfs *nothing_new(void);
/* All files must have been released. NULL is fine. */
void nothing_free(struct vfs *v);

#endif
