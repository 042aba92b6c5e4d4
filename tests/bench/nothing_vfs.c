/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A node has a reference per name, per open file and per call that uses it; without one it leaves
 * the table and is freed. Its attributes and, in a directory, its entries are guarded by its lock.
 * Locks: directories, then what they contain, then the shard of the table.
 *
 * A directory keeps its entries twice: by hash of the name, and in the order of their cookies in an
 * array with holes, so that a reader goes on in constant time. The array begins anew when the
 * directory is empty.
 */
#include "tests/bench/nothing_vfs.h"

#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/thread.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define SHARDS 64
#define COOKIE_DOT 1
#define COOKIE_DOTDOT 2
#define COOKIE_FIRST 3

struct node;

struct entry {
	struct entry *next; /* with the same hash */
	struct node *node;  /* one reference */
	uint64_t slot;
	uint8_t len;
	char name[];
};

struct node {
	/* immutable */
	uint64_t inode;
	uint32_t type; /* S_IFREG or S_IFDIR */
	/* guarded by the shard's lock */
	uint64_t refs;
	/* guarded by `lock` */
	struct mutex lock;
	struct vfs_attr attr;
	uint64_t parent;      /* of a directory */
	struct map names;     /* hash -> struct entry */
	struct entry **slots; /* NULL = removed */
	size_t nslots, cap, count;
};

struct shard {
	struct mutex lock;
	struct map nodes; /* inode -> struct node */
};

struct nothing {
	struct vfs vfs;
	_Atomic uint64_t next_inode;
	struct shard shards[SHARDS];
};

struct vfs_file {
	struct node *node; /* one reference */
};

static struct nothing *nothing_of(struct vfs *v)
{
	return container_of(v, struct nothing, vfs);
}

static struct shard *shard_of(struct nothing *n, uint64_t inode)
{
	return &n->shards[inode % SHARDS];
}

