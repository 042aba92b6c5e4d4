/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/state.h"

#include "core/base/cleanup.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int state_path(const char *dir, const char *volume_id, const char *suffix, char out[512],
	struct error *err)
{
	if (snprintf(out, 512, "%s/%s.json%s", dir, volume_id, suffix) >= 512)
		return error_set(
			err, -ENAMETOOLONG, "the state directory %s has too long a name", dir);
	return 0;
}

int state_load(const char *dir, const char *volume_id, struct state *ret, struct error *err)
{
	char path[512];
	json_error_t je;
	int r = state_path(dir, volume_id, "", path, err);

	if (r < 0)
		return r;
	FILE *f = fopen(path, "re");

	*ret = (struct state){0};
	if (!f)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : error_set(
					 err, -errno, "cannot read %s: %s", path, strerror(errno));
	json_t *j = json_loadf(f, 0, &je);

	(void)fclose(f); /* read only */
	if (!json_is_integer(json_object_get(j, "manifest")) ||
		!json_is_integer(json_object_get(j, "group"))) {
		json_decref(j);
		return error_set(err, -EBADMSG,
			"%s is damaged; remove it to go on without the check against a rolled-back store",
			path);
	}
	ret->manifest = (uint64_t)json_integer_value(json_object_get(j, "manifest"));
	ret->group = (uint64_t)json_integer_value(json_object_get(j, "group"));
	json_decref(j);
	return 0;
}

/* Makes `dir` and its parents. */
static int make_directories(const char *dir, struct error *err)
{
	char path[512];

	if (strlen(dir) >= sizeof path)
		return error_set(
			err, -ENAMETOOLONG, "the state directory %s has too long a name", dir);
	strcpy(path, dir);
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

static int write_file(const char *path, const char *text, struct error *err)
{
	CLEANUP(close_fd_p)
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t n = strlen(text);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd) < 0)
		return error_set(
			err, errno ? -errno : -EIO, "cannot write %s: %s", path, strerror(errno));
	return 0;
}

int state_save(const char *dir, const char *volume_id, const struct state *s, struct error *err)
{
	char path[512], temporary[512], text[128];
	int r = state_path(dir, volume_id, "", path, err);

	if (r == 0)
		r = state_path(dir, volume_id, ".new", temporary, err);
	if (r == 0)
		r = make_directories(dir, err);
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof text, "{\"manifest\": %llu, \"group\": %llu}\n",
		(unsigned long long)s->manifest, (unsigned long long)s->group);
	r = write_file(temporary, text, err);
	if (r == 0 && rename(temporary, path) < 0)
		r = error_set(err, -errno, "cannot replace %s: %s", path, strerror(errno));
	return r;
}
