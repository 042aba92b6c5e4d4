/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: inodes with their entries and chunks, entries against inodes, the shape of the tree. */
#include "core/base/cleanup.h"
#include "core/vfs/check_internal.h"

#include <dirent.h>
#include <stdlib.h>

typedef unsigned long long ull;

/* ---- first pass: what stands under each number ---- */

struct collecting {
	struct check *c;
	uint64_t number; /* whose records are being read; 0 = before the first */
	bool have_inode; /* and its inode record was there and sound */
	bool told;	 /* that it was not */
	uint64_t last_cookie;
	uint64_t allocated; /* by chunks so far */
	bool is_inline;
};

static struct check_inode *current(const struct collecting *w)
{
	return w->have_inode ? &w->c->inodes[w->c->n - 1] : NULL;
}

/* All records of a number have been seen. */
static void finish_number(struct collecting *w)
{
	const struct check_inode *i = current(w);

	if (!i || i->type != DT_REG || w->is_inline || i->allocated == w->allocated)
		return;
	check_finding(w->c, "inode %llu: %llu bytes allocated, but its extents hold %llu",
		(ull)i->number, (ull)i->allocated, (ull)w->allocated);
}

static int add_inode(struct collecting *w, uint64_t number, const struct inode_record *r)
{
	struct check *c = w->c;

	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 1024;
		struct check_inode *more = reallocarray(c->inodes, cap, sizeof(*more));

		if (!more)
			return error_set(c->err, -ENOMEM, "no memory for %zu inodes", cap);
		c->inodes = more;
		c->cap = cap;
	}
	c->inodes[c->n++] = (struct check_inode){
		.number = number,
		.parent = r->parent,
		.size = r->size,
		.allocated = r->allocated,
		.nlink = r->nlink,
		.type = dirent_type_of_mode(r->mode),
	};
	w->have_inode = true;
	w->is_inline = r->inline_data.len > 0;
	c->result->inodes++;
	if (S_ISDIR(r->mode))
		c->result->directories++;
	return 0;
}

static int collect_inode(struct collecting *w, const struct record *rec, uint64_t number)
{
	struct inode_record r;

	if (inode_record_decode(rec->value, &r) < 0) {
		check_finding(w->c, "inode %llu: its record is damaged", (ull)number);
		w->told = true;
		return 0;
	}
	return add_inode(w, number, &r);
}

static void collect_entry(struct collecting *w, const struct record *rec, const struct key_parts *k)
{
	struct check *c = w->c;
	uint64_t inode, hashed;
	char path[CHECK_PATH_MAX];
	uint8_t type;

	c->result->entries++;
	if (current(w)->type != DT_DIR) {
		check_finding(c, "inode %llu: has entries, but is no directory", (ull)k->inode);
		return;
	}
	if (dirent_value_decode(rec->value, &inode, &type) < 0)
		check_finding(
			c, "%s: the entry is damaged", check_path(c, k->inode, k->name, path));
	hashed = name_cookie(&c->engine->hash, k->name);
	if (k->a < hashed || k->a >= hashed + COOKIE_SLOTS)
		check_finding(c, "%s: the cookie is not that of the name",
			check_path(c, k->inode, k->name, path));
	if (k->a == w->last_cookie)
		check_finding(c, "%s: another entry has the same cookie",
			check_path(c, k->inode, k->name, path));
	w->last_cookie = k->a;
}

/* How far an extent may reach: what is preallocated, to the end of the last block. */
static uint64_t end_of(const struct check_inode *i, const struct extent *e)
{
	const uint64_t block = 4096;

	return e->form == EXTENT_ALLOCATED ? (i->size + block - 1) & ~(block - 1) : i->size;
}

static int collect_chunk(struct collecting *w, const struct record *rec, const struct key_parts *k)
{
	const struct check_inode *i = current(w);
	struct check *c = w->c;
	struct chunk chunk = {0};
	const struct extent *last;
	int r;

	if (i->type != DT_REG) {
		check_finding(c, "inode %llu: has extents, but is no regular file", (ull)k->inode);
		return 0;
	}
	r = chunk_decode(rec->value, true, &chunk);
	if (r == -ENOMEM)
		return error_set(c->err, r, "no memory for a chunk");
	if (r < 0) {
		check_finding(c, "inode %llu: the extents of chunk %llu are damaged", (ull)k->inode,
			(ull)k->a);
		return 0;
	}
	c->result->extents += chunk.n;
	last = chunk.n ? &chunk.extents[chunk.n - 1] : NULL;
	if (last && (k->a > INT64_MAX / CHUNK_BYTES ||
			    k->a * CHUNK_BYTES + last->offset + last->len > end_of(i, last)))
		check_finding(c,
			"inode %llu: chunk %llu has an extent of form %d at %u+%u beyond the end of the file (%llu bytes)",
			(ull)k->inode, (ull)k->a, (int)last->form, last->offset, last->len,
			(ull)i->size);
	w->allocated += chunk_allocated(&chunk);
	chunk_done(&chunk);
	return 0;
}

