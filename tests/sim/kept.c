/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removing as a kernel does it that still refers to what it removes. */
#include "core/vfs/vfs.h"
#include "tests/sim/kept.h"

int client_remove_kept(struct vfs *v, bool directory, uint64_t dir, struct slice name)
{
	const struct vfs_cred kernel = {.keeps = true};
	struct vfs_attr a, after;
	int r = vfs_lookup(v, &kernel, dir, name, &a);

	if (r == 0)
		r = directory ? vfs_rmdir(v, &kernel, dir, name)
			      : vfs_unlink(v, &kernel, dir, name);
	if (r < 0)
		return r;
	/* The name may have stood for another inode by then. */
	if (vfs_getattr(v, &kernel, a.inode, &after) == 0 && after.nlink == 0)
		vfs_forget(v, a.inode);
	return 0;
}
