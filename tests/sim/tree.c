/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/tree.h"

#include "core/base/rng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "out of memory in the model\n");
		abort();
	}
	return p;
}

/* ---- nodes ---- */

struct node *node_new(enum node_type type, unsigned mode)
{
	struct node *n = need(calloc(1, sizeof(*n)));

	n->type = type;
	n->mode = mode;
	return n;
}

static void node_drop(struct node *n)
{
	if (--n->links > 0)
		return;
	for (size_t i = 0; i < n->nentries; i++)
		node_drop(n->entries[i].node);
	free(n->entries);
	free(n->data);
	free(n);
}

static struct entry *find_entry(const struct node *dir, const char *name)
{
	for (size_t i = 0; i < dir->nentries; i++)
		if (strcmp(dir->entries[i].name, name) == 0)
			return &dir->entries[i];
	return NULL;
}

void node_enter(struct node *dir, const char *name, struct node *child)
{
	size_t i = dir->nentries;

	if (dir->nentries == dir->entries_cap) {
		dir->entries_cap = dir->entries_cap ? dir->entries_cap * 2 : 8;
		dir->entries =
			need(reallocarray(dir->entries, dir->entries_cap, sizeof(*dir->entries)));
	}
	for (; i && strcmp(dir->entries[i - 1].name, name) > 0; i--)
		dir->entries[i] = dir->entries[i - 1];
	dir->nentries++;
	memset(&dir->entries[i], 0, sizeof(dir->entries[i]));
	(void)snprintf(dir->entries[i].name, sizeof(dir->entries[i].name), "%s", name); /* fits */
	dir->entries[i].node = child;
	child->links++;
}

/* Takes the entry away without dropping its node. */
static struct node *node_take(struct node *dir, const char *name)
{
	struct entry *e = find_entry(dir, name);
	struct node *n = e->node;

	memmove(e, e + 1, (size_t)(dir->entries + --dir->nentries - e) * sizeof(*e));
	n->links--;
	return n;
}

static void drop_entry(struct node *dir, const char *name)
{
	struct node *n = node_take(dir, name);

	n->links++;
	node_drop(n);
}

static void node_resize(struct node *n, uint64_t size)
{
	if (size > n->cap) {
		n->cap = size + size / 2;
		n->data = need(realloc(n->data, n->cap));
	}
	if (size > n->size)
		memset(n->data + n->size, 0, size - n->size);
	n->size = size;
	n->hashed = false;
}

void node_write(struct node *n, uint64_t offset, const uint8_t *data, uint64_t len)
{
	if (offset + len > n->size)
		node_resize(n, offset + len);
	if (len)
		memcpy(n->data + offset, data, len);
	n->hashed = false;
}

/* ---- trees ---- */

struct tree *tree_new(void)
{
	struct tree *t = need(calloc(1, sizeof(*t)));

	t->marks = 1; /* a fresh node is in no walk */
	t->root = node_new(NODE_DIR, 0755);
	t->root->links = 1;
	node_enter(t->root, "A", node_new(NODE_DIR, 0755));
	node_enter(t->root, "D", node_new(NODE_DIR, 0755));
	return t;
}

/* Pairs of a node and its copy: hard links stay links. */
struct copies {
	const struct node **from;
	struct node **to;
	size_t n, cap;
};

static struct node *copy_node(struct copies *c, const struct node *n)
{
	for (size_t i = 0; n->type != NODE_DIR && n->links > 1 && i < c->n; i++)
		if (c->from[i] == n)
			return c->to[i];
	struct node *m = need(malloc(sizeof(*m)));

