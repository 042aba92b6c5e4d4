/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls that make, find, move and remove names. */
#include "tests/posix/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void call_mkdir(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, mkdirat(p.dir, p.path, (mode_t)arg_number_or(c, 2, 0755)));
}

static void call_rmdir(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, unlinkat(p.dir, p.path, AT_REMOVEDIR));
}

static void call_unlink(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, unlinkat(p.dir, p.path, (int)arg_number_or(c, 2, 0)));
}

static void call_mknod(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, mknodat(p.dir, p.path, (mode_t)arg_number(c, 2),
		       makedev((unsigned)arg_number_or(c, 3, 0),
			       (unsigned)arg_number_or(c, 4, 0))));
}

static void call_mkfifo(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, mkfifoat(p.dir, p.path, (mode_t)arg_number_or(c, 2, 0644)));
}

static void call_symlink(struct call *c)
{
	struct place p = arg_place(c, 2);

	put(c, symlinkat(arg_place(c, 1).path, p.dir, p.path));
}

static void call_link(struct call *c)
{
	struct place from = arg_place(c, 1), to = arg_place(c, 2);

	put(c, linkat(from.dir, from.path, to.dir, to.path, (int)arg_number_or(c, 3, 0)));
}

/* Gives an open file a name, as is done with O_TMPFILE. */
static void call_linkfd(struct call *c)
{
	struct place to = arg_place(c, 2);
	char path[64];

	snprintf(path, sizeof path, "%d", arg_fd(c, 1));
	put(c, linkat(world_descriptors(), path, to.dir, to.path, AT_SYMLINK_FOLLOW));
}

static void call_rename(struct call *c)
{
	struct place from = arg_place(c, 1), to = arg_place(c, 2);

	put(c, syscall(SYS_renameat2, from.dir, from.path, to.dir, to.path,
		       (unsigned)arg_number_or(c, 3, 0)));
}

static void call_readlink(struct call *c)
{
	struct place p = arg_place(c, 1);
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(p.dir, p.path, target, (size_t)arg_number_or(c, 2, PATH_MAX));

	put(c, n);
	if (n > 0)
		text_add_bytes(&c->r->text, target, (size_t)n);
}

static void call_chdir(struct call *c)
{
	int r = chdir(arg_place(c, 1).path);

	put(c, r);
	if (r == 0) {
		close(c->w->cwd);
		c->w->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
}

static void call_fchdir(struct call *c)
{
	int r = fchdir(arg_fd(c, 1));

	put(c, r);
	if (r == 0) {
		close(c->w->cwd);
		c->w->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
}

static void call_getcwd(struct call *c)
{
	char path[PATH_MAX];

	put(c, syscall(SYS_getcwd, path, sizeof path) < 0 ? -1 : 0);
}

static void call_open(struct call *c)
{
	struct place p = arg_place(c, 2);

	put_fd(c, 1,
		openat(p.dir, p.path, (int)arg_number(c, 3) | O_CLOEXEC,
			(mode_t)arg_number_or(c, 4, 0644)));
}

static void call_close(struct call *c)
{
	close_slot(c, 1);
}

/* Opens the file of one slot again for another, through /proc. */
static void call_reopen(struct call *c)
{
	char path[64];

	int flags = (int)arg_number(c, 3) | O_CLOEXEC;

	if (flags & O_PATH) /* else it is the link in /proc that is opened */
		flags &= ~O_NOFOLLOW;
	snprintf(path, sizeof path, "%d", arg_fd(c, 2));
	put_fd(c, 1, openat(world_descriptors(), path, flags));
}

static void call_dup(struct call *c)
{
	put_fd(c, 1, fcntl(arg_fd(c, 2), F_DUPFD_CLOEXEC, 0));
}

static void call_list(struct call *c)
{
	struct place p = arg_place(c, 1);
	int fd = openat(p.dir, p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	put(c, fd < 0 ? -1 : list_entries(fd, &c->r->text));
	if (fd >= 0)
		close(fd);
}

/* The entries of an open directory, from where it is. */
static void call_getdents(struct call *c)
{
	put(c, list_entries(arg_fd(c, 1), &c->r->text));
}

static void call_seekdir(struct call *c)
{
	put(c, check_cookies(arg_fd(c, 1), &c->r->text));
}

static void call_access(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, syscall(SYS_faccessat2, p.dir, p.path, (int)arg_number(c, 2),
		       (int)arg_number_or(c, 3, 0)));
}

/* make KIND PATH: one of each kind of thing that a name can stand for. */
static void call_make(struct call *c)
{
	struct place p = arg_place(c, 2);
	const char *kind = arg_word(c, 1);
	int fd;

	if (strcmp(kind, "file") == 0 || strcmp(kind, "exe") == 0) {
		fd = openat(p.dir, p.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			*kind == 'e' ? 0755 : 0644);
		put(c, fd < 0 ? -1 : write(fd, "content", 7));
		if (fd >= 0)
			close(fd);
	} else if (strcmp(kind, "dir") == 0) {
		put(c, mkdirat(p.dir, p.path, 0755));
	} else if (strcmp(kind, "full") == 0) {
		put(c, mkdirat(p.dir, p.path, 0755));
		fd = openat(p.dir, p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			put(c, mkdirat(fd, "inside", 0755));
			close(fd);
		}
	} else if (strcmp(kind, "symlink") == 0) {
		put(c, symlinkat("nowhere", p.dir, p.path));
	} else if (strcmp(kind, "loop") == 0) {
		put(c, symlinkat(p.path, p.dir, p.path));
	} else if (strcmp(kind, "fifo") == 0) {
		put(c, mknodat(p.dir, p.path, S_IFIFO | 0644, 0));
	} else if (strcmp(kind, "sock") == 0) {
		put(c, mknodat(p.dir, p.path, S_IFSOCK | 0644, 0));
	} else if (strcmp(kind, "char") == 0) {
		put(c, mknodat(p.dir, p.path, S_IFCHR | 0644, makedev(1, 3)));
	} else if (strcmp(kind, "block") == 0) {
		put(c, mknodat(p.dir, p.path, S_IFBLK | 0644, makedev(99, 77)));
	} else if (strcmp(kind, "none") != 0) {
		die("no kind %s", kind);
	}
}

const struct call_entry calls_names[] = {
	{"mkdir", call_mkdir},
	{"rmdir", call_rmdir},
	{"unlink", call_unlink},
	{"mknod", call_mknod},
	{"mkfifo", call_mkfifo},
	{"symlink", call_symlink},
	{"link", call_link},
	{"linkfd", call_linkfd},
	{"rename", call_rename},
	{"readlink", call_readlink},
	{"chdir", call_chdir},
	{"fchdir", call_fchdir},
	{"getcwd", call_getcwd},
	{"open", call_open},
	{"close", call_close},
	{"reopen", call_reopen},
	{"dup", call_dup},
	{"list", call_list},
	{"getdents", call_getdents},
	{"seekdir", call_seekdir},
	{"access", call_access},
	{"make", call_make},
	{NULL, NULL},
};
