/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names, errors and descriptors of the file backend. */
#include "core/store/file_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define LOG_PREFIX "log/"
#define LOG_PREFIX_LEN (sizeof(LOG_PREFIX) - 1)

bool file_is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

bool file_in_log_epoch(const char *s)
{
	return strncmp(s, LOG_PREFIX, LOG_PREFIX_LEN) == 0 &&
	       file_is_hex(s + LOG_PREFIX_LEN, FILE_LOG_EPOCH) && s[FILE_LOG_EPOCH_KEY - 1] == '/';
}

int file_path_of(const char *key, char path[static FILE_PATH_MAX], struct error *err)
{
	const char *sequence = key + FILE_LOG_EPOCH_KEY;

	if (!file_in_log_epoch(key)) {
		memcpy(path, key, strlen(key) + 1);
		return 0;
	}
	if (!file_is_hex(sequence, FILE_LOG_EPOCH) || sequence[FILE_LOG_EPOCH] != '\0')
		return error_set(err, -EINVAL, "%s is not a place in a log", key);
	(void)snprintf(path, FILE_PATH_MAX, "%.*s%.*s/%s", (int)FILE_LOG_EPOCH_KEY, key,
		FILE_LOG_GROUP, sequence, sequence); /* fits: see FILE_PATH_MAX */
	return 0;
}

static int map_errno(int e)
{
	if (e == EROFS || e == EACCES || e == EPERM)
		return -EACCES;
	if (e == ENOSPC || e == EDQUOT || e == EFBIG) /* EFBIG: RLIMIT_FSIZE */
		return -ENOSPC;
	if (e == ENOENT || e == ENOTDIR || e == ELOOP || e == ENXIO)
		return -ENOENT; /* nothing, or something that is no object */
	if (e == ENOMEM)
		return -ENOMEM;
	return -EIO;
}

int file_error(
	const struct file_store *fs, struct error *err, int e, const char *what, const char *path)
{
	int r = map_errno(e);

	if (r == -ENOENT && file_root_removed(fs))
		return error_set(err, -EACCES, "the directory %s was removed", fs->root);
	return error_set(
		err, r, "%s %s%s%s: %s", what, fs->root, path[0] ? "/" : "", path, strerror(e));
}

bool file_root_removed(const struct file_store *fs)
{
	struct stat st;

	return fs->root_fd >= 0 && fstat(fs->root_fd, &st) == 0 && st.st_nlink == 0;
}

int file_openat(struct file_store *fs, int at, const char *path, int flags)
{
	for (bool dropped = false;;) {
		int fd = openat(at, path, flags | O_CLOEXEC, 0666);

		if (fd >= 0)
			return fd;
		if ((errno == EMFILE || errno == ENFILE) && !dropped) {
			file_fds_drop(fs);
			file_dirs_drop(fs);
			dropped = true;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}