	*m = *n;
	m->links = 0;
	m->entries = NULL;
	m->nentries = m->entries_cap = 0;
	m->cap = n->size;
	m->data = n->size ? need(malloc(n->size)) : NULL;
	if (n->size)
		memcpy(m->data, n->data, n->size);
	if (n->type != NODE_DIR && n->links > 1) {
		if (c->n == c->cap) {
			c->cap = c->cap ? c->cap * 2 : 16;
			c->from = need(reallocarray(c->from, c->cap, sizeof(*c->from)));
			c->to = need(reallocarray(c->to, c->cap, sizeof(*c->to)));
		}
		c->from[c->n] = n;
		c->to[c->n++] = m;
	}
	for (size_t i = 0; i < n->nentries; i++)
		node_enter(m, n->entries[i].name, copy_node(c, n->entries[i].node));
	return m;
}

struct tree *tree_copy(const struct tree *t)
{
	struct tree *u = need(calloc(1, sizeof(*u)));
	struct copies c = {0};

	u->marks = t->marks;
	u->root = copy_node(&c, t->root);
	u->root->links = 1;
	free(c.from);
	free(c.to);
	return u;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	node_drop(t->root);
	free(t);
}

/* The node; *ret_dir and *ret_name (may be NULL): where its last component is, or would be. */
static struct node *walk(
	const struct tree *t, const char *path, struct node **ret_dir, char *ret_name, int *ret)
{
	struct node *n = t->root, *dir = NULL;
	char name[TREE_NAME_MAX] = "";

	*ret = 0;
	while (*path) {
		size_t len = strcspn(path, "/");

		if (!n || n->type != NODE_DIR) {
			*ret = n ? -ENOTDIR : -ENOENT;
			return NULL;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		dir = n;
		struct entry *e = find_entry(dir, name);

		n = e ? e->node : NULL;
		path += len + (path[len] == '/');
	}
	if (ret_dir)
		*ret_dir = dir;
	if (ret_name)
		strcpy(ret_name, name);
	if (!n)
		*ret = -ENOENT;
	return n;
}

struct node *tree_find(const struct tree *t, const char *path)
{
	int r;

	return walk(t, path, NULL, NULL, &r);
}

/* ---- operations ---- */

void op_bytes(uint64_t seed, uint8_t *out, size_t len)
{
	struct rng r = rng_of(seed);
	uint64_t kind = rng_below(&r, 8);

	if (kind == 0) {
		memset(out, 0, len);
	} else if (kind < 4) {
		char text[32];
		int n = snprintf(text, sizeof(text), "%016llx-", (unsigned long long)seed);

		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)text[i % (size_t)n];
	} else {
		rng_fill(&r, out, len);
	}
}

/* Where a path leads, for an operation. */
struct place {
	struct node *dir, *node;
	char name[TREE_NAME_MAX];
	int r; /* -ENOENT, -ENOTDIR */
};

static struct place place_of(struct tree *t, const char *path)
{
	struct place p = {0};

	p.node = walk(t, path, &p.dir, p.name, &p.r);
	if (p.r == -ENOTDIR || (p.r == -ENOENT && !p.dir))
		p.dir = NULL;
	return p;
}

static void touch(struct place *p, uint64_t index)
{
	if (p->dir)
		p->dir->last_op = index + 1;
	if (p->node)
		p->node->last_op = index + 1;
}

static int make(struct tree *t, const struct op *op, enum node_type type, uint64_t index)
{
	struct place p = place_of(t, op->path);
	struct node *n;

	if (!p.dir)
		return p.r;
	if (p.node)
		return -EEXIST;
	n = node_new(type, type == NODE_DIR ? 0755 : type == NODE_LINK ? 0777 : 0644);
	if (type == NODE_LINK)
		node_write(n, 0, (const uint8_t *)op->path2, strlen(op->path2));
	node_enter(p.dir, p.name, n);
	p.node = n;
	touch(&p, index);
	return 0;
}

static int publish(struct tree *t, const struct op *op, uint64_t index)
{
	struct node *n;
	uint8_t *bytes;
	int r = make(t, op, NODE_FILE, index);

	if (r < 0)
		return r;
	n = tree_find(t, op->path);
	bytes = need(malloc(op->len));
	op_bytes(op->seed, bytes, op->len);
	node_write(n, 0, bytes, op->len);
	free(bytes);
	return 0;
}

