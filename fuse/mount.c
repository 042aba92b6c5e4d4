/* SPDX-License-Identifier: GPL-3.0-or-later */
#define FUSE_USE_VERSION 314
#include "fuse/mount.h"

#include "core/base/cleanup.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DEVICE "/dev/fuse"

struct mount {
	struct fuse_session *session;
	int fd; /* -1 = none */
	_Atomic bool mounted;
};

int mount_point_error(const char *path, int e, struct error *err)
{
	if (e == ENOTCONN)
		return error_set(err, -e,
			"cannot mount on %s: the process of an earlier mount has died; remove it with zerofs umount %s",
			path, path);
	return error_set(err, -e, "cannot use %s as mount point: %s", path, strerror(e));
}

static int check_mountpoint(const char *path, struct error *err)
{
	struct statvfs fs;
	struct stat st;

	/* stat(2) may be answered from what the kernel remembers of a mount that is dead. */
	if (stat(path, &st) < 0 || statvfs(path, &fs) < 0)
		return mount_point_error(path, errno, err);
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

/* What the kernel offers, which libfuse and fusermount3 would tell in several lines. */
static int check_device(struct error *err)
{
	CLEANUP(close_fd_p) int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return 0;
	int e = errno;

	if (e == ENOENT || e == ENODEV || e == ENXIO)
		return error_set(err, -ENODEV,
			"cannot mount: this system has no " DEVICE
			" (%s); load the module with modprobe fuse",
			strerror(e));
	return error_set(err, -e, "cannot mount: " DEVICE " cannot be opened: %s", strerror(e));
}

/* Why it failed, in the words of libfuse or fusermount3: the first line that they wrote. */
static void first_line(int fd, char *out, size_t size)
{
	ssize_t n = fd < 0 ? 0 : pread(fd, out, size - 1, 0);

	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
}

static int session_mount(struct mount *m, struct fuse_args *args, const struct options *o)
{
	static const struct fuse_lowlevel_ops none; /* libfuse never reads a request */

	m->session = fuse_session_new(args, &none, sizeof none, NULL);
	if (!m->session)
		return -EINVAL;
	if (fuse_session_mount(m->session, o->mountpoint) < 0)
		return -EPERM;
	atomic_store(&m->mounted, true);
	m->fd = fcntl(fuse_session_fd(m->session), F_DUPFD_CLOEXEC, 3);
	return m->fd < 0 ? -errno : 0;
}

/* What libfuse and fusermount3 have to say goes into one line of ours. */
static int mount_quietly(
	struct mount *m, struct fuse_args *args, const struct options *o, struct error *err)
{
	CLEANUP(close_fd_p) int said = memfd_create("messages", MFD_CLOEXEC);
	CLEANUP(close_fd_p) int was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	char why[256];

	if (said < 0 || was < 0)
		return error_set(
			err, -errno, "cannot mount on %s: %s", o->mountpoint, strerror(errno));
	(void)fflush(stderr);
	(void)dup2(said, STDERR_FILENO); /* both are open: cannot fail */
	int r = session_mount(m, args, o);

	(void)fflush(stderr);
	(void)dup2(was, STDERR_FILENO);
	first_line(said, why, sizeof why);
	if (r < 0)
		return error_set(
			err, r, "cannot mount on %s: %s", o->mountpoint, *why ? why : strerror(-r));
	if (*why)
		(void)fprintf(stderr, "zerofs-mount: %s\n", why);
	return 0;
}

int mount_open(const struct options *o, const char *url, struct mount **ret, struct error *err)
{
	char options[3072];
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct mount *m = NULL;
	int r = check_mountpoint(o->mountpoint, err);

	if (r == 0)
		r = check_device(err);
	if (r == 0)
		r = build_options(o, url, options, sizeof options, err);
	if (r < 0)
		return r;
	if (fuse_opt_add_arg(&args, "zerofs-mount") < 0 || fuse_opt_add_arg(&args, "-o") < 0 ||
		fuse_opt_add_arg(&args, options) < 0 || !(m = calloc(1, sizeof *m)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		m->fd = -1;
		r = mount_quietly(m, &args, o, err);
	}
	fuse_opt_free_args(&args);
	if (r < 0) {
		mount_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int mount_fd(const struct mount *m)
{
	return m->fd;
}

void mount_detach(struct mount *m)
{
	if (atomic_exchange(&m->mounted, false))
		fuse_session_unmount(m->session); /* closes its own descriptor */
}

void mount_close(struct mount *m)
{
	if (m->fd >= 0)
		(void)close(m->fd); /* a device */
	m->fd = -1;
}

void mount_free(struct mount *m)
{
	if (!m)
		return;
	if (m->session) {
		mount_detach(m);
		fuse_session_destroy(m->session);
	}
	mount_close(m);
	free(m);
}
