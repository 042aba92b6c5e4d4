/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/client.h"

#include <stdio.h>
#include <string.h>

#define NODES_MAX 24

bool pick(struct client *c, struct tree *t, unsigned types, char path[TREE_PATH_MAX])
{
	size_t n = tree_count(t, types);

	return n > 0 && tree_pick(t, types, rng_below(&c->rng, n), path);
}

static bool is_top(const char *path)
{
	return path[1] == '\0';
}

void pick_name(struct client *c, struct tree *t, char path[TREE_PATH_MAX])
{
	size_t len;

	if (!pick(c, t, 1u << NODE_DIR, path) || strlen(path) > 200)
		strcpy(path, rng_chance(&c->rng, 1, 2) ? "A" : "D");
	len = strlen(path);
	(void)snprintf(path + len, TREE_PATH_MAX - len, "/%c%llu%s",
		rng_chance(&c->rng, 3, 4) ? 'f' : 'g', (unsigned long long)rng_below(&c->rng, 12),
		rng_chance(&c->rng, 1, 8) ? "-a-name-that-is-somewhat-longer" : "");
}

/* An existing one, mostly. */
static void pick_old(struct client *c, struct tree *t, unsigned types, char path[TREE_PATH_MAX])
{
	if (rng_chance(&c->rng, 1, 16) || !pick(c, t, types, path) || is_top(path))
		pick_name(c, t, path);
}

static bool is_offered(const struct vfs *v, enum op_kind k)
{
	if (k == OP_PUNCH || k == OP_ALLOCATE)
		return v->ops->fallocate != NULL;
	if (k == OP_COPY)
		return v->ops->copy_range != NULL;
	if (k == OP_PUBLISH)
		return v->ops->tmpfile != NULL;
	if (k == OP_XATTR)
		return v->ops->setxattr != NULL;
	return true;
}

static enum op_kind pick_kind(struct client *c, struct tree *t)
{
	static const uint8_t weights[OP_KINDS] = {[OP_CREATE] = 14,
		[OP_WRITE] = 26,
		[OP_APPEND] = 8,
		[OP_TRUNCATE] = 6,
		[OP_PUNCH] = 3,
		[OP_ALLOCATE] = 1,
		[OP_COPY] = 3,
		[OP_MKDIR] = 4,
		[OP_RMDIR] = 3,
		[OP_UNLINK] = 6,
		[OP_RENAME] = 8,
		[OP_EXCHANGE] = 1,
		[OP_LINK] = 4,
		[OP_SYMLINK] = 2,
		[OP_PUBLISH] = 3,
		[OP_MODE] = 2,
		[OP_XATTR] = 5};
	unsigned sum = 0;
	enum op_kind k;

	for (k = 0; k < OP_KINDS; k++)
		sum += weights[k];
	uint64_t r = rng_below(&c->rng, sum);

	for (k = 0; r >= weights[k]; k++)
		r -= weights[k];
	if (!is_offered(c->v, k))
		return OP_WRITE;
	if (tree_count(t, 7) > NODES_MAX && (k == OP_CREATE || k == OP_MKDIR || k == OP_LINK ||
						    k == OP_SYMLINK || k == OP_PUBLISH))
		return OP_UNLINK;
	return k;
}

uint64_t pick_size(struct client *c)
{
	switch (rng_below(&c->rng, 5)) {
	case 0:
		return rng_range(&c->rng, 1, 100);
	case 1:
		return 4096 * rng_range(&c->rng, 1, 3);
	case 2:
		return rng_range(&c->rng, 1, 5000);
	default:
		return rng_range(&c->rng, 1, WRITE_MAX);
	}
}

void pick_op(struct client *c, struct tree *t, struct op *op)
{
	const unsigned file = 1u << NODE_FILE, dir = 1u << NODE_DIR, link = 1u << NODE_LINK;

	memset(op, 0, sizeof(*op));
	op->kind = pick_kind(c, t);
	op->seed = rng_next(&c->rng);
	op->len = pick_size(c);
	if (c->wr->w->o.huge && rng_chance(&c->rng, 1, 4))
		op->offset = rng_below(&c->rng, HUGE_LIMIT - WRITE_MAX);
	else
		op->offset = rng_chance(&c->rng, 1, 4) ? 4096 * rng_below(&c->rng, 80)
						       : rng_below(&c->rng, 60000);
	switch (op->kind) {
	case OP_PUBLISH:
		pick_name(c, t, op->path);
		op->offset = 0;
		break;
	case OP_CREATE:
	case OP_MKDIR:
		pick_name(c, t, op->path);
		break;
	case OP_SYMLINK:
		pick_name(c, t, op->path);
		(void)snprintf(
			op->path2, sizeof(op->path2), "target-%llx", (unsigned long long)op->seed);
		break;
	case OP_RMDIR:
		pick_old(c, t, dir, op->path);
		break;
	case OP_UNLINK:
		pick_old(c, t, file | link, op->path);
		break;
	case OP_RENAME:
		pick_old(c, t, file | dir | link, op->path);
		pick_name(c, t, op->path2);
		break;
	case OP_EXCHANGE:
		pick_old(c, t, file | dir, op->path);
		pick_old(c, t, file | dir, op->path2);
		break;
	case OP_LINK:
		pick_old(c, t, file, op->path);
		pick_name(c, t, op->path2);
		break;
	case OP_MODE:
	case OP_XATTR:
		pick_old(c, t, file | dir, op->path);
		break;
	case OP_COPY:
		pick_old(c, t, file, op->path);
		pick_old(c, t, file, op->path2);
		op->seed = rng_below(&c->rng, 60000);
		break;
	default:
		pick_old(c, t, file, op->path);
		if (op->kind == OP_TRUNCATE && rng_chance(&c->rng, 1, 3))
			op->offset = 0;
		break;
	}
}

bool is_unclear(struct tree *t, const struct op *op, uint64_t limit)
{
	const struct node *a = tree_find(t, op->path), *b = tree_find(t, op->path2);

	if (op->kind == OP_COPY) /* one file onto itself, or nothing to copy */
		return !a || !b || a == b || a->type != NODE_FILE || b->type != NODE_FILE ||
		       op->offset >= a->size || op->seed + op->len > limit;
	if (op->kind == OP_MODE || op->kind == OP_XATTR)
		return a && a->type == NODE_LINK;
	if (op->kind == OP_APPEND)
		return a && a->size + op->len > limit;
	if (op->kind == OP_EXCHANGE)
		return a == b;
	return op->offset + op->len > limit;
}