static int change_file(struct tree *t, const struct op *op, uint64_t index)
{
	struct place p = place_of(t, op->path);
	uint64_t offset = op->offset, len = op->len;

	if (!p.node)
		return p.r;
	if (p.node->type != NODE_FILE)
		return p.node->type == NODE_DIR ? -EISDIR : -EINVAL;
	if (op->kind == OP_APPEND)
		offset = p.node->size;
	if (op->kind == OP_TRUNCATE) {
		node_resize(p.node, offset);
	} else if (op->kind == OP_PUNCH) {
		if (offset < p.node->size)
			memset(p.node->data + offset, 0,
				len < p.node->size - offset ? len : p.node->size - offset);
		p.node->hashed = false;
	} else if (op->kind == OP_ALLOCATE) {
		if (offset + len > p.node->size)
			node_resize(p.node, offset + len);
	} else if (len) {
		uint8_t *bytes = need(malloc(len));

		op_bytes(op->seed, bytes, len);
		node_write(p.node, offset, bytes, len);
		free(bytes);
	}
	p.node->last_op = index + 1;
	return 0;
}

/* copy_file_range: stops at the end of the source. */
static int copy(struct tree *t, const struct op *op, uint64_t index)
{
	struct node *from = tree_find(t, op->path), *to = tree_find(t, op->path2);

	if (!from || !to)
		return -ENOENT;
	if (from->type != NODE_FILE || to->type != NODE_FILE || from == to)
		return -EINVAL;
	if (op->offset >= from->size || op->len == 0)
		return 0;
	uint64_t len = op->len < from->size - op->offset ? op->len : from->size - op->offset;

	node_write(to, op->seed, from->data + op->offset, len);
	to->last_op = index + 1;
	return 0;
}

static int take_away(struct tree *t, const struct op *op, uint64_t index)
{
	struct place p = place_of(t, op->path);

	if (!p.node)
		return p.r;
	if (op->kind == OP_UNLINK && p.node->type == NODE_DIR)
		return -EISDIR;
	if (op->kind == OP_RMDIR && p.node->type != NODE_DIR)
		return -ENOTDIR;
	if (op->kind == OP_RMDIR && p.node->nentries)
		return -ENOTEMPTY;
	touch(&p, index);
	drop_entry(p.dir, p.name);
	return 0;
}

static bool is_below(const struct node *dir, const struct node *n)
{
	for (size_t i = 0; i < dir->nentries; i++)
		if (dir->entries[i].node == n || is_below(dir->entries[i].node, n))
			return true;
	return false;
}

static int may_replace(const struct place *from, const struct place *to)
{
	if (!to->node)
		return 0;
	if (from->node->type == NODE_DIR && to->node->type != NODE_DIR)
		return -ENOTDIR;
	if (from->node->type != NODE_DIR && to->node->type == NODE_DIR)
		return -EISDIR;
	return to->node->type == NODE_DIR && to->node->nentries ? -ENOTEMPTY : 0;
}

static int move(struct tree *t, const struct op *op, uint64_t index)
{
	struct place from = place_of(t, op->path), to = place_of(t, op->path2);
	int r;

	if (!from.node)
		return from.r;
	if (!to.dir)
		return to.r;
	if (from.node->type == NODE_DIR && (to.dir == from.node || is_below(from.node, to.dir)))
		return -EINVAL;
	if (to.node && to.node->type == NODE_DIR &&
		(from.dir == to.node || is_below(to.node, from.dir)))
		return -ENOTEMPTY;
	if (from.node == to.node)
		return 0;
	r = may_replace(&from, &to);
	if (r < 0)
		return r;
	touch(&from, index);
	touch(&to, index);
	if (to.node)
		drop_entry(to.dir, to.name);
	node_enter(to.dir, to.name, node_take(from.dir, from.name));
	return 0;
}

