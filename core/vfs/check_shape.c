/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck, second pass over the tree: entries against inodes, then the shape. */
#include "core/vfs/check_internal.h"
#include "core/vfs/kept.h"

#include <dirent.h>

typedef unsigned long long ull;

#define PROGRESS_RECORDS 65536u

static const char *type_name(uint8_t type)
{
	switch (type) {
	case DT_REG:
		return "a regular file";
	case DT_DIR:
		return "a directory";
	case DT_LNK:
		return "a symbolic link";
	case DT_CHR:
		return "a character device";
	case DT_BLK:
		return "a block device";
	case DT_FIFO:
		return "a FIFO";
	case DT_SOCK:
		return "a socket";
	default:
		return "of no type";
	}
}

/* Whether directory `dir` has an entry for `child`: 1, 0, or an error. */
static int has_entry(struct check *c, uint64_t dir, uint64_t child)
{
	struct index_scan *s;
	struct record rec;
	uint64_t inode;
	uint8_t type;
	int r = check_scan(
		c, key_kind_first(dir, KEY_DIRENT), key_kind_first(dir, KEY_DIRENT + 1), &s);

	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0)
		if (dirent_value_decode(rec.value, &inode, &type) == 0 && inode == child)
			break;
	index_scan_close(s);
	return r;
}

/* `child` is a directory, or its record is damaged and the entry says that it is one. */
static int check_directory_entry(
	struct check *c, const struct key_parts *k, struct check_inode *child)
{
	struct check_inode *dir = check_find(c, k->inode);
	bool twice = child->named || child->number == INODE_ROOT;

	if (dir)
		dir->found++;
	if (!twice && child->type == DT_DIR && child->parent != k->inode) {
		int r = has_entry(c, child->parent, child->number);

		if (r < 0)
			return r;
		twice = r > 0; /* that one is its name */
		if (!twice)
			check_tell_entry(c, CHECK_PARENT, k->inode, k->name, child->number,
				"\"..\" is inode %llu, but the directory is in inode %llu",
				(ull)child->parent, (ull)k->inode);
	}
	if (twice) {
		check_tell_entry(c, CHECK_DIRECTORY_TWICE, k->inode, k->name, child->number,
			"a directory with a second name");
		return 0;
	}
	child->named = true;
	child->parent = k->inode;
	return 0;
}

static int check_entry(struct check *c, const struct key_parts *k, uint64_t inode, uint8_t type)
{
	struct check_inode *child = check_find(c, inode), *dir = check_find(c, k->inode);

	if (dir && dir->type && dir->type != DT_DIR)
		return 0; /* told already */
	if (!child) {
		check_tell_entry(c, CHECK_ENTRY_NO_INODE, k->inode, k->name, inode,
			"it names an inode that does not exist");
		return 0;
	}
	if (child->type && child->type != type)
		check_tell_entry(c, CHECK_ENTRY_TYPE, k->inode, k->name, inode,
			"the entry says that it is %s, the inode is %s", type_name(type),
			type_name(child->type));
	if (child->type ? child->type == DT_DIR : type == DT_DIR)
		return check_directory_entry(c, k, child);
	child->found++;
	return 0;
}

int check_entries(struct check *c)
{
	struct index_scan *s;
	struct record rec;
	struct key_parts k;
	uint64_t inode, n = 0;
	uint8_t type;
	int r = check_scan(c, key_kind_first(INODE_ROOT, 0), key_kind_first(INODE_MAX + 1, 0), &s);

	if (r < 0)
		return r;
	while ((r = index_scan_next(s, &rec, c->err)) > 0) {
		if (!key_parse(rec.key, &k) || k.kind != KEY_DIRENT)
			continue;
		if (++n % PROGRESS_RECORDS == 0)
			check_progress(c, "checking entries", n, "entries");
		if (dirent_value_decode(rec.value, &inode, &type) < 0)
			continue; /* told already */
		r = check_entry(c, &k, inode, type);
		if (r < 0)
			break;
	}
	index_scan_close(s);
	return r;
}

/* ---- the shape ---- */

enum mark { MARK_NONE, MARK_CLIMBING, MARK_ROOTED, MARK_LOST, MARK_RING };

