/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects kept open for reading. Every use checks that the name still leads to the same file:
 * another process may have deleted the object, and a GET must see that (rule S1). The open
 * descriptor keeps its inode number from being used again, so the comparison is exact.
 */
#include "core/store/file_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void unref_locked(struct file_store *fs, struct file_fd *f, struct file_fd **dead)
{
	mutex_assert_held(&fs->fds_lock);
	assert(f->refs > 0);
	if (--f->refs == 0) {
		f->next = *dead;
		*dead = f;
	}
}

static void free_chain(struct file_fd *f)
{
	while (f) {
		struct file_fd *next = f->next;

		(void)close(f->fd); /* read only */
		free(f);
		f = next;
	}
}

void file_fd_put(struct file_store *fs, struct file_fd *f)
{
	struct file_fd *dead = NULL;

	mutex_lock(&fs->fds_lock);
	unref_locked(fs, f, &dead);
	mutex_unlock(&fs->fds_lock);
	free_chain(dead);
}

static struct file_fd *find(struct file_store *fs, const char *path)
{
	struct file_fd *f = NULL;

	mutex_lock(&fs->fds_lock);
	for (struct file_fd **p = &fs->fds; *p; p = &(*p)->next)
		if (strcmp((*p)->path, path) == 0) {
			f = *p;
			*p = f->next;
			f->next = fs->fds;
			fs->fds = f;
			f->refs++;
			break;
		}
	mutex_unlock(&fs->fds_lock);
	return f;
}

/* Takes everything named `path` (NULL: everything), beyond the first `keep`, out of the list. */
static struct file_fd *cut_locked(struct file_store *fs, const char *path, size_t keep)
{
	struct file_fd *dead = NULL;
	size_t n = 0;

	mutex_assert_held(&fs->fds_lock);
	for (struct file_fd **p = &fs->fds; *p;) {
		struct file_fd *f = *p;

		if (n++ < keep || (path && strcmp(f->path, path) != 0)) {
			p = &f->next;
			continue;
		}
		*p = f->next;
		unref_locked(fs, f, &dead);
	}
	return dead;
}

void file_fd_forget(struct file_store *fs, const char *path)
{
	mutex_lock(&fs->fds_lock);
	struct file_fd *dead = cut_locked(fs, path, 0);

	mutex_unlock(&fs->fds_lock);
	free_chain(dead);
}

void file_fds_drop(struct file_store *fs)
{
	file_fd_forget(fs, NULL);
}

static void keep_open(struct file_store *fs, struct file_fd *f)
{
	mutex_lock(&fs->fds_lock);
	struct file_fd *dead = cut_locked(fs, f->path, 0); /* somebody opened it at the same time */

	f->refs++;
	f->next = fs->fds;
	fs->fds = f;
	for (struct file_fd *over = cut_locked(fs, NULL, FILE_FDS_MAX), *next; over; over = next) {
		next = over->next;
		over->next = dead;
		dead = over;
	}
	mutex_unlock(&fs->fds_lock);
	free_chain(dead);
}

/* A fresh descriptor. */
static int open_object(struct file_store *fs, const char *path, struct file_fd **ret,
	struct stat *st, struct error *err)
{
	/* O_NONBLOCK: not to hang on what is not a file. */
	int fd = file_openat(fs, fs->root_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return file_error(fs, err, -fd, "cannot read", path);
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		(void)close(fd); /* read only */
		return file_error(fs, err, ENOENT, "not a file:", path);
	}
	struct file_fd *f = calloc(1, sizeof(*f));

	if (!f) {
		(void)close(fd); /* read only */
		return error_set(err, -ENOMEM, "%s: no memory", path);
	}
	*f = (struct file_fd){.refs = 1, .fd = fd, .dev = st->st_dev, .ino = st->st_ino};
	memcpy(f->path, path, strlen(path) + 1);
	*ret = f;
	return 0;
}

int file_fd_get(struct file_store *fs, const char *path, bool keep, struct file_fd **ret,
	uint64_t *ret_size, struct error *err)
{
	struct file_fd *f = keep ? find(fs, path) : NULL;
	struct stat st;

	if (f) {
		if (fstatat(fs->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_dev == f->dev && st.st_ino == f->ino) {
			*ret = f;
			*ret_size = (uint64_t)st.st_size;
			return 0;
		}
		file_fd_put(fs, f);
		file_fd_forget(fs, path);
	}
	int r = open_object(fs, path, &f, &st, err);

	if (r < 0)
		return r;
	if (keep)
		keep_open(fs, f);
	*ret = f;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}
