/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_TREE_H
#define TESTS_SIM_TREE_H
/*
 * A file system as naively as one can write it: nodes with children in a list and bytes in an
 * array. The oracle applies every operation to one of these, builds another from what a recovered
 * volume shows, and compares hashes.
 *
 * Paths are relative, without leading slash, e.g. "A/d0/f3"; "" is the root. The nodes directly
 * below the root are fixed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_PATH_MAX 400
#define TREE_NAME_MAX 64

enum node_type { NODE_FILE, NODE_DIR, NODE_LINK };

struct entry {
	char name[TREE_NAME_MAX];
	struct node *node;
};

struct node {
	enum node_type type;
	unsigned mode, links; /* links: entries that name it */
	uint8_t *data;	      /* of a file; the target of a symlink */
	uint64_t size, cap, data_hash;
	bool hashed; /* data_hash is right */
	struct entry *entries;
	size_t nentries, entries_cap;
	uint64_t xattr;	  /* value of the one extended attribute that the clients use, 0 = none */
	uint64_t last_op; /* index of the last operation that named it, plus one */
	uint64_t mark;	  /* for walks */
	uint64_t tag;	  /* inode number in trees read from a volume */
};

struct tree {
	struct node *root;
	uint64_t marks;
};

enum op_kind {
	OP_CREATE, /* an empty file; EEXIST */
	OP_WRITE,
	OP_APPEND,
	OP_TRUNCATE,
	OP_PUNCH,
	OP_ALLOCATE,
	OP_COPY, /* a range of path to path2, both files */
	OP_MKDIR,
	OP_RMDIR,
	OP_UNLINK,
	OP_RENAME,
	OP_EXCHANGE,
	OP_LINK,
	OP_SYMLINK,
	OP_PUBLISH, /* an unnamed file is made, written, and linked: all of it is there or nothing
		     */
	OP_MODE,
	OP_XATTR,
	OP_KINDS
};

struct op {
	enum op_kind kind;
	char path[TREE_PATH_MAX], path2[TREE_PATH_MAX];
	uint64_t offset, len, seed;
};

struct tree *tree_new(void); /* with directories "A" and "D" */
struct tree *tree_copy(const struct tree *t);
void tree_free(struct tree *t);
struct node *tree_find(const struct tree *t, const char *path);
/* Applies the operation, the `index`-th of its history: 0, or a negative errno as the real one
 * should give. */
int tree_apply(struct tree *t, const struct op *op, uint64_t index);
/* Of everything that the oracle compares. */
uint64_t tree_hash(struct tree *t);
/* All of it as text, for reports. */
void tree_print(struct tree *t, const char *title);
/* A line about the operation. */
void op_print(const struct op *op, char *out, size_t size);
const char *op_name(enum op_kind kind);

/* For readers of a volume. */
struct node *node_new(enum node_type type, unsigned mode);
void node_enter(struct node *dir, const char *name, struct node *child);
void node_write(struct node *n, uint64_t offset, const uint8_t *data, uint64_t len);

/* Whether an OP_XATTR takes the attribute away. */
static inline bool op_removes_xattr(const struct op *op)
{
	return op->seed % 3 == 0;
}

/* The bytes of a write. Some are zeros, some compress, some do not. */
void op_bytes(uint64_t seed, uint8_t *out, size_t len);

/* What the clients pick from: the n-th node below the root in walking order, of the types in the
 * mask (1 << type). */
size_t tree_count(struct tree *t, unsigned types);
bool tree_pick(struct tree *t, unsigned types, size_t n, char path[TREE_PATH_MAX]);

#endif
