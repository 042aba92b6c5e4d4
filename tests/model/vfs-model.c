/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See vfs-model.h. */
#include "tests/model/vfs-model.h"
#include "core/vfs/vfs.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct model_node *model_new(uint32_t mode)
{
	struct model_node *n = calloc(1, sizeof(*n));

	ck_assert_ptr_nonnull(n);
	n->mode = mode;
	return n;
}

static void drop(struct model_node *n)
{
	if (n->nlink || n->refs)
		return;
	buf_done(&n->bytes);
	free(n);
}

void model_put(struct model_node *n)
{
	n->refs--;
	drop(n);
}

void model_free_tree(struct model_node *dir)
{
	for (unsigned i = 0; i < dir->n; i++) {
		struct model_node *n = dir->entries[i].node;

		n->nlink--;
		if (S_ISDIR(n->mode))
			model_free_tree(n);
		else
			drop(n);
	}
	dir->n = 0;
	dir->nlink = 0;
	drop(dir);
}

struct model_entry *model_find(struct model_node *dir, const char *name)
{
	for (unsigned i = 0; i < dir->n; i++)
		if (strcmp(dir->entries[i].name, name) == 0)
			return &dir->entries[i];
	return NULL;
}

int model_add(struct model_node *dir, const char *name, struct model_node *n)
{
	if (model_find(dir, name))
		return -EEXIST;
	ck_assert_uint_lt(dir->n, MODEL_ENTRIES);
	(void)snprintf(dir->entries[dir->n].name, sizeof(dir->entries[0].name), "%s", name);
	dir->entries[dir->n++].node = n;
	n->nlink++;
	return 0;
}

static void take_out(struct model_node *dir, struct model_entry *e)
{
	*e = dir->entries[--dir->n];
}

int model_unlink(struct model_node *dir, const char *name)
{
	struct model_entry *e = model_find(dir, name);
	struct model_node *n;

	if (!e)
		return -ENOENT;
	n = e->node;
	if (S_ISDIR(n->mode))
		return -EISDIR;
	take_out(dir, e);
	n->nlink--;
	drop(n);
	return 0;
}

int model_rmdir(struct model_node *dir, const char *name)
{
	struct model_entry *e = model_find(dir, name);
	struct model_node *n;

	if (!e)
		return -ENOENT;
	n = e->node;
	if (!S_ISDIR(n->mode))
		return -ENOTDIR;
	if (n->n)
		return -ENOTEMPTY;
	take_out(dir, e);
	n->nlink--;
	drop(n);
	return 0;
}

int model_link(struct model_node *n, struct model_node *dir, const char *name)
{
	if (S_ISDIR(n->mode))
		return -EPERM;
	if (model_find(dir, name))
		return -EEXIST;
	return n->nlink ? model_add(dir, name, n) : -ENOENT;
}

static bool below(struct model_node *n, struct model_node *top)
{
	if (n == top)
		return true;
	for (unsigned i = 0; i < top->n; i++)
		if (S_ISDIR(top->entries[i].node->mode) && below(n, top->entries[i].node))
			return true;
	return false;
}

static int may_rename(struct model_node *from, struct model_entry *e, struct model_node *to,
	struct model_entry *t, unsigned flags)
{
	bool exchange = flags & VFS_RENAME_EXCHANGE;

	if (t && (flags & VFS_RENAME_NOREPLACE))
		return -EEXIST;
	if (!t && exchange)
		return -ENOENT;
	if (t && t->node == e->node)
		return 1;
	if (from != to && S_ISDIR(e->node->mode) && below(to, e->node))
		return -EINVAL;
	if (from != to && t && S_ISDIR(t->node->mode) && below(from, t->node) &&
		(exchange || S_ISDIR(e->node->mode)))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (!t || exchange)
		return 0;
	if (S_ISDIR(t->node->mode) && !S_ISDIR(e->node->mode))
		return -EISDIR;
	if (S_ISDIR(e->node->mode) && !S_ISDIR(t->node->mode))
		return -ENOTDIR;
	return S_ISDIR(t->node->mode) && t->node->n ? -ENOTEMPTY : 0;
}

int model_rename(struct model_node *from, const char *name, struct model_node *to,
	const char *to_name, unsigned flags)
{
	struct model_entry *e = model_find(from, name), *t = model_find(to, to_name);
	struct model_node *n, *old = NULL;
	int r = e ? may_rename(from, e, to, t, flags) : -ENOENT;

	if (r)
		return r < 0 ? r : 0;
	n = e->node;
	if (flags & VFS_RENAME_EXCHANGE) {
		e->node = t->node;
		t->node = n;
		return 0;
	}
	if (t) {
		old = t->node;
		t->node = n;
		n->nlink++;
		old->nlink--;
	} else {
		r = model_add(to, to_name, n);
		ck_assert_int_eq(r, 0);
	}
	n->nlink--;
	take_out(from, model_find(from, name));
	if (flags & VFS_RENAME_WHITEOUT) {
		r = model_add(from, name, model_new(S_IFCHR));
		ck_assert_int_eq(r, 0);
	}
	if (old)
		drop(old);
	return 0;
}

void model_resize(struct model_node *n, uint64_t size)
{
	ck_assert_uint_le(size, MODEL_FILE_MAX);
	if (size > n->bytes.len) {
		size_t more = size - n->bytes.len;
		uint8_t *p = buf_extend(&n->bytes, more);

		ck_assert_ptr_nonnull(p);
		memset(p, 0, more);
	}
	n->bytes.len = size;
}

void model_write(struct model_node *n, uint64_t offset, const uint8_t *bytes, size_t len)
{
	if (offset + len > n->bytes.len)
		model_resize(n, offset + len);
	memcpy(n->bytes.data + offset, bytes, len);
}

void model_zero(struct model_node *n, uint64_t offset, uint64_t len)
{
	if (offset >= n->bytes.len)
		return;
	if (len > n->bytes.len - offset)
		len = n->bytes.len - offset;
	memset(n->bytes.data + offset, 0, len);
}

uint64_t model_hash(struct slice text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ text.data[i]) * 0x100000001b3ull;
	return h;
}

void model_line(
	struct buf *out, const char *path, uint32_t mode, unsigned nlink, struct slice bytes)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%s %o %u %zu %016llx\n", path, mode, nlink, bytes.len,
		(unsigned long long)model_hash(bytes));

	ck_assert_int_lt(n, (int)sizeof(line));
	ck_assert_int_eq(buf_append(out, line, (size_t)n), 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct model_entry *)a)->name, ((const struct model_entry *)b)->name);
}

void model_describe(struct model_node *dir, const char *path, struct buf *out)
{
	struct model_entry sorted[MODEL_ENTRIES];
	char below_path[2500];

	memcpy(sorted, dir->entries, sizeof(sorted));
	qsort(sorted, dir->n, sizeof(*sorted), by_name);
	for (unsigned i = 0; i < dir->n; i++) {
		struct model_node *n = sorted[i].node;
		unsigned subdirs = 0;

		(void)snprintf(below_path, sizeof(below_path), "%s/%s", path, sorted[i].name);
		for (unsigned k = 0; k < n->n; k++)
			subdirs += S_ISDIR(n->entries[k].node->mode);
		model_line(out, below_path, n->mode, S_ISDIR(n->mode) ? 2 + subdirs : n->nlink,
			S_ISDIR(n->mode) ? (struct slice){0} : buf_slice(&n->bytes));
		if (S_ISDIR(n->mode))
			model_describe(n, below_path, out);
	}
}
