/* SPDX-License-Identifier: GPL-3.0-or-later */
/* put, get, ls: files of a volume without mounting it. Paths are absolute within the volume. */
#include "cli/cli.h"

#include "core/base/cleanup.h"
#include "core/vfs/vfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES (256u << 10)

static const struct vfs_cred root = {0}; /* who can open the store may read everything */

static bool next_component(const char **path, struct slice *ret)
{
	*path += strspn(*path, "/");
	ret->data = (const uint8_t *)*path;
	ret->len = strcspn(*path, "/");
	*path += ret->len;
	return ret->len > 0;
}

/* Walks to `path`; with `make`, makes missing directories. */
static int walk(struct vfs *v, const char *path, bool make, struct vfs_attr *ret)
{
	struct slice name;
	int r = vfs_getattr(v, &root, VFS_ROOT, ret);

	while (r == 0 && next_component(&path, &name)) {
		uint64_t dir = ret->inode;

		r = vfs_lookup(v, &root, dir, name, ret);
		if (r == -ENOENT && make)
			r = vfs_mkdir(v, &root, dir, name, 0755, ret);
	}
	return r;
}

/* Splits `path` into its directory (walked to) and its last name. */
static int walk_parent(
	struct vfs *v, const char *path, bool make, uint64_t *ret_dir, struct slice *ret_name)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	size_t start = n;

	while (start > 0 && path[start - 1] != '/')
		start--;
	if (start == n)
		return -EISDIR;
	CLEANUP(free_p) char *parent = strndup(path, start);
	struct vfs_attr a;

	if (!parent)
		return -ENOMEM;
	int r = walk(v, parent, make, &a);

	if (r == 0) {
		*ret_dir = a.inode;
		*ret_name = SLICE(path + start, n - start);
	}
	return r;
}

static int copy_in(struct vfs *v, int from, struct vfs_file *to)
{
	CLEANUP(free_p) uint8_t *bytes = malloc(COPY_BYTES);
	uint64_t at = 0;

	if (!bytes)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(from, bytes, COPY_BYTES);

		if (n < 0)
			return -errno;
		if (n == 0)
			return vfs_fsync(v, to, false);
		struct slice part = SLICE(bytes, (size_t)n);
		int64_t r = vfs_write(v, &root, to, at, &part, 1, 0, NULL);

		if (r < 0)
			return (int)r;
		at += (uint64_t)n;
	}
}

static int say(struct cli *c, const char *what, int r)
{
	struct error e = {0};

	return cli_fail(c, error_set(&e, r, "%s: %s", what, strerror(-r)), &e);
}

int cmd_put(struct cli *c)
{
	const char *local = c->argv[1], *path = c->argv[2];
	CLEANUP(close_fd_p)
	int fd = strcmp(local, "-") == 0 ? dup(STDIN_FILENO) : open(local, O_RDONLY | O_CLOEXEC);
	struct vfs_file *f = NULL;
	struct vfs_attr a;
	struct volume *v;
	struct slice name;
	uint64_t dir;

	if (fd < 0)
		return say(c, local, -errno);
	int status = cli_open(c, c->argv[0], false, &v);

	if (status)
		return status;
	struct vfs *vfs = volume_vfs(v);
	int r = walk_parent(vfs, path, c->parents, &dir, &name);

	if (r == 0)
		r = vfs_create(
			vfs, &root, dir, name, 0644, O_WRONLY | O_CREAT | O_TRUNC, &a, &f, NULL);
	if (r == 0) {
		r = copy_in(vfs, fd, f);
		vfs_release(vfs, f);
	}
	if (r < 0)
		status = say(c, path, r);
	return cli_close(c, v, status);
}

static int copy_out(struct vfs *v, struct vfs_file *from, int to)
{
	CLEANUP(free_p) uint8_t *bytes = malloc(COPY_BYTES);

	if (!bytes)
		return -ENOMEM;
	for (uint64_t at = 0;;) {
		int64_t n = vfs_read(v, from, at, bytes, COPY_BYTES);

		if (n <= 0)
			return (int)n;
		for (int64_t done = 0; done < n;) {
			ssize_t put = write(to, bytes + done, (size_t)(n - done));

			if (put < 0)
				return -errno;
			done += put;
		}
		at += (uint64_t)n;
	}
}

int cmd_get(struct cli *c)
{
	const char *path = c->argv[1], *local = c->argc > 2 ? c->argv[2] : "-";
	CLEANUP(close_fd_p) int fd = -1;
	struct vfs_file *f = NULL;
	struct vfs_attr a;
	struct volume *v;
	int status = cli_open(c, c->argv[0], true, &v);

	if (status)
		return status;
	struct vfs *vfs = volume_vfs(v);
	int r = walk(vfs, path, false, &a);

	if (r == 0 && !S_ISREG(a.mode))
		r = S_ISDIR(a.mode) ? -EISDIR : -EINVAL;
	if (r == 0)
		r = vfs_open(vfs, &root, a.inode, O_RDONLY, &f);
	if (r < 0) {
		status = say(c, path, r);
	} else {
		fd = strcmp(local, "-") == 0
			     ? dup(STDOUT_FILENO)
			     : open(local, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		r = fd < 0 ? -errno : copy_out(vfs, f, fd);
		if (r < 0)
			status = say(c, local, r);
		vfs_release(vfs, f);
	}
	return cli_close(c, v, status);
}

static char type_letter(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	default:
		return '-';
	}
}

static void print_line(const struct cli *c, struct slice name, const struct vfs_attr *a)
{
	if (c->all && a)
		printf("%8" PRIu64 " %c%04o %3u %5u %5u %12" PRIu64 " %lld ", a->inode,
			type_letter(a->mode), a->mode & 07777, a->nlink, a->uid, a->gid, a->size,
			(long long)a->mtime.tv_sec);
	printf("%.*s%s\n", (int)name.len, (const char *)name.data,
		a && S_ISDIR(a->mode) && !c->all ? "/" : "");
}

struct listing {
	struct cli *c;
	uint64_t cookie; /* of the last entry printed */
};

static bool print_entry(void *arg, const struct vfs_dirent *e)
{
	struct listing *p = arg;
	bool dots = e->name.len <= 2 && memcmp(e->name.data, "..", e->name.len) == 0;

	if (!dots)
		print_line(p->c, e->name, e->attr);
	p->cookie = e->cookie;
	return true;
}

static int list_directory(struct cli *c, struct vfs *vfs, uint64_t inode)
{
	struct listing p = {.c = c};
	struct vfs_file *f;
	uint64_t before;
	int r = vfs_open(vfs, &root, inode, O_RDONLY | O_DIRECTORY, &f);

	if (r < 0)
		return r;
	do {
		before = p.cookie;
		r = vfs_readdir(vfs, &root, f, p.cookie, true, print_entry, &p);
	} while (r == 0 && p.cookie != before);
	vfs_release(vfs, f);
	return r;
}

int cmd_ls(struct cli *c)
{
	const char *path = c->argc > 1 ? c->argv[1] : "/";
	struct vfs_attr a;
	struct volume *v;
	int status = cli_open(c, c->argv[0], true, &v);

	if (status)
		return status;
	int r = walk(volume_vfs(v), path, false, &a);

	if (r == 0 && S_ISDIR(a.mode))
		r = list_directory(c, volume_vfs(v), a.inode);
	else if (r == 0)
		print_line(c, SLICE_STR(path), &a);
	if (r < 0)
		status = say(c, path, r);
	return cli_close(c, v, status);
}
