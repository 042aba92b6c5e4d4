/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fault/script.h"

#include <fcntl.h>
#include <stdlib.h>

#define ENTRIES_MAX 4096

static const struct vfs_cred root = {0};

static void mix(uint64_t *h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		*h = (*h ^ p[i]) * 0x100000001b3ull;
}

struct names {
	size_t n;
	struct {
		char name[VFS_NAME_MAX + 1];
		uint64_t inode;
	} * entries;
	uint64_t cookie;
};

static bool collect(void *arg, const struct vfs_dirent *e)
{
	struct names *l = arg;
	bool dots = e->name.len <= 2 && memcmp(e->name.data, "..", e->name.len) == 0;

	l->cookie = e->cookie;
	if (dots || l->n == ENTRIES_MAX)
		return true;
	memcpy(l->entries[l->n].name, e->name.data, e->name.len);
	l->entries[l->n].name[e->name.len] = 0;
	l->entries[l->n++].inode = e->inode;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b); /* the name comes first */
}

static int list(struct vfs *v, uint64_t dir, struct names *l)
{
	struct vfs_file *f;
	uint64_t before;
	int r = vfs_open(v, &root, dir, O_RDONLY | O_DIRECTORY, &f);

	if (r < 0)
		return r;
	do {
		before = l->cookie;
		r = vfs_readdir(v, &root, f, l->cookie, false, collect, l);
	} while (r == 0 && l->cookie != before);
	vfs_release(v, f);
	qsort(l->entries, l->n, sizeof *l->entries, by_name);
	return r;
}

static int mix_content(struct vfs *v, const struct vfs_attr *a, uint64_t *h)
{
	uint8_t bytes[16384];
	struct vfs_file *f;
	int r = vfs_open(v, &root, a->inode, O_RDONLY, &f);

	if (r < 0)
		return r;
	for (uint64_t at = 0; r == 0;) {
		int64_t n = vfs_read(v, f, at, bytes, sizeof bytes);

		if (n <= 0) {
			r = (int)n;
			break;
		}
		mix(h, bytes, (size_t)n);
		at += (uint64_t)n;
	}
	vfs_release(v, f);
	return r;
}

/* Every attribute that it has, ACLs too. */
static int mix_xattrs(struct vfs *v, uint64_t inode, uint64_t *h)
{
	struct buf names = BUF_INIT, value = BUF_INIT;
	int r = vfs_listxattr(v, &root, inode, &names);

	for (size_t at = 0; r == 0 && at < names.len;) {
		struct slice name = SLICE_STR((const char *)names.data + at);

		buf_clear(&value);
		r = vfs_getxattr(v, &root, inode, name, &value);
		mix(h, name.data, name.len + 1);
		mix(h, value.data, value.len);
		at += name.len + 1;
	}
	buf_done(&names);
	buf_done(&value);
	return r;
}

static int mix_inode(struct vfs *v, uint64_t inode, uint64_t *h)
{
	struct buf target = BUF_INIT;
	struct vfs_attr a;
	int r = vfs_getattr(v, &root, inode, &a);

	if (r < 0)
		return r;
	mix(h, &a.mode, sizeof a.mode);
	mix(h, &a.uid, sizeof a.uid);
	mix(h, &a.gid, sizeof a.gid);
	mix(h, &a.nlink, sizeof a.nlink);
	mix(h, &a.flags, sizeof a.flags);
	mix(h, &a.rdev, sizeof a.rdev);
	r = mix_xattrs(v, inode, h);
	if (r < 0)
		return r;
	if (S_ISREG(a.mode)) {
		mix(h, &a.size, sizeof a.size);
		r = mix_content(v, &a, h);
	} else if (S_ISLNK(a.mode)) {
		r = vfs_readlink(v, &root, inode, &target);
		mix(h, target.data, target.len);
		buf_done(&target);
	}
	return r;
}

static int mix_directory(struct vfs *v, uint64_t dir, uint64_t *h)
{
	struct names l = {.entries = calloc(ENTRIES_MAX, sizeof *l.entries)};
	int r = l.entries ? list(v, dir, &l) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < l.n; i++) {
		struct vfs_attr a;

		mix(h, l.entries[i].name, strlen(l.entries[i].name) + 1);
		r = mix_inode(v, l.entries[i].inode, h);
		if (r == 0)
			r = vfs_getattr(v, &root, l.entries[i].inode, &a);
		if (r == 0 && S_ISDIR(a.mode))
			r = mix_directory(v, l.entries[i].inode, h);
	}
	mix(h, "]", 1);
	free(l.entries);
	return r;
}

int script_snapshot(struct vfs *v, uint64_t *ret)
{
	uint64_t h = 0xcbf29ce484222325ull;
	int r = mix_inode(v, VFS_ROOT, &h);

	if (r == 0)
		r = mix_directory(v, VFS_ROOT, &h);
	if (r == 0)
		*ret = h;
	return r;
}