static int exchange(struct tree *t, const struct op *op, uint64_t index)
{
	struct place a = place_of(t, op->path), b = place_of(t, op->path2);

	if (!a.node || !b.node)
		return -ENOENT;
	if ((a.node->type == NODE_DIR && (b.dir == a.node || is_below(a.node, b.dir))) ||
		(b.node->type == NODE_DIR && (a.dir == b.node || is_below(b.node, a.dir))))
		return -EINVAL;
	touch(&a, index);
	touch(&b, index);
	find_entry(a.dir, a.name)->node = b.node;
	find_entry(b.dir, b.name)->node = a.node;
	return 0;
}

static int hard_link(struct tree *t, const struct op *op, uint64_t index)
{
	struct place from = place_of(t, op->path), to = place_of(t, op->path2);

	if (!from.node)
		return from.r;
	if (from.node->type == NODE_DIR)
		return -EPERM;
	if (!to.dir)
		return to.r;
	if (to.node)
		return -EEXIST;
	node_enter(to.dir, to.name, from.node);
	from.node->last_op = to.dir->last_op = index + 1;
	return 0;
}

/* Sets the one attribute, or (one in three) takes it away. */
static int attribute(struct node *n, const struct op *op, uint64_t index)
{
	if (op_removes_xattr(op) && !n->xattr)
		return -ENODATA;
	n->xattr = op_removes_xattr(op) ? 0 : op->seed | 1;
	n->last_op = index + 1;
	return 0;
}

static int attributes(struct tree *t, const struct op *op, uint64_t index)
{
	struct place p = place_of(t, op->path);

	if (!p.node)
		return p.r;
	if (p.node->type == NODE_LINK)
		return -EPERM;
	if (op->kind == OP_MODE)
		p.node->mode = (unsigned)op->seed & 0777;
	else
		return attribute(p.node, op, index);
	p.node->last_op = index + 1;
	return 0;
}

int tree_apply(struct tree *t, const struct op *op, uint64_t index)
{
	switch (op->kind) {
	case OP_CREATE:
		return make(t, op, NODE_FILE, index);
	case OP_MKDIR:
		return make(t, op, NODE_DIR, index);
	case OP_SYMLINK:
		return make(t, op, NODE_LINK, index);
	case OP_PUBLISH:
		return publish(t, op, index);
	case OP_WRITE:
	case OP_APPEND:
	case OP_TRUNCATE:
	case OP_PUNCH:
	case OP_ALLOCATE:
		return change_file(t, op, index);
	case OP_COPY:
		return copy(t, op, index);
	case OP_RMDIR:
	case OP_UNLINK:
		return take_away(t, op, index);
	case OP_RENAME:
		return move(t, op, index);
	case OP_EXCHANGE:
		return exchange(t, op, index);
	case OP_LINK:
		return hard_link(t, op, index);
	case OP_MODE:
	case OP_XATTR:
		return attributes(t, op, index);
	case OP_KINDS:
		break;
	}
	return -EINVAL;
}

/* ---- comparing ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0xff51afd7ed558ccdull;
	return h ^ h >> 31;
}

static uint64_t mix_bytes(uint64_t h, const uint8_t *p, uint64_t len)
{
	uint64_t v;

	h = mix(h, len);
	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&v, p, 8);
		h = mix(h, v);
	}
	for (v = 0; len; len--)
		v = v << 8 | *p++;
	return mix(h, v);
}

static uint64_t data_hash(struct node *n)
{
	if (!n->hashed)
		n->data_hash = mix_bytes(1, n->data, n->size);
	n->hashed = true;
	return n->data_hash;
}

/* `order` counts nodes: hard links show as the number of the first one. */
static uint64_t hash_node(
	struct tree *t, struct node *n, unsigned depth, uint64_t *order, uint64_t h)
{
	uint64_t first = t->marks;