static int collect_record(struct collecting *w, const struct record *rec)
{
	struct key_parts k;

	if (!key_parse(rec->key, &k)) {
		check_finding(w->c, "inode %llu: a record of unknown kind", (ull)w->number);
		return 0;
	}
	if (k.inode != w->number) {
		finish_number(w);
		*w = (struct collecting){.c = w->c, .number = k.inode};
	}
	if (k.kind == KEY_INODE)
		return collect_inode(w, rec, k.inode);
	if (!w->have_inode) {
		if (!w->told)
			check_finding(w->c, "inode %llu: there are records of it, but no inode",
				(ull)k.inode);
		w->told = true;
		return 0;
	}
	if (k.kind == KEY_DIRENT)
		collect_entry(w, rec, &k);
	else if (k.kind == KEY_CHUNK)
		return collect_chunk(w, rec, &k);
	else if (k.kind == KEY_XATTR)
		w->c->xattr_bytes += k.name.len + rec->value.len;
	return 0;
}

static int scan_inodes(struct check *c, struct index_scan **ret)
{
	struct key low = key_kind_first(INODE_ROOT, 0), high = key_kind_first(INODE_MAX + 1, 0);

	return index_scan_open(
		c->engine->index, GROUP_NOW, key_slice(&low), key_slice(&high), 0, ret, c->err);
}

int check_collect(struct check *c)
{
	struct collecting w = {.c = c};
	struct index_scan *s;
	struct record rec;
	int r = scan_inodes(c, &s);

	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0) {
		r = collect_record(&w, &rec);
		if (r < 0)
			break;
	}
	index_scan_close(s);
	if (r == 0)
		finish_number(&w);
	return r;
}

/* ---- second pass: entries against inodes ---- */

static void check_entry(struct check *c, const struct key_parts *k, uint64_t inode, uint8_t type)
{
	struct check_inode *child = check_find(c, inode), *dir = check_find(c, k->inode);
	char path[CHECK_PATH_MAX];

	if (!child) {
		check_finding(c, "%s: names inode %llu, which does not exist",
			check_path(c, k->inode, k->name, path), (ull)inode);
		return;
	}
	if (child->type != type)
		check_finding(c, "%s: the entry says type %u, the inode %u",
			check_path(c, k->inode, k->name, path), type, child->type);
	child->found++;
	if (child->type != DT_DIR)
		return;
	if (dir)
		dir->subdirs++;
	if (inode == INODE_ROOT || child->found > 1)
		check_finding(c, "%s: a directory with a second name",
			check_path(c, k->inode, k->name, path));
	else if (child->parent != k->inode)
		check_finding(c, "%s: \"..\" is inode %llu, but the directory is in inode %llu",
			check_path(c, k->inode, k->name, path), (ull)child->parent, (ull)k->inode);
}

int check_entries(struct check *c)
{
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	uint64_t inode;
	uint8_t type;
	int r = scan_inodes(c, &s);

	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0)
		if (key_parse(rec.key, &k) && k.kind == KEY_DIRENT &&
			dirent_value_decode(rec.value, &inode, &type) == 0)
			check_entry(c, &k, inode, type);
	index_scan_close(s);
	return r;
}

/* ---- the shape ---- */

enum mark { MARK_NONE, MARK_CLIMBING, MARK_ROOTED };

/* Climbs from a directory to the root, or to one that is known to reach it. False: it ends
 * elsewhere. */
static bool climb(struct check *c, struct check_inode *from, enum mark leave)
{
	struct check_inode *i = from;

	while (i && i->number != INODE_ROOT && i->mark == MARK_NONE) {
		i->mark = MARK_CLIMBING;
		i = check_find(c, i->parent);
	}
	bool rooted = i && (i->number == INODE_ROOT || i->mark == MARK_ROOTED);

	for (i = from; i && i->mark == MARK_CLIMBING; i = check_find(c, i->parent))
		i->mark = rooted ? MARK_ROOTED : leave;
	return rooted;
}

static void check_links(struct check *c, const struct check_inode *i)
{
	uint32_t should = i->type == DT_DIR ? 2 + i->subdirs : i->found;

	if (i->found == 0 && i->number != INODE_ROOT) {
		if (!i->orphan)
			check_finding(c, "inode %llu: no entry names it", (ull)i->number);
		else if (i->nlink)
			check_finding(
				c, "inode %llu: an orphan with %u links", (ull)i->number, i->nlink);
		return;
	}
	if (i->orphan)
		check_finding(c, "inode %llu: an orphan record, but it has a name", (ull)i->number);
	if (i->nlink != should)
		check_finding(c, "inode %llu: %u links recorded, %u found", (ull)i->number,
			i->nlink, should);
}

void check_shape(struct check *c)
{
	const struct check_inode *root = check_find(c, INODE_ROOT);

	if (!root || root->type != DT_DIR)
		check_finding(c, "there is no root directory");
	else if (root->parent != INODE_ROOT)
		check_finding(c, "/: \"..\" is inode %llu", (ull)root->parent);
	for (size_t k = 0; k < c->n; k++) {
		struct check_inode *i = &c->inodes[k];

		check_links(c, i);
		if (i->type == DT_DIR && !i->orphan && i->mark != MARK_ROOTED &&
			!climb(c, i, MARK_NONE))
			check_finding(c,
				"inode %llu: a directory that does not hang on the root (a ring, or a lost parent)",
				(ull)i->number);
	}
}
