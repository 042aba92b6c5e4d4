/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_FAULT_SCRIPT_H
#define TESTS_FAULT_SCRIPT_H
/*
 * A fixed script of operations that covers every member of struct vfs_ops, and a snapshot of a
 * tree. Each step is one operation with preparation that changes nothing, so that a step that fails
 * must leave the tree as it was.
 */
#include "core/vfs/vfs.h"

#define SCRIPT_FILES 4 /* open files that steps hand on to each other */

struct script {
	struct vfs *vfs;
	struct vfs_file *files[SCRIPT_FILES];
	uint64_t kept;	  /* an inode that was removed by a kernel that refers to it */
	uint64_t unnamed; /* inode of the unnamed file */
};

struct script_step {
	const char *name;
	int (*run)(struct script *s);
	bool syncs; /* when it succeeds, everything before it is durable */
};

extern const struct script_step script_steps[];
extern const size_t script_length;

void script_close_files(struct script *s);

/* A hash over all names, types, owners, modes, links, attributes, sizes and bytes below the root.
 * 0, or what reading gave. */
int script_snapshot(struct vfs *v, uint64_t *ret);

#endif