static uint64_t name_hash(struct slice name)
{
	uint64_t h = 0x9ae16a3b2f90404full;

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ name.data[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
}

/* ---- nodes ---- */

static struct node *node_get(struct nothing *n, uint64_t inode)
{
	struct shard *s = shard_of(n, inode);

	MUTEX_GUARD(&s->lock);
	struct node *node = map_find(&s->nodes, inode);

	if (node)
		node->refs++;
	return node;
}

static void node_free(struct node *node)
{
	mutex_done(&node->lock);
	map_done(&node->names);
	free(node->slots);
	free(node);
}

static void node_put(struct nothing *n, struct node *node)
{
	struct shard *s = shard_of(n, node->inode);
	bool last;

	mutex_lock(&s->lock);
	last = --node->refs == 0;
	if (last)
		(void)map_remove(&s->nodes, node->inode);
	mutex_unlock(&s->lock);
	if (last)
		node_free(node);
}

/* A new node with `refs` references, in the table. NULL on ENOMEM. */
static struct node *node_new(
	struct nothing *n, const struct vfs_cred *c, uint32_t mode, uint64_t refs)
{
	struct node *node = calloc(1, sizeof *node);
	int r;

	if (!node)
		return NULL;
	struct timespec now = env_realtime();
	struct shard *s;

	node->inode = atomic_fetch_add(&n->next_inode, 1);
	node->type = mode & S_IFMT;
	node->refs = refs;
	node->attr = (struct vfs_attr){
		.inode = node->inode,
		.mode = mode,
		.uid = c->uid,
		.gid = c->gid,
		.nlink = S_ISDIR(mode) ? 2 : 1,
		.atime = now,
		.mtime = now,
		.ctime = now,
		.btime = now,
	};
	mutex_init(&node->lock, RANK_INODE_NESTS);
	s = shard_of(n, node->inode);
	mutex_lock(&s->lock);
	r = map_insert(&s->nodes, node->inode, node);
	mutex_unlock(&s->lock);
	if (r == 0)
		return node;
	node_free(node);
	return NULL;
}

/* ---- entries; the directory's lock is held ---- */

static struct entry *entry_find_locked(const struct node *dir, struct slice name)
{
	struct entry *e = map_find(&dir->names, name_hash(name));

	while (e && !slice_eq(SLICE(e->name, e->len), name))
		e = e->next;
	return e;
}

static void dir_changed_locked(struct node *dir)
{
	dir->attr.mtime = dir->attr.ctime = env_realtime();
	dir->attr.change++;
}

/* Room for one entry more: then entry_add_locked only needs the entry itself. */
static int dir_reserve_locked(struct node *dir)
{
	if (dir->nslots == dir->cap) {
		size_t cap = dir->cap ? dir->cap * 2 : 16;
		struct entry **more = reallocarray(dir->slots, cap, sizeof *more);

		if (!more)
			return -ENOMEM;
		dir->slots = more;
		dir->cap = cap;
	}
	return map_reserve(&dir->names, 1);
}

/* Takes a reference of `node`. On failure nothing has changed. */
static int entry_add_locked(struct node *dir, struct slice name, struct node *node)
{
	struct entry *e = NULL;
	uint64_t hash = name_hash(name);
	int r = dir_reserve_locked(dir);

	if (r < 0 || !(e = malloc(sizeof *e + name.len)))
		return -ENOMEM;
	*e = (struct entry){.node = node, .slot = dir->nslots, .len = (uint8_t)name.len};
	memcpy(e->name, name.data, name.len);
	e->next = map_remove(&dir->names, hash);
	(void)map_insert(&dir->names, hash, e); /* there is room, see above */
	dir->slots[dir->nslots++] = e;
	dir->count++;
	dir_changed_locked(dir);
	return 0;
}

/* Returns the node, whose reference is the caller's now. */
static struct node *entry_remove_locked(struct node *dir, struct entry *e)
{
	uint64_t hash = name_hash(SLICE(e->name, e->len));
	struct entry *first = map_remove(&dir->names, hash);
	struct node *node = e->node;

	if (first == e) {
		first = e->next;
	} else {
		struct entry *before = first;

		while (before->next != e)
			before = before->next;
		before->next = e->next;
	}
	if (first)
		(void)map_insert(
			&dir->names, hash, first); /* into the place that has just become free */
	dir->slots[e->slot] = NULL;
	if (--dir->count == 0)
		dir->nslots = 0;
	free(e);
	dir_changed_locked(dir);
	return node;
}

/* ---- names ---- */

static int nothing_lookup(struct vfs *v, const struct vfs_cred *c, uint64_t dir_inode,
	struct slice name, struct vfs_attr *ret)
{
	struct nothing *n = nothing_of(v);
	struct node *dir = node_get(n, dir_inode), *node = NULL;

	(void)c;
	if (!dir)
		return -ESTALE;
	mutex_lock(&dir->lock);
	if (slice_eq(name, SLICE_STR("."))) {
		node = node_get(n, dir->inode);
	} else if (slice_eq(name, SLICE_STR(".."))) {
		node = node_get(n, dir->parent);
	} else {
		struct entry *e = entry_find_locked(dir, name);

		if (e)
			node = node_get(n, e->node->inode);
	}
	mutex_unlock(&dir->lock);
	if (node) {
		mutex_lock(&node->lock);
		*ret = node->attr;
		mutex_unlock(&node->lock);
		node_put(n, node);
	}
	node_put(n, dir);
	return node ? 0 : -ENOENT;
}

/* A new node under a new name. *ret_node (may be NULL) gets a reference of its own. */
static int make(struct nothing *n, const struct vfs_cred *c, uint64_t dir_inode, struct slice name,
	uint32_t mode, struct vfs_attr *ret, struct node **ret_node)
{
	struct node *dir = node_get(n, dir_inode), *node = NULL;
	uint64_t refs = ret_node ? 2 : 1;
	int r = 0;

	if (!dir)
		return -ESTALE;
	mutex_lock(&dir->lock);
	if (entry_find_locked(dir, name))
		r = -EEXIST;
	else if (!(node = node_new(n, c, mode, refs)))
		r = -ENOMEM;
	else
		r = entry_add_locked(dir, name, node);
	if (r == 0) {
		node->parent = dir_inode;
		dir->attr.nlink += S_ISDIR(mode) != 0;
		*ret = node->attr; /* nobody else can know it before the directory is unlocked */
	}
	mutex_unlock(&dir->lock);
	if (r < 0)
		for (; node && refs; refs--)
			node_put(n, node);
	else if (ret_node)
		*ret_node = node;
	node_put(n, dir);
	return r;
}

static int file_new(struct node *node, struct vfs_file **ret)
{
	struct vfs_file *f = malloc(sizeof *f);

	if (!f)
		return -ENOMEM;
	f->node = node;
	*ret = f;
	return 0;
}

static int nothing_open(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, int flags, struct vfs_file **ret)
{
	struct nothing *n = nothing_of(v);
	struct node *node = node_get(n, inode);

	(void)c;
	if (!node)
		return -ESTALE;
	if (flags & O_TRUNC) {
		mutex_lock(&node->lock);
		node->attr.size = node->attr.allocated = 0;
		mutex_unlock(&node->lock);
	}
	int r = file_new(node, ret);

	if (r < 0)
		node_put(n, node);
	return r;
}

static int nothing_create(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, int flags, struct vfs_attr *ret, struct vfs_file **ret_file,
	bool *ret_created)
{
	struct nothing *n = nothing_of(v);
	struct node *node;
	int r = make(n, c, dir, name, S_IFREG | mode, ret, &node);

	if (ret_created)
		*ret_created = r == 0;
	if (r == 0) {
		r = file_new(node, ret_file);
		if (r < 0)
			node_put(n, node);
	} else if (r == -EEXIST && !(flags & O_EXCL)) {
		r = nothing_lookup(v, c, dir, name, ret);
		if (r == 0)
			r = S_ISREG(ret->mode) ? nothing_open(v, c, ret->inode, flags, ret_file)
					       : -EEXIST;
	}
	return r;
}

static int nothing_mkdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint32_t mode, struct vfs_attr *ret)
{
	return make(nothing_of(v), c, dir, name, S_IFDIR | (mode & 07777), ret, NULL);
}

