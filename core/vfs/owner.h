/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_OWNER_H
#define CORE_VFS_OWNER_H
/* What data asks of the vfs: references of files, and at the close of a group the records of its
 * inodes. */
#include "core/data/data.h"

struct vfs_engine;

void owner_init(struct vfs_engine *e, struct data_owner_ops *ret);

#endif
