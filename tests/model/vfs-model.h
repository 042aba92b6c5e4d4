/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_MODEL_VFS_MODEL_H
#define TESTS_MODEL_VFS_MODEL_H
/* A naive tree of files in memory, and a text that says what is in it: the reference for test-vfs.
 * One thread. */
#include "core/base/buf.h"

#include <stdint.h>
#include <sys/stat.h>

#define MODEL_ENTRIES 64
#define MODEL_FILE_MAX 600000u

struct model_node {
	uint32_t mode;	      /* with type */
	unsigned nlink, refs; /* names; open files and model_hold() */
	struct buf bytes;     /* of a file or link */
	unsigned n;	      /* of a directory */
	struct model_entry {
		char name[24];
		struct model_node *node;
	} entries[MODEL_ENTRIES];
};

struct model_node *model_new(uint32_t mode);
/* Drops a reference that keeps a node without a name. */
void model_put(struct model_node *n);
void model_free_tree(struct model_node *dir);
struct model_entry *model_find(struct model_node *dir, const char *name);

/* All return 0 or a negative errno, as the vfs does. */
int model_add(struct model_node *dir, const char *name, struct model_node *n);
int model_unlink(struct model_node *dir, const char *name);
int model_rmdir(struct model_node *dir, const char *name);
int model_link(struct model_node *n, struct model_node *dir, const char *name);
int model_rename(struct model_node *from, const char *name, struct model_node *to,
	const char *to_name, unsigned flags);
void model_write(struct model_node *n, uint64_t offset, const uint8_t *bytes, size_t len);
void model_resize(struct model_node *n, uint64_t size);
void model_zero(struct model_node *n, uint64_t offset, uint64_t len);

/* One line per entry, by name. `line` also serves whoever describes the real thing. */
void model_describe(struct model_node *dir, const char *path, struct buf *out);
void model_line(
	struct buf *out, const char *path, uint32_t mode, unsigned nlink, struct slice bytes);
uint64_t model_hash(struct slice text);

#endif