/* The name has been taken from `node`: gives back its reference. */
static void unlinked(struct nothing *n, struct node *node)
{
	mutex_lock(&node->lock);
	node->attr.nlink = 0;
	node->attr.ctime = env_realtime();
	mutex_unlock(&node->lock);
	node_put(n, node);
}

/* 0 when `node` may lose its last name as the kind of thing that `directory` says. */
static int check_removable(struct node *node, bool directory)
{
	bool is_dir = S_ISDIR(node->type);

	if (is_dir != directory)
		return is_dir ? -EISDIR : -ENOTDIR;
	if (!is_dir)
		return 0;
	MUTEX_GUARD(&node->lock);
	return node->count ? -ENOTEMPTY : 0;
}

static int take_away(struct nothing *n, uint64_t dir_inode, struct slice name, bool directory)
{
	struct node *dir = node_get(n, dir_inode), *node = NULL;
	int r = -ENOENT;

	if (!dir)
		return -ESTALE;
	mutex_lock(&dir->lock);
	struct entry *e = entry_find_locked(dir, name);

	if (e)
		r = check_removable(e->node, directory);
	if (r == 0) {
		node = entry_remove_locked(dir, e);
		dir->attr.nlink -= directory;
	}
	mutex_unlock(&dir->lock);
	if (node)
		unlinked(n, node);
	node_put(n, dir);
	return r;
}

static int nothing_unlink(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name)
{
	(void)c;
	return take_away(nothing_of(v), dir, name, false);
}

static int nothing_rmdir(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name)
{
	(void)c;
	return take_away(nothing_of(v), dir, name, true);
}

/* *ret_old: what stood at the new name, with the reference of that name. */
static int move_locked(struct node *from, struct slice name, struct node *to, struct slice to_name,
	unsigned flags, struct node **ret_old)
{
	struct entry *e = entry_find_locked(from, name), *old = entry_find_locked(to, to_name);
	int r = 0;

	if (!e)
		return -ENOENT;
	if (old && flags & VFS_RENAME_NOREPLACE)
		return -EEXIST;
	bool directory = S_ISDIR(e->node->type);

	if (old && old->node == e->node)
		return 0;
	if (old)
		r = check_removable(old->node, directory);
	if (r == 0)
		r = entry_add_locked(to, to_name, e->node);
	if (r < 0)
		return r;
	if (old)
		*ret_old = entry_remove_locked(to, old);
	e->node->parent = to->inode;
	(void)entry_remove_locked(from, e); /* its reference went to the new entry */
	from->attr.nlink -= directory;
	to->attr.nlink += directory && !old;
	return 0;
}

