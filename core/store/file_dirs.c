/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open directories and their shared fsync. A process trusts a directory's name to be on disk only
 * after it has synced the directory above itself: another process may have made it a moment ago and
 * not have come that far.
 */
#include "core/store/file_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void dir_free(struct file_dir *d)
{
	(void)close(d->fd); /* nothing was written through it */
	cond_done(&d->round_ended);
	free(d);
}

/* Takes `fd`, also on failure (NULL). */
static struct file_dir *dir_new(const char *path, int fd)
{
	struct file_dir *d = calloc(1, sizeof(*d));

	if (!d) {
		(void)close(fd); /* nothing was written through it */
		return NULL;
	}
	d->fd = fd;
	d->refs = 1;
	cond_init(&d->round_ended);
	memcpy(d->path, path, strlen(path) + 1);
	return d;
}

/* Takes what is beyond the first `keep` unused directories out of the list. */
static struct file_dir *cut_unused_locked(struct file_store *fs, size_t keep)
{
	struct file_dir *unused = NULL;
	size_t n = 0;

	mutex_assert_held(&fs->dirs_lock);
	for (struct file_dir **p = &fs->dirs; *p;) {
		struct file_dir *d = *p;

		if (n++ < keep || d->refs > 0) {
			p = &d->next;
			continue;
		}
		*p = d->next;
		d->next = unused;
		unused = d;
	}
	return unused;
}

static void free_chain(struct file_dir *d)
{
	while (d) {
		struct file_dir *next = d->next;

		dir_free(d);
		d = next;
	}
}

void file_dirs_drop(struct file_store *fs)
{
	mutex_lock(&fs->dirs_lock);
	struct file_dir *unused = cut_unused_locked(fs, 0);

	mutex_unlock(&fs->dirs_lock);
	free_chain(unused);
}

static struct file_dir *find_locked(struct file_store *fs, const char *path)
{
	mutex_assert_held(&fs->dirs_lock);
	for (struct file_dir **p = &fs->dirs; *p; p = &(*p)->next) {
		struct file_dir *d = *p;

		if (strcmp(d->path, path) != 0)
			continue;
		*p = d->next;
		d->next = fs->dirs;
		fs->dirs = d;
		d->refs++;
		return d;
	}
	return NULL;
}

/* Puts `d` into the list, or gives back the one that somebody else put there meanwhile. */
static struct file_dir *insert(struct file_store *fs, struct file_dir *d)
{
	struct file_dir *unused = NULL;

	mutex_lock(&fs->dirs_lock);
	struct file_dir *other = find_locked(fs, d->path);

	if (!other) {
		d->next = fs->dirs;
		fs->dirs = d;
		unused = cut_unused_locked(fs, FILE_DIRS_MAX);
	}
	mutex_unlock(&fs->dirs_lock);
	free_chain(unused);
	if (!other)
		return d;
	dir_free(d);
	return other;
}

void file_dir_put(struct file_store *fs, struct file_dir *d)
{
	mutex_lock(&fs->dirs_lock);
	assert(d->refs > 0);
	bool last = --d->refs == 0 && d->forgotten;

	mutex_unlock(&fs->dirs_lock);
	if (last)
		dir_free(d);
}

void file_dir_forget(struct file_store *fs, struct file_dir *d)
{
	mutex_lock(&fs->dirs_lock);
	for (struct file_dir **p = &fs->dirs; *p; p = &(*p)->next)
		if (*p == d) {
			*p = d->next;
			d->forgotten = true;
			break;
		}
	mutex_unlock(&fs->dirs_lock);
}

/* Opens `name` in `above`, making it if need be, and brings its name to disk. A descriptor or a
 * mapped error. */
static int open_below(struct file_store *fs, struct file_dir *above, const char *path,
	const char *name, bool make, struct error *err)
{
	int fd = file_openat(fs, above->fd, name, O_RDONLY | O_DIRECTORY);

	if (fd == -ENOENT && make) {
		if (mkdirat(above->fd, name, 0777) < 0 && errno != EEXIST)
			return file_error(fs, err, errno, "cannot make", path);
		fd = file_openat(fs, above->fd, name, O_RDONLY | O_DIRECTORY);
	}
	if (fd < 0)
		return file_error(fs, err, -fd, "cannot open", path);
	int r = file_dir_sync(fs, above);

	if (r < 0) {
		(void)close(fd); /* nothing was written through it */
		return r == -ECANCELED ? error_set(err, r, "%s: cancelled", path)
				       : file_error(fs, err, -r, "cannot sync", above->path);
	}
	return fd;
}

static int open_dir(struct file_store *fs, const char *path, bool make, struct error *err)
{
	char above_path[FILE_PATH_MAX];
	struct file_dir *above;
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (path[0] == '\0') {
		int fd = file_openat(fs, fs->root_fd, ".", O_RDONLY | O_DIRECTORY);

		return fd < 0 ? file_error(fs, err, -fd, "cannot open", "") : fd;
	}
	memcpy(above_path, path, n);
	above_path[n] = '\0';
	int r = file_dir_get(fs, above_path, make, &above, err);

	if (r < 0)
		return r;
	r = open_below(fs, above, path, slash ? slash + 1 : path, make, err);
	/* Only a directory that was removed after we had opened it lets mkdirat() say so. */
	if (r == -ENOENT && make)
		file_dir_forget(fs, above);
	file_dir_put(fs, above);
	return r;
}

int file_dir_get(struct file_store *fs, const char *path, bool make, struct file_dir **ret,
	struct error *err)
{
	mutex_lock(&fs->dirs_lock);
	struct file_dir *d = find_locked(fs, path);

	mutex_unlock(&fs->dirs_lock);
	if (!d) {
		int fd = open_dir(fs, path, make, err);

		if (fd < 0)
			return fd;
		d = dir_new(path, fd);
		if (!d)
			return error_set(err, -ENOMEM, "%s: no memory", path);
		d = insert(fs, d);
	}
	*ret = d;
	return 0;
}

int file_dir_sync(struct file_store *fs, struct file_dir *d)
{
	int r = 0;

	mutex_lock(&fs->dirs_lock);
	uint64_t round = d->begun + 1;

	while (r == 0 && d->ended < round) {
		if (atomic_load(&fs->cancelled)) {
			r = -ECANCELED;
		} else if (d->begun > d->ended) {
			cond_wait(&d->round_ended, &fs->dirs_lock);
		} else {
			uint64_t mine = ++d->begun;

			mutex_unlock(&fs->dirs_lock);
			int s = fs->sync.directory(fs->sync.arg, d->fd);

			mutex_lock(&fs->dirs_lock);
			d->ended = mine;
			if (s < 0)
				d->failed = mine;
			cond_broadcast(&d->round_ended);
		}
	}
	/* A later round that failed fails us too, wrongly perhaps: then the request is repeated, no
	 * more. */
	if (r == 0 && d->failed >= round)
		r = -EIO;
	mutex_unlock(&fs->dirs_lock);
	return r;
}

void file_dirs_wake(struct file_store *fs)
{
	mutex_lock(&fs->dirs_lock);
	for (struct file_dir *d = fs->dirs; d; d = d->next)
		cond_broadcast(&d->round_ended);
	mutex_unlock(&fs->dirs_lock);
}
