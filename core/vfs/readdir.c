/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading directories: "." and "..", then entries in the order of their cookies, in batches. A
 * batch is copied from the index; its inodes are then fetched in the order of their numbers, so
 * that those that stand together are read together, and the entries are told in the order of
 * cookies. No lock is held over any of it: cookies never change, so an entry that stays is met
 * exactly once.
 */
#include "core/base/cleanup.h"
#include "core/vfs/attr.h"
#include "core/vfs/handle.h"

#include <dirent.h>
#include <stdlib.h>

#define BATCH_FIRST 32u
#define BATCH_MAX 256u

struct entry {
	uint64_t cookie, inode;
	size_t name; /* offset in `names` */
	uint8_t name_len, type;
	bool has_attr;
	struct vfs_attr attr;
};

struct batch {
	struct entry *entries; /* BATCH_MAX of them */
	unsigned *order;       /* by number */
	unsigned n;
	bool end; /* nothing behind it */
	struct buf names;
};

struct reading {
	struct vfs_engine *e;
	struct inode *dir;
	uint64_t cookie; /* go on behind it */
	bool with_attr;
	vfs_emit_fn *emit;
	void *arg;
};

static int attr_of(struct vfs_engine *e, uint64_t number, struct vfs_attr *ret)
{
	CLEANUP(inode_unref_p) struct inode *i = NULL;
	int r = inode_get(e, number, &i);

	if (r < 0)
		return r;
	rwlock_rdlock(&i->lock);
	r = handle_alive(i) ? 0 : -ESTALE;
	if (r == 0)
		inode_attr(i, ret);
	rwlock_unlock(&i->lock);
	return r;
}

/* ---- "." and ".." ---- */

static bool emit_dot(struct reading *rd)
{
	struct vfs_attr attr;
	struct vfs_dirent d = {.name = SLICE_STR("."),
		.inode = rd->dir->number,
		.cookie = COOKIE_DOT,
		.type = DT_DIR};

	if (rd->with_attr && attr_of(rd->e, rd->dir->number, &attr) == 0)
		d.attr = &attr;
	return rd->emit(rd->arg, &d);
}

static bool emit_dotdot(struct reading *rd)
{
	struct vfs_dirent d = {.name = SLICE_STR(".."), .cookie = COOKIE_DOTDOT, .type = DT_DIR};

	rwlock_rdlock(&rd->dir->lock);
	d.inode = rd->dir->parent;
	rwlock_unlock(&rd->dir->lock);
	return rd->emit(rd->arg, &d);
}

/* True: go on with the entries. */
static bool emit_dots(struct reading *rd)
{
	if (rd->cookie < COOKIE_DOT) {
		if (!emit_dot(rd))
			return false;
		rd->cookie = COOKIE_DOT;
	}
	if (rd->cookie < COOKIE_DOTDOT) {
		if (!emit_dotdot(rd))
			return false;
		rd->cookie = COOKIE_DOTDOT;
	}
	return true;
}

/* ---- entries ---- */

static int add_entry(struct batch *b, const struct record *rec)
{
	struct entry *en = &b->entries[b->n];
	struct key_parts k;
	int r;

	if (!key_parse(rec->key, &k) || k.kind != KEY_DIRENT || !k.name.len)
		return -EBADMSG;
	*en = (struct entry){.cookie = k.a, .name = b->names.len, .name_len = (uint8_t)k.name.len};
	r = dirent_value_decode(rec->value, &en->inode, &en->type);
	if (r == 0)
		r = buf_append_slice(&b->names, k.name);
	if (r == 0)
		b->n++;
	return r;
}

static int fill(struct batch *b, const struct reading *rd, unsigned want)
{
	uint64_t from = rd->cookie + 1 < COOKIE_FIRST ? COOKIE_FIRST : rd->cookie + 1;
	struct key low = key_dirent(rd->dir->number, from, (struct slice){0});
	struct key high = key_kind_first(rd->dir->number, KEY_DIRENT + 1);
	struct index_scan *s;
	struct record rec;
	int r;

	b->n = 0;
	buf_clear(&b->names);
	r = index_scan_open(
		rd->e->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, &s, NULL);
	if (r < 0)
		return engine_read_error(r);
	while (b->n < want && (r = index_scan_next(s, &rec, NULL)) > 0) {
		r = add_entry(b, &rec);
		if (r < 0)
			break;
	}
	index_scan_close(s);
	b->end = r == 0 && b->n < want;
	return r < 0 ? engine_read_error(r) : 0;
}

static int by_number(const void *a, const void *b, void *arg)
{
	const struct entry *entries = arg;
	uint64_t x = entries[*(const unsigned *)a].inode, y = entries[*(const unsigned *)b].inode;

	return x < y ? -1 : x > y;
}

static int fetch_attrs(struct batch *b, struct vfs_engine *e)
{
	for (unsigned k = 0; k < b->n; k++)
		b->order[k] = k;
	qsort_r(b->order, b->n, sizeof(*b->order), by_number, b->entries);
	for (unsigned k = 0; k < b->n; k++) {
		struct entry *en = &b->entries[b->order[k]];
		int r = attr_of(e, en->inode, &en->attr);

		if (r < 0 && r != -ESTALE)
			return r;
		en->has_attr = r == 0; /* it went in between */
	}
	return 0;
}

/* 1: all were taken; 0: the front end is full. */
static int emit_batch(const struct batch *b, struct reading *rd)
{
	for (unsigned k = 0; k < b->n; k++) {
		const struct entry *en = &b->entries[k];
		struct vfs_dirent d = {
			.name = SLICE(b->names.data + en->name, en->name_len),
			.inode = en->inode,
			.cookie = en->cookie,
			.type = en->type,
			.attr = en->has_attr ? &en->attr : NULL,
		};

		if (!rd->emit(rd->arg, &d))
			return 0;
		rd->cookie = en->cookie;
	}
	return 1;
}

static int read_entries(struct reading *rd, struct batch *b)
{
	int r;

	for (unsigned want = BATCH_FIRST;; want = want * 2 < BATCH_MAX ? want * 2 : BATCH_MAX) {
		r = fill(b, rd, want);
		if (r == 0 && rd->with_attr)
			r = fetch_attrs(b, rd->e);
		if (r < 0)
			return r;
		if (!emit_batch(b, rd) || b->end)
			return 0;
	}
}

static int read_batches(struct reading *rd)
{
	struct batch b = {0};
	int r = -ENOMEM;

	b.entries = calloc(BATCH_MAX, sizeof(*b.entries));
	b.order = calloc(BATCH_MAX, sizeof(*b.order));
	if (b.entries && b.order)
		r = read_entries(rd, &b);
	free(b.entries);
	free(b.order);
	buf_done(&b.names);
	return r;
}

int engine_readdir(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f, uint64_t cookie,
	bool with_attr, vfs_emit_fn *emit, void *arg)
{
	struct vfs_engine *e = engine_of(v);
	struct reading rd = {.e = e,
		.dir = f->inode,
		.cookie = cookie,
		.with_attr = with_attr,
		.emit = emit,
		.arg = arg};
	bool removed;
	int r = engine_enter(e);

	(void)c; /* the open file is the right to read */
	if (r < 0)
		return r;
	if (!S_ISDIR(f->inode->mode))
		return -ENOTDIR;
	rwlock_rdlock(&f->inode->lock);
	removed = f->inode->gone || f->inode->nlink == 0;
	rwlock_unlock(&f->inode->lock);
	if (removed)
		return 0;
	if (emit_dots(&rd))
		r = read_batches(&rd);
	if (r == 0)
		attr_accessed(f);
	return r;
}