/* The kernel has checked that a directory does not go into itself, and keeps renames of directories
 * apart. */
static int nothing_rename(struct vfs *v, const struct vfs_cred *c, uint64_t dir, struct slice name,
	uint64_t to_dir, struct slice to_name, unsigned flags)
{
	struct nothing *n = nothing_of(v);
	struct node *from = node_get(n, dir), *to = node_get(n, to_dir), *old = NULL;
	int r = -ESTALE;

	(void)c;
	if (flags & VFS_RENAME_EXCHANGE) {
		r = -EINVAL;
	} else if (from && to) {
		struct node *first = from->inode <= to->inode ? from : to,
			    *second = first == from ? to : from;

		mutex_lock(&first->lock);
		if (second != first)
			mutex_lock(&second->lock);
		r = move_locked(from, name, to, to_name, flags, &old);
		if (second != first)
			mutex_unlock(&second->lock);
		mutex_unlock(&first->lock);
	}
	if (old)
		unlinked(n, old);
	if (from)
		node_put(n, from);
	if (to)
		node_put(n, to);
	return r;
}

static int nothing_readdir(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f,
	uint64_t cookie, bool with_attr, vfs_emit_fn *emit, void *arg)
{
	struct node *dir = f->node;
	struct vfs_dirent d = {.type = DT_DIR};

	(void)v;
	(void)c;
	(void)with_attr; /* the kernel looks up what it wants to know */
	MUTEX_GUARD(&dir->lock);
	if (cookie < COOKIE_DOT) {
		d.name = SLICE_STR(".");
		d.inode = dir->inode;
		d.cookie = COOKIE_DOT;
		if (!emit(arg, &d))
			return 0;
	}
	if (cookie < COOKIE_DOTDOT) {
		d.name = SLICE_STR("..");
		d.inode = dir->parent;
		d.cookie = COOKIE_DOTDOT;
		if (!emit(arg, &d))
			return 0;
	}
	for (size_t i = cookie < COOKIE_FIRST ? 0 : cookie - COOKIE_FIRST + 1; i < dir->nslots;
		i++) {
		struct entry *e = dir->slots[i];

		if (!e)
			continue;
		d.name = SLICE(e->name, e->len);
		d.inode = e->node->inode;
		d.cookie = COOKIE_FIRST + i;
		d.type = IFTODT(e->node->type);
		if (!emit(arg, &d))
			return 0;
	}
	return 0;
}

/* ---- attributes ---- */

static int nothing_getattr(
	struct vfs *v, const struct vfs_cred *c, uint64_t inode, struct vfs_attr *ret)
{
	struct nothing *n = nothing_of(v);
	struct node *node = node_get(n, inode);

	(void)c;
	if (!node)
		return -ESTALE;
	mutex_lock(&node->lock);
	*ret = node->attr;
	mutex_unlock(&node->lock);
	node_put(n, node);
	return 0;
}

static void set_locked(struct vfs_attr *a, unsigned set, const struct vfs_attr *in)
{
	struct timespec now = env_realtime();

	if (set & VFS_SET_MODE)
		a->mode = (a->mode & S_IFMT) | (in->mode & 07777);
	if (set & VFS_SET_UID)
		a->uid = in->uid;
	if (set & VFS_SET_GID)
		a->gid = in->gid;
	if (set & VFS_SET_SIZE)
		a->size = in->size;
	if (set & (VFS_SET_ATIME | VFS_SET_ATIME_NOW))
		a->atime = set & VFS_SET_ATIME ? in->atime : now;
	if (set & (VFS_SET_MTIME | VFS_SET_MTIME_NOW | VFS_SET_SIZE))
		a->mtime = set & VFS_SET_MTIME ? in->mtime : now;
	a->ctime = now;
	a->change++;
}

static int nothing_setattr(struct vfs *v, const struct vfs_cred *c, uint64_t inode,
	struct vfs_file *f, unsigned set, const struct vfs_attr *in, struct vfs_attr *ret)
{
	struct nothing *n = nothing_of(v);
	struct node *node = node_get(n, inode);

	(void)c;
	(void)f;
	if (!node)
		return -ESTALE;
	mutex_lock(&node->lock);
	set_locked(&node->attr, set, in);
	*ret = node->attr;
	mutex_unlock(&node->lock);
	node_put(n, node);
	return 0;
}