	if (n->mark >= first && n->mark <= *order && n->type != NODE_DIR)
		return mix(h, n->mark - first);
	n->mark = ++*order;
	h = mix(h, n->type);
	if (depth > 1) {
		h = mix(h, n->mode);
		h = mix(h, n->xattr);
		if (n->type != NODE_DIR)
			h = mix(h, n->links);
	}
	if (n->type != NODE_DIR)
		return mix(h, data_hash(n));
	for (size_t i = 0; i < n->nentries; i++) {
		h = mix_bytes(h, (const uint8_t *)n->entries[i].name, strlen(n->entries[i].name));
		h = hash_node(t, n->entries[i].node, depth + 1, order, h);
	}
	return mix(h, n->nentries);
}

uint64_t tree_hash(struct tree *t)
{
	uint64_t order = t->marks, h;

	h = hash_node(t, t->root, 0, &order, 7);
	t->marks = order + 1;
	return h;
}

static void print_node(struct node *n, char *path, size_t len, unsigned depth)
{
	fprintf(stderr, "    %s%s", path, n->type == NODE_DIR ? "/" : "");
	if (depth > 1)
		fprintf(stderr, " mode %o xattr %llx", n->mode, (unsigned long long)n->xattr);
	if (n->type == NODE_FILE)
		fprintf(stderr, " links %u size %llu data %016llx", n->links,
			(unsigned long long)n->size, (unsigned long long)data_hash(n));
	else if (n->type == NODE_LINK)
		fprintf(stderr, " links %u -> %.*s", n->links, (int)n->size, (const char *)n->data);
	fprintf(stderr, "\n");
	for (size_t i = 0; i < n->nentries; i++) {
		int more = snprintf(path + len, TREE_PATH_MAX - len, "%s%s", len ? "/" : "",
			n->entries[i].name);

		print_node(n->entries[i].node, path, len + (size_t)more, depth + 1);
	}
	path[len] = '\0';
}

void tree_print(struct tree *t, const char *title)
{
	char path[TREE_PATH_MAX] = "";

	fprintf(stderr, "  %s:\n", title);
	print_node(t->root, path, 0, 0);
}

const char *op_name(enum op_kind kind)
{
	static const char *const names[OP_KINDS] = {"create", "write", "append", "truncate",
		"punch", "allocate", "copy", "mkdir", "rmdir", "unlink", "rename", "exchange",
		"link", "symlink", "publish", "mode", "xattr"};

	return names[kind];
}

void op_print(const struct op *op, char *out, size_t size)
{
	(void)snprintf(out, size, "%s %s %s offset %llu len %llu seed %llx", op_name(op->kind),
		op->path, op->path2, (unsigned long long)op->offset, (unsigned long long)op->len,
		(unsigned long long)op->seed);
}

/* ---- picking ---- */

static bool pick_node(
	struct node *n, unsigned types, unsigned depth, size_t *left, char *path, size_t len)
{
	if (depth > 0 && (types >> n->type & 1) && (*left)-- == 0)
		return true;
	for (size_t i = 0; i < n->nentries; i++) {
		int more = snprintf(path + len, TREE_PATH_MAX - len, "%s%s", len ? "/" : "",
			n->entries[i].name);

		if (pick_node(n->entries[i].node, types, depth + 1, left, path, len + (size_t)more))
			return true;
	}
	path[len] = '\0';
	return false;
}

size_t tree_count(struct tree *t, unsigned types)
{
	char path[TREE_PATH_MAX] = "";
	size_t left = SIZE_MAX;

	(void)pick_node(t->root, types, 0, &left, path, 0); /* counts down */
	return SIZE_MAX - left;
}

bool tree_pick(struct tree *t, unsigned types, size_t n, char path[TREE_PATH_MAX])
{
	path[0] = '\0';
	return pick_node(t->root, types, 0, &n, path, 0);
}
