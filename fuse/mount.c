/* SPDX-License-Identifier: GPL-3.0-or-later */
#define FUSE_USE_VERSION 314
#include "fuse/mount.h"

#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct mount {
	struct fuse_session *session;
	bool mounted;
};

static int check_mountpoint(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set(
			err, -errno, "cannot use %s as mount point: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return error_set(
			err, -ENOTDIR, "cannot use %s as mount point: it is not a directory", path);
	return 0;
}

/* Commas and backslashes would end the option. */
static void escape(const char *s, char *out, size_t size)
{
	size_t n = 0;

	for (; *s && n + 3 < size; s++) {
		if (*s == ',' || *s == '\\')
			out[n++] = '\\';
		out[n++] = *s;
	}
	out[n] = 0;
}

static int build_options(
	const struct options *o, const char *url, char *out, size_t size, struct error *err)
{
	char name[1024];
	bool root = geteuid() == 0;
	bool named = strstr(o->mount_options, "fsname=") != NULL;
	bool typed = strstr(o->mount_options, "subtype=") != NULL;

	escape(url, name, sizeof name);
	/* libfuse adds nosuid,nodev; root gets what mount(8) gives root. */
	int n = snprintf(out, size, "default_permissions%s%s%s%s%s%s%s%s",
		root && !strstr(o->mount_options, "nosuid") ? ",suid" : "",
		root && !strstr(o->mount_options, "nodev") ? ",dev" : "",
		root ? ",allow_other" : "", typed ? "" : ",subtype=zerofs",
		named ? "" : ",fsname=", named ? "" : name, *o->mount_options ? "," : "",
		o->mount_options);

	return (size_t)n < size ? 0 : error_set(err, -EINVAL, "the mount options are too long");
}

int mount_open(const struct options *o, const char *url, struct mount **ret, struct error *err)
{
	static const struct fuse_lowlevel_ops none; /* libfuse never reads a request */
	char options[3072];
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct mount *m = NULL;
	int r = check_mountpoint(o->mountpoint, err);

	if (r == 0)
		r = build_options(o, url, options, sizeof options, err);
	if (r < 0)
		return r;
	if (fuse_opt_add_arg(&args, "zerofs-mount") < 0 || fuse_opt_add_arg(&args, "-o") < 0 ||
		fuse_opt_add_arg(&args, options) < 0 || !(m = calloc(1, sizeof *m)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0 && !(m->session = fuse_session_new(&args, &none, sizeof none, NULL)))
		r = error_set(err, -EINVAL, "libfuse refuses the mount options \"%s\"", options);
	if (r == 0 && fuse_session_mount(m->session, o->mountpoint) < 0)
		r = error_set(err, -EPERM,
			"cannot mount on %s (fusermount3 of the package fuse3 is needed, and access to /dev/fuse)",
			o->mountpoint);
	fuse_opt_free_args(&args);
	if (r < 0) {
		mount_free(m);
		return r;
	}
	m->mounted = true;
	*ret = m;
	return 0;
}

int mount_fd(const struct mount *m)
{
	return fuse_session_fd(m->session);
}

void mount_detach(struct mount *m)
{
	if (m->mounted)
		fuse_session_unmount(m->session);
	m->mounted = false;
}

void mount_free(struct mount *m)
{
	if (!m)
		return;
	if (m->session) {
		mount_detach(m);
		fuse_session_destroy(m->session);
	}
	free(m);
}
