/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H
/* One client of a writer, and how it chooses what to do next. */
#include "tests/sim/world.h"

#include "core/base/thread.h"
#include "core/vfs/vfs.h"

#define WRITE_MAX 49152u
#define FILE_LIMIT 400000u
#define HUGE_LIMIT 4000000u

struct client {
	struct writer *wr;
	unsigned number;
	struct rng rng;
	struct vfs *v;
	struct thread thread;
};

/* Some node of these types (bits 1 << NODE_*). False: there is none. */
bool pick(struct client *c, struct tree *t, unsigned types, char path[TREE_PATH_MAX]);
/* A name that may exist or not, in a directory that exists. */
void pick_name(struct client *c, struct tree *t, char path[TREE_PATH_MAX]);
uint64_t pick_size(struct client *c); /* of a write, bytes */
/* An operation that makes sense most of the time. */
void pick_op(struct client *c, struct tree *t, struct op *op);
/* Whether the model does not know the outcome. */
bool is_unclear(struct tree *t, const struct op *op, uint64_t limit);

#endif
