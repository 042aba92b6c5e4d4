/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The operations of the file backend.
 *
 * create: 1. bytes into a file without a name (or with one that is no key), 2. sync the file, 3.
 * link(2) it to its name, which fails when that is taken, 4. sync the directory. A power loss
 * before 4 ended leaves either nothing or the whole object; after it, the object. Whatever fails
 * after 3 is reported as -ETIMEDOUT, "may have taken effect".
 */
#include "core/store/file_internal.h"

#include "core/base/cleanup.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define IOV_BATCH 64
#define TEMP_MAX 32		  /* bytes of a temporary name */
#define HEARTBEAT_SUFFIX ".alive" /* of the objects that put() replaces */

static struct file_store *file_of(struct store *s)
{
	return (struct file_store *)s;
}

static int sync_data(void *arg, int fd)
{
	(void)arg;
	while (fdatasync(fd) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int sync_directory(void *arg, int fd)
{
	(void)arg;
	while (fsync(fd) < 0) {
		if (errno == EINVAL)
			return 0; /* network filesystems that write names through and know no such
				     thing */
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Splits the path of an object: the directory into `dir`, its name is returned. */
static const char *split(const char *path, char dir[static FILE_PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	memcpy(dir, path, n);
	dir[n] = '\0';
	return slash ? slash + 1 : path;
}

static int write_parts(int fd, const struct slice *parts, size_t nparts)
{
	size_t i = 0, done = 0; /* the place: bytes of parts[i] that are written */

	for (;;) {
		struct iovec iov[IOV_BATCH];
		int n = 0;

		while (i < nparts && done == parts[i].len) {
			i++;
			done = 0;
		}
		if (i == nparts)
			return 0;
		for (size_t j = i; j < nparts && n < IOV_BATCH; j++, n++) {
			size_t skip = j == i ? done : 0;
			const uint8_t *p = parts[j].len > skip ? parts[j].data + skip : NULL;

			/* writev(2) reads only, its type cannot say so. */
			iov[n].iov_base = (void *)(uintptr_t)p;
			iov[n].iov_len = parts[j].len - skip;
		}
		ssize_t w = writev(fd, iov, n);

		if (w < 0 && errno != EINTR)
			return -errno;
		for (size_t left = w > 0 ? (size_t)w : 0; left > 0;) {
			size_t step = parts[i].len - done < left ? parts[i].len - done : left;

			left -= step;
			done += step;
			if (done == parts[i].len) {
				i++;
				done = 0;
			}
		}
	}
}

/*
 * A new file in `d`: without a name where the filesystem can (temp[0] is 0), unless `named`; else
 * with a temporary one that is not a key, so that LIST passes over it. A descriptor or a negative
 * errno.
 */
static int open_new(
	struct file_store *fs, struct file_dir *d, bool named, char temp[static TEMP_MAX])
{
	uint64_t random;

	temp[0] = '\0';
	if (!named && !atomic_load(&fs->named_temp)) {
		int fd = file_openat(fs, d->fd, ".", O_TMPFILE | O_WRONLY);

		if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -EINVAL && fd != -ENOSYS)
			return fd;
		atomic_store(&fs->named_temp, true);
	}
	env_random(&random, sizeof(random));
	(void)snprintf(temp, TEMP_MAX, "~new-%016" PRIx64, random); /* fits */
	return file_openat(fs, d->fd, temp, O_CREAT | O_EXCL | O_WRONLY);
}

/* Gives the new file its name, if that is free. */
static int publish(
	struct file_store *fs, struct file_dir *d, int fd, const char *temp, const char *name)
{
	char proc[sizeof("/proc/self/fd/") + 16];

	if (temp[0])
		return linkat(d->fd, temp, d->fd, name, 0) < 0 ? -errno : 0;
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd); /* fits */
	if (linkat(AT_FDCWD, proc, d->fd, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	int r = -errno;

	if (r == -ENOENT && access("/proc/self/fd", X_OK) < 0)
		atomic_store(&fs->named_temp,
			true); /* no /proc: the caller's second attempt does without */
	return r;
}

/* One attempt at create or put, up to the new name. Negative errno, not mapped. */
static int write_new(struct file_store *fs, struct file_dir *d, const char *name,
	const struct slice *parts, size_t nparts, bool replace)
{
	char temp[TEMP_MAX];
	CLEANUP(close_fd_p) int fd = open_new(fs, d, replace, temp);
	int r = fd < 0 ? fd : write_parts(fd, parts, nparts);

	if (r == 0)
		r = fs->sync.data(fs->sync.arg, fd);
	if (r == 0 && replace)
		r = renameat(d->fd, temp, d->fd, name) < 0 ? -errno : 0;
	else if (r == 0)
		r = publish(fs, d, fd, temp, name);
	if (fd >= 0 && temp[0] && (r < 0 || !replace))
		(void)unlinkat(d->fd, temp, 0); /* LIST ignores it, should it stay */
	return r;
}

/* What changed in `d` to disk; after it changed, nobody can say that it did not. */
static int settle(struct file_store *fs, struct file_dir *d, const char *path, struct error *err)
{
	int r = file_dir_sync(fs, d);

	if (r == -ECANCELED)
		return error_set(err, r, "%s: cancelled", path);
	if (r < 0)
		return error_set(err, -ETIMEDOUT, "cannot sync the directory of %s/%s: %s",
			fs->root, path, strerror(-r));
	return 0;
}

static bool is_removed(const struct file_dir *d)
{
	struct stat st;

	return fstat(d->fd, &st) == 0 && st.st_nlink == 0;
}

static int write_once(struct file_store *fs, const char *path, const struct slice *parts,
	size_t nparts, bool replace, struct error *err)
{
	char dir_path[FILE_PATH_MAX];
	const char *name = split(path, dir_path);
	struct file_dir *d;
	int r = file_dir_get(fs, dir_path, true, &d, err);

	if (r < 0)
		return r;
	r = write_new(fs, d, name, parts, nparts, replace);
	if (r < 0 && is_removed(d))
		r = -ENOENT; /* whatever the filesystem called it: ext4 says EPERM */
	if (r == -ENOENT)
		file_dir_forget(fs, d);
	if (r == 0 || r == -EEXIST) {
		int s = settle(fs, d, path, err);

		if (s < 0)
			r = s;
		else if (r < 0)
			r = error_set(err, r, "%s/%s exists", fs->root, path);
	} else {
		r = file_error(fs, err, -r, replace ? "cannot write" : "cannot create", path);
	}
	file_dir_put(fs, d);
	return r;
}

static int write_object(struct file_store *fs, const char *key, const struct slice *parts,
	size_t nparts, bool replace, struct error *err)
{
	char path[FILE_PATH_MAX];
	struct error local = {0};
	int r = file_path_of(key, path, err);

	if (r < 0)
		return r;
	if (atomic_load(&fs->cancelled))
		return error_set(err, -ECANCELED, "%s: cancelled", key);
	/* -ENOENT: a directory was removed after we had opened it. Once more, from the root. */
	for (int attempt = 0; attempt < 2; attempt++) {
		r = write_once(fs, path, parts, nparts, replace, &local);
		if (r != -ENOENT)
			break;
		file_dirs_drop(fs);
	}
	if (r == 0)
		return 0;
	return error_set(err, r == -ENOENT ? -EACCES : r, "%s", error_text(&local, r));
}

static int file_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	return write_object(file_of(s), key, parts, nparts, false, err);
}

static int file_put(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	return write_object(file_of(s), key, parts, nparts, true, err);
}

static bool is_replaced(const char *key)
{
	size_t n = strlen(key), m = sizeof(HEARTBEAT_SUFFIX) - 1;

	return n >= m && strcmp(key + n - m, HEARTBEAT_SUFFIX) == 0;
}

static int read_range(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pread(fd, buf, len, (off_t)offset);

		if (n == 0)
			return -EIO; /* shorter than its size */
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
			offset += (uint64_t)n;
		}
	}
	return 0;
}

static int file_get(struct store *s, const char *key, uint64_t offset, bool from_end, void *buf,
	size_t len, size_t *ret_len, uint64_t *ret_size, struct error *err)
{
	struct file_store *fs = file_of(s);
	char path[FILE_PATH_MAX];
	struct file_fd *f;
	uint64_t size;
	size_t due;
	int r = file_path_of(key, path, err);

	if (r < 0)
		return r;
	if (atomic_load(&fs->cancelled))
		return error_set(err, -ECANCELED, "%s: cancelled", key);
	r = file_fd_get(fs, path, !is_replaced(key), &f, &size, err);
	if (r < 0)
		return r;
	offset = store_read_range(size, offset, from_end, len, &due);
	r = read_range(f->fd, buf, due, offset);
	file_fd_put(fs, f);
	if (r < 0)
		return error_set(err, -EIO, "cannot read %s/%s: %s", fs->root, path, strerror(-r));
	*ret_len = due;
	*ret_size = size;
	return 0;
}

/* Syncs the directory also when there is nothing: an earlier attempt may have removed it and failed
 * to sync. */
static int file_del(struct store *s, const char *key, struct error *err)
{
	struct file_store *fs = file_of(s);
	char path[FILE_PATH_MAX], dir_path[FILE_PATH_MAX];
	struct file_dir *d;
	struct error local = {0};
	int r = file_path_of(key, path, err);

	if (r < 0)
		return r;
	if (atomic_load(&fs->cancelled))
		return error_set(err, -ECANCELED, "%s: cancelled", key);
	(void)split(path, dir_path);
	r = file_dir_get(fs, dir_path, false, &d, &local);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(err, r, "%s", error_text(&local, r));
	if (unlinkat(fs->root_fd, path, 0) < 0 && errno != ENOENT && errno != ENOTDIR &&
		errno != EISDIR)
		r = file_error(fs, err, errno, "cannot delete", path);
	else
		r = settle(fs, d, path, err);
	file_fd_forget(fs, path);
	file_dir_put(fs, d);
	return r;
}

static void file_cancel(struct store *s)
{
	struct file_store *fs = file_of(s);

	atomic_store(&fs->cancelled, true);
	file_dirs_wake(fs);
}

static void file_close(struct store *s)
{
	struct file_store *fs = file_of(s);

	file_fds_drop(fs);
	file_dirs_drop(fs);
	assert(!fs->fds && !fs->dirs);
	if (fs->root_fd >= 0)
		(void)close(fs->root_fd); /* a directory */
	mutex_done(&fs->fds_lock);
	mutex_done(&fs->dirs_lock);
	free(fs->root);
	free(fs);
}

static const struct store_ops file_ops = {
	.name = "file",
	.create = file_create,
	.put = file_put,
	.get = file_get,
	.del = file_del,
	.list = file_list,
	.close = file_close,
	.cancel = file_cancel,
};

/* Opens the directory `name` in `at`; makes it, durably, when it is missing. A descriptor or a
 * negative errno. */
static int open_or_make(struct file_store *fs, int at, const char *name)
{
	int fd = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	if (mkdirat(at, name, 0777) < 0 && errno != EEXIST)
		return -errno;
	CLEANUP(close_fd_p) int above = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (above < 0)
		return -errno;
	int r = fs->sync.directory(fs->sync.arg, above);

	if (r < 0)
		return r;
	fd = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Makes the root and what is missing above it. */
static int make_root(struct file_store *fs)
{
	CLEANUP(free_p) char *path = strdup(fs->root);
	char *save = NULL;

	if (!path)
		return -ENOMEM;
	CLEANUP(close_fd_p)
	int at = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		return -errno;
	for (char *name = strtok_r(path, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		int fd = open_or_make(fs, at, name);

		if (fd < 0)
			return fd;
		(void)close(at); /* a directory */
		at = fd;
	}
	return 0;
}

static int open_root(struct file_store *fs, bool create, struct error *err)
{
	fs->root_fd = file_openat(fs, AT_FDCWD, fs->root, O_RDONLY | O_DIRECTORY);
	if (fs->root_fd == -ENOENT && create) {
		int r = make_root(fs);

		if (r < 0)
			return file_error(fs, err, -r, "cannot make the directory", "");
		fs->root_fd = file_openat(fs, AT_FDCWD, fs->root, O_RDONLY | O_DIRECTORY);
	}
	if (fs->root_fd < 0)
		return file_error(fs, err, -fs->root_fd, "cannot open the directory", "");
	return 0;
}

int file_store_open(
	const char *path, const struct file_options *o, struct store **ret, struct error *err)
{
	struct file_store *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return error_set(err, -ENOMEM, "no memory for a store");
	fs->store.ops = &file_ops;
	fs->root_fd = -1;
	fs->sync = o->sync ? *o->sync
			   : (struct file_sync){.data = sync_data, .directory = sync_directory};
	atomic_init(&fs->named_temp, o->named_temp);
	mutex_init(&fs->dirs_lock, RANK_STORE_LAYER_NESTS);
	mutex_init(&fs->fds_lock, RANK_STORE_LAYER_NESTS);
	fs->root = strdup(path);
	int r = fs->root ? open_root(fs, o->create_root, err)
			 : error_set(err, -ENOMEM, "no memory for a store");

	if (r < 0) {
		file_close(&fs->store);
		return r;
	}
	*ret = &fs->store;
	return 0;
}
