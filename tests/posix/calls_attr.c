/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls that change or tell attributes. */
#include "tests/posix/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/fs.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6 */
#endif

static void call_chmod(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, syscall(SYS_fchmodat, p.dir, p.path, (mode_t)arg_number(c, 2)));
}

static void call_lchmod(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, syscall(SYS_fchmodat2, p.dir, p.path, (mode_t)arg_number(c, 2),
		       AT_SYMLINK_NOFOLLOW));
}

static void call_fchmod(struct call *c)
{
	put(c, fchmod(arg_fd(c, 1), (mode_t)arg_number(c, 2)));
}

static void call_chown(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, fchownat(p.dir, p.path, (uid_t)arg_number(c, 2), (gid_t)arg_number(c, 3),
		       (int)arg_number_or(c, 4, 0)));
}

static void call_lchown(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, fchownat(p.dir, p.path, (uid_t)arg_number(c, 2), (gid_t)arg_number(c, 3),
		       AT_SYMLINK_NOFOLLOW));
}

static void call_fchown(struct call *c)
{
	put(c, fchown(arg_fd(c, 1), (uid_t)arg_number(c, 2), (gid_t)arg_number(c, 3)));
}

static void call_truncate(struct call *c)
{
	put(c, truncate(arg_place(c, 1).path, (off_t)arg_number(c, 2)));
}

static void call_ftruncate(struct call *c)
{
	put(c, ftruncate(arg_fd(c, 1), (off_t)arg_number(c, 2)));
}

/* SECONDS[.NANOSECONDS], NOW or OMIT. */
static struct timespec arg_time(struct call *c, int i)
{
	const char *word = arg_word(c, i);
	char *end;

	if (strcmp(word, "NOW") == 0)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (strcmp(word, "OMIT") == 0)
		return (struct timespec){.tv_nsec = UTIME_OMIT};

	struct timespec t = {.tv_sec = strtoll(word, &end, 10)};

	if (*end == '.')
		t.tv_nsec = strtol(end + 1, NULL, 10);
	return t;
}

static void call_utimens(struct call *c)
{
	struct place p = arg_place(c, 1);
	struct timespec t[2] = {arg_time(c, 2), arg_time(c, 3)};

	put(c, utimensat(p.dir, p.path, t, (int)arg_number_or(c, 4, 0)));
}

static void call_futimens(struct call *c)
{
	struct timespec t[2] = {arg_time(c, 2), arg_time(c, 3)};

	put(c, futimens(arg_fd(c, 1), t));
}

/* Both times become now, as utime(path, NULL) does. */
static void call_touch(struct call *c)
{
	struct place p = arg_place(c, 1);

	put(c, utimensat(p.dir, p.path, NULL, (int)arg_number_or(c, 2, 0)));
}

static void tell_stat(struct call *c, int dir, const char *path, int flags)
{
	struct stat st;
	int r = fstatat(dir, path, &st, flags);

	put(c, r);
	if (r == 0)
		text_add(&c->r->text, "mode %o owner %u:%u links %lu", st.st_mode, st.st_uid,
			st.st_gid, (unsigned long)st.st_nlink);
}

static void call_stat(struct call *c)
{
	struct place p = arg_place(c, 1);

	tell_stat(c, p.dir, p.path, (int)arg_number_or(c, 2, 0));
}

static void call_lstat(struct call *c)
{
	struct place p = arg_place(c, 1);

	tell_stat(c, p.dir, p.path, AT_SYMLINK_NOFOLLOW);
}

static void call_fstat(struct call *c)
{
	tell_stat(c, arg_fd(c, 1), "", AT_EMPTY_PATH);
}

/* Whether a file's birth is told, and stays. */
static void call_birth(struct call *c)
{
	struct place p = arg_place(c, 1);
	struct statx x;
	int r = statx(p.dir, p.path, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &x);

	put(c, r);
	if (r == 0)
		text_add(&c->r->text, "%s", x.stx_mask & STATX_BTIME ? "told" : "not told");
}

/* What must be true of the numbers of any file system. */
static void call_statfs(struct call *c)
{
	struct place p = arg_place(c, 1);
	struct statvfs s;
	int r = statvfs(p.path, &s);

	put(c, r);
	if (r == 0)
		text_add(&c->r->text, "names %lu %s %s %s %s %s", s.f_namemax,
			s.f_frsize >= 512 && s.f_bsize >= 512 ? "blocks" : "NO BLOCK SIZE",
			s.f_blocks > 0 ? "space" : "NO SPACE",
			s.f_bfree <= s.f_blocks ? "free" : "TOO MUCH FREE",
			s.f_bavail <= s.f_bfree ? "available" : "TOO MUCH AVAILABLE",
			s.f_ffree <= s.f_files ? "inodes" : "TOO MANY FREE INODES");
}

/* Letters as chattr(1) has them; "-" for none. Other flags stay. */
static void call_setflags(struct call *c)
{
	struct place p = arg_place(c, 1);
	const char *letters = arg_word(c, 2);
	int flags = 0, fd = openat(p.dir, p.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		(void)ioctl(fd, FS_IOC_GETFLAGS, &flags); /* what fails here fails below */
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
	for (; *letters; letters++)
		flags |= *letters == 'i'   ? FS_IMMUTABLE_FL
			 : *letters == 'a' ? FS_APPEND_FL
			 : *letters == 'd' ? FS_NODUMP_FL
			 : *letters == 'A' ? FS_NOATIME_FL
					   : 0;
	put(c, fd < 0 ? -1 : ioctl(fd, FS_IOC_SETFLAGS, &flags));
	if (fd >= 0)
		close(fd);
}

static void call_getflags(struct call *c)
{
	struct place p = arg_place(c, 1);
	int flags = 0, fd = openat(p.dir, p.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	put(c, fd < 0 ? -1 : ioctl(fd, FS_IOC_GETFLAGS, &flags));
	text_add(&c->r->text, "%s%s%s%s", flags & FS_IMMUTABLE_FL ? "i" : "",
		flags & FS_APPEND_FL ? "a" : "", flags & FS_NODUMP_FL ? "d" : "",
		flags & FS_NOATIME_FL ? "A" : "");
	if (fd >= 0)
		close(fd);
}

const struct call_entry calls_attr[] = {
	{"chmod", call_chmod},
	{"lchmod", call_lchmod},
	{"fchmod", call_fchmod},
	{"chown", call_chown},
	{"lchown", call_lchown},
	{"fchown", call_fchown},
	{"truncate", call_truncate},
	{"ftruncate", call_ftruncate},
	{"utimens", call_utimens},
	{"futimens", call_futimens},
	{"touch", call_touch},
	{"stat", call_stat},
	{"lstat", call_lstat},
	{"fstat", call_fstat},
	{"birth", call_birth},
	{"statfs", call_statfs},
	{"setflags", call_setflags},
	{"getflags", call_getflags},
	{NULL, NULL},
};