static int nothing_statfs(struct vfs *v, struct vfs_statfs *ret)
{
	(void)v;
	*ret = (struct vfs_statfs){
		.total_bytes = 1ull << 60,
		.free_bytes = 1ull << 60,
		.available_bytes = 1ull << 60,
		.free_inodes = 1ull << 40,
		.name_max = VFS_NAME_MAX,
		.block_size = 4096,
	};
	return 0;
}

/* ---- open files ---- */

static void nothing_release(struct vfs *v, struct vfs_file *f)
{
	node_put(nothing_of(v), f->node);
	free(f);
}

static int64_t nothing_read(
	struct vfs *v, struct vfs_file *f, uint64_t offset, void *buf, size_t len)
{
	uint64_t size;

	(void)v;
	mutex_lock(&f->node->lock);
	size = f->node->attr.size;
	mutex_unlock(&f->node->lock);
	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = (size_t)(size - offset);
	memset(buf, 0, len);
	return (int64_t)len;
}

static int64_t nothing_write(struct vfs *v, const struct vfs_cred *c, struct vfs_file *f,
	uint64_t offset, const struct slice *parts, size_t nparts, unsigned flags,
	uint64_t *ret_size)
{
	struct vfs_attr *a = &f->node->attr;
	uint64_t len = 0;

	(void)v;
	(void)c;
	for (size_t i = 0; i < nparts; i++)
		len += parts[i].len;
	MUTEX_GUARD(&f->node->lock);
	if (flags & VFS_WRITE_APPEND)
		offset = a->size;
	if (len > VFS_FILE_MAX - offset)
		return -EFBIG;
	if (offset + len > a->size)
		a->size = offset + len;
	a->allocated = (a->size + 511) & ~511ull;
	a->mtime = a->ctime = env_realtime();
	a->change++;
	if (ret_size)
		*ret_size = a->size;
	return (int64_t)len;
}

static int nothing_fsync(struct vfs *v, struct vfs_file *f, bool datasync)
{
	(void)v;
	(void)f;
	(void)datasync;
	return 0;
}

static int nothing_flush(struct vfs *v, struct vfs_file *f)
{
	(void)v;
	(void)f;
	return 0;
}

static int nothing_sync(struct vfs *v, struct error *err)
{
	(void)v;
	(void)err;
	return 0;
}

static const struct vfs_ops nothing_ops = {
	.lookup = nothing_lookup,
	.create = nothing_create,
	.mkdir = nothing_mkdir,
	.unlink = nothing_unlink,
	.rmdir = nothing_rmdir,
	.rename = nothing_rename,
	.getattr = nothing_getattr,
	.setattr = nothing_setattr,
	.statfs = nothing_statfs,
	.open = nothing_open,
	.release = nothing_release,
	.read = nothing_read,
	.write = nothing_write,
	.fsync = nothing_fsync,
	.flush = nothing_flush,
	.readdir = nothing_readdir,
	.sync = nothing_sync,
};

struct vfs *nothing_new(void)
{
	struct nothing *n = calloc(1, sizeof *n);
	const struct vfs_cred owner = {.uid = geteuid(), .gid = getegid()};

	if (!n)
		return NULL;
	n->vfs.ops = &nothing_ops;
	n->next_inode = VFS_ROOT;
	for (size_t i = 0; i < SHARDS; i++)
		mutex_init(&n->shards[i].lock, RANK_INODE_TABLE);
	struct node *root =
		node_new(n, &owner, S_IFDIR | 0755, 1); /* its reference is never given back */

	if (!root) {
		nothing_free(&n->vfs);
		return NULL;
	}
	root->parent = VFS_ROOT;
	return &n->vfs;
}

void nothing_free(struct vfs *v)
{
	if (!v)
		return;
	struct nothing *n = nothing_of(v);

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &n->shards[i];
		size_t cursor = 0;
		void *value;

		while (map_next(&s->nodes, &cursor, NULL, &value)) {
			struct node *node = value;

			for (size_t j = 0; j < node->nslots; j++)
				free(node->slots[j]);
			node_free(node);
		}
		map_done(&s->nodes);
		mutex_done(&s->lock);
	}
	free(n);
}
