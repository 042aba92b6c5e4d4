/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/state.h"

#include "core/base/cleanup.h"
#include "core/seal/fields.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".json"
#define FILE_MAX_BYTES 65536 /* of a state file; an address is much shorter */

/* Makes `dir` and its parents. */
static int make_directories(const char *dir, struct error *err)
{
	CLEANUP(free_p) char *path = strdup(dir);

	if (!path)
		return error_set(err, -ENOMEM, "out of memory");
	for (char *p = path + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char was = *p;

		*p = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return error_set(err, -errno, "cannot make the directory %s: %s", path,
				strerror(errno));
		*p = was;
		if (!was)
			return 0;
	}
}

int state_open(const char *dir, bool make, struct error *err)
{
	int r = make ? make_directories(dir, err) : 0;

	if (r < 0)
		return r;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_set(err, -errno, "cannot open the state directory %s: %s", dir,
				strerror(errno))
		      : fd;
}

static int file_name(const char *volume_id, const char *suffix, char out[NAME_MAX + 1])
{
	int n = snprintf(out, NAME_MAX + 1, "%s" SUFFIX "%s", volume_id, suffix);

	return n > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* Parses the file `name`. NULL: *ret_error is a negative errno, 0 = it is no JSON object. */
static json_t *read_file(int dir, const char *name, int *ret_error)
{
	CLEANUP(close_fd_p) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[FILE_MAX_BYTES];
	size_t n = 0;

	*ret_error = fd < 0 ? -errno : 0;
	while (fd >= 0 && n < sizeof text) {
		ssize_t got = read(fd, text + n, sizeof text - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			*ret_error = -errno;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (*ret_error == 0 && n == sizeof text)
		*ret_error = -EFBIG;
	json_t *j = NULL;
	int r = *ret_error < 0 ? *ret_error : fields_parse(SLICE(text, n), &j, NULL);

	*ret_error = r == -EBADMSG ? 0 : r;
	return j;
}

int state_load(int fd, const char *volume_id, struct state *ret, struct error *err)
{
	char name[NAME_MAX + 1];
	int r = file_name(volume_id, "", name);

	*ret = (struct state){0};
	if (r < 0)
		return error_set(err, r, "%s: %s", volume_id, strerror(-r));
	json_t *j = read_file(fd, name, &r);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(
			err, r, "cannot read %s of the state directory: %s", name, strerror(-r));
	if (!json_is_integer(json_object_get(j, "manifest")) ||
		!json_is_integer(json_object_get(j, "group"))) {
		json_decref(j);
		return error_set(err, -EBADMSG,
			"%s of the state directory is damaged; remove it to go on without the check against a rolled-back store",
			name);
	}
	ret->manifest = (uint64_t)json_integer_value(json_object_get(j, "manifest"));
	ret->group = (uint64_t)json_integer_value(json_object_get(j, "group"));
	json_decref(j);
	return 0;
}

static int write_file(int dir, const char *name, const char *text, struct error *err)
{
	CLEANUP(close_fd_p)
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t n = strlen(text), done = 0;

	while (fd >= 0 && done < n) {
		ssize_t put = write(fd, text + done, n - done);

		if (put < 0 && errno != EINTR)
			break;
		done += put > 0 ? (size_t)put : 0;
	}
	if (fd < 0 || done < n || fsync(fd) < 0)
		return error_set(err, -errno, "cannot write %s of the state directory: %s", name,
			strerror(errno));
	return 0;
}

int state_save(
	int fd, const char *volume_id, const char *url, const struct state *s, struct error *err)
{
	char name[NAME_MAX + 1], temporary[NAME_MAX + 1];
	int r = file_name(volume_id, "", name);

	if (r == 0)
		r = file_name(volume_id, ".new", temporary);
	if (r < 0)
		return error_set(err, r, "%s: %s", volume_id, strerror(-r));
	json_t *j = json_pack("{s:I, s:I, s:s}", "manifest", (json_int_t)s->manifest, "group",
		(json_int_t)s->group, "url", url);
	CLEANUP(free_p) char *text = j ? json_dumps(j, 0) : NULL;

	json_decref(j);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	r = write_file(fd, temporary, text, err);
	if (r == 0 && renameat(fd, temporary, fd, name) < 0)
		r = error_set(err, -errno, "cannot replace %s of the state directory: %s", name,
			strerror(errno));
	return r;
}

static bool is_about(int dir, const char *name, const char *url)
{
	int error;
	json_t *j = read_file(dir, name, &error);
	const char *seen = json_string_value(json_object_get(j, "url"));
	bool same = seen && strcmp(seen, url) == 0;

	json_decref(j);
	return same;
}

bool state_seen(int fd, const char *url, char ret_volume_id[STATE_ID_MAX])
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	bool found = false;
	struct dirent *e;

	if (again >= 0 && !d)
		(void)close(again); /* a directory */
	while (d && !found && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), m = sizeof SUFFIX - 1;

		if (n <= m || n - m >= STATE_ID_MAX || strcmp(e->d_name + n - m, SUFFIX) != 0 ||
			!is_about(fd, e->d_name, url))
			continue;
		memcpy(ret_volume_id, e->d_name, n - m);
		ret_volume_id[n - m] = 0;
		found = true;
	}
	if (d)
		(void)closedir(d); /* read only */
	return found;
}