/* The directory that has an entry for `i`; NULL at the root, and where there is none. */
static struct check_inode *above(const struct check *c, const struct check_inode *i)
{
	return i->named ? check_find(c, i->parent) : NULL;
}

static void mark_ring(const struct check *c, struct check_inode *start)
{
	struct check_inode *i = start;

	do {
		i->mark = MARK_RING;
		i = above(c, i);
	} while (i != start);
}

/*
 * Climbs from a directory to the root, or to one that is known to reach it or not to. Each is
 * marked, so the climbs of all directories together are as long as there are directories.
 */
static void climb(const struct check *c, struct check_inode *from)
{
	struct check_inode *i = from;

	while (i && i->number != INODE_ROOT && i->mark == MARK_NONE) {
		i->mark = MARK_CLIMBING;
		i = above(c, i);
	}
	bool rooted = i && (i->number == INODE_ROOT || i->mark == MARK_ROOTED);

	if (i && i->mark == MARK_CLIMBING)
		mark_ring(c, i);
	for (i = from; i && i->mark == MARK_CLIMBING; i = above(c, i))
		i->mark = rooted ? MARK_ROOTED : MARK_LOST;
}

/* What hangs below something lost is not told again. */
static void check_reach(struct check *c, struct check_inode *i)
{
	if (i->mark == MARK_NONE)
		climb(c, i);
	if (i->mark == MARK_RING)
		check_tell(c, CHECK_UNREACHABLE, i->number,
			"the directories above it form a ring that does not hang on the root");
	else if (i->mark == MARK_LOST && i->named && !above(c, i))
		check_tell(c, CHECK_UNREACHABLE, i->number,
			"the directory that has it, inode %llu, does not exist", (ull)i->parent);
}

static void check_orphan(struct check *c, const struct check_inode *i, uint64_t names)
{
	bool open = false;

	if (names || i->nlink) {
		check_tell(c, CHECK_ORPHAN_WRONG, i->number,
			"it is noted as deleted, but has %llu names and %u links recorded",
			(ull)names, i->nlink);
		return;
	}
	if (c->engine->log) { /* its own writer: what is open here is not left over */
		struct inode *in_memory = inode_find(c->engine, i->number);

		open = in_memory && (atomic_load(&in_memory->opens) > 0 || kept(in_memory));
		inode_unref(in_memory);
	} else {
		open = c->o->writer_lives;
	}
	if (!open)
		check_tell(
			c, CHECK_ORPHAN_LEFT, i->number, "it was deleted and is not open any more");
}

static void check_links(struct check *c, const struct check_inode *i)
{
	uint64_t names = i->type == DT_DIR ? i->named : i->found;
	uint64_t should = i->type == DT_DIR ? 2 + (uint64_t)i->found : i->found;

	if (i->orphan)
		check_orphan(c, i, names);
	else if (names == 0 && i->number != INODE_ROOT && i->nlink == 0)
		check_tell(c, CHECK_ORPHAN_MISSING, i->number,
			"it has no links, but is not noted as deleted");
	else if (names == 0 && i->number != INODE_ROOT)
		check_tell(c, CHECK_NO_ENTRY, i->number, "no directory has an entry for it");
	else if (i->nlink != should)
		check_tell(c, CHECK_LINKS, i->number, "%u links recorded, %llu found", i->nlink,
			(ull)should);
}

void check_shape(struct check *c)
{
	const struct check_inode *root = check_find(c, INODE_ROOT);

	if (!root || (root->type && root->type != DT_DIR))
		check_tell(c, CHECK_ROOT, INODE_ROOT, "there is no root directory");
	else if (root->type && root->parent != INODE_ROOT)
		check_tell(c, CHECK_PARENT, INODE_ROOT, "\"..\" is inode %llu", (ull)root->parent);
	for (size_t k = 0; k < c->inodes.n; k++) {
		struct check_inode *i = check_inode_at(&c->inodes, k);

		if (!i->type)
			continue;
		check_links(c, i);
		if (i->type == DT_DIR && !i->orphan && i->number != INODE_ROOT)
			check_reach(c, i);
	}
}
