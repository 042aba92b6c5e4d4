/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_VFS_TRUNCATE_H
#define CORE_VFS_TRUNCATE_H
/* Changes of size, shared by setattr, O_TRUNC and fallocate. */
#include "core/vfs/op.h"

/* Before the locks: what truncate_apply() needs. 0, -EFBIG, -ENOMEM, -ECANCELED. */
int truncate_prepare(struct inode *i, uint64_t size, struct data_reserve **ret);
/* Gives a regular file a new size; takes `r`. Times and set-id bits are the caller's. */
void truncate_apply(struct op *op, struct inode *i, uint64_t size, struct data_reserve *r);

#endif
