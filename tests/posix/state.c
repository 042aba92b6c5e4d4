/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What can be seen of a world: the whole tree and the open files, as lines of text that are the
 * same in two worlds that are in the same state. Inode numbers become the order of first sight,
 * times become "moved since the last look" unless they were set to something far from now.
 */
#include "tests/posix/conform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES_MAX 4096
#define WHOLE (256u << 10) /* bytes that are compared at each end of a file */
#define FAR 100000	   /* seconds from now: a time that somebody set */

struct seen {
	char *path;
	struct statx x;
	char *line;
};

struct state {
	struct seen *entries;
	size_t count;
	struct text incoherent;
};

void state_free(struct state *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++) {
		free(s->entries[i].path);
		free(s->entries[i].line);
	}
	free(s->entries);
	text_done(&s->incoherent);
	free(s);
}

static struct seen *add_seen(struct state *s, const char *path)
{
	if (s->count == ENTRIES_MAX)
		die("too many entries in one case");
	if ((s->count & (s->count - 1)) == 0)
		s->entries = must(
			realloc(s->entries, (s->count ? s->count * 2 : 1) * sizeof *s->entries));

	struct seen *e = &s->entries[s->count++];

	*e = (struct seen){.path = must(strdup(path))};
	return e;
}

static bool same_time(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The answer from the kernel's memory must be what the file system itself says. */
static void look(struct state *s, struct seen *e, int dir, const char *name)
{
	struct statx f;
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);

	if (statx(dir, name, flags, STATX_BASIC_STATS, &e->x) < 0 ||
		statx(dir, name, flags | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &f) < 0) {
		text_add(&s->incoherent, "%s cannot be looked at: %s\n", e->path, strerror(errno));
		memset(&e->x, 0, sizeof e->x);
		return;
	}
	if (f.stx_mode != e->x.stx_mode || f.stx_uid != e->x.stx_uid || f.stx_gid != e->x.stx_gid ||
		f.stx_nlink != e->x.stx_nlink || f.stx_size != e->x.stx_size ||
		f.stx_ino != e->x.stx_ino || !same_time(&f.stx_mtime, &e->x.stx_mtime) ||
		!same_time(&f.stx_ctime, &e->x.stx_ctime))
		text_add(&s->incoherent,
			"%s: the kernel remembers mode %o owner %u:%u links %u size %llu ctime "
			"%lld.%09u, the file system says mode %o owner %u:%u links %u size %llu "
			"ctime %lld.%09u\n",
			e->path, e->x.stx_mode, e->x.stx_uid, e->x.stx_gid, e->x.stx_nlink,
			(unsigned long long)e->x.stx_size, (long long)e->x.stx_ctime.tv_sec,
			e->x.stx_ctime.tv_nsec, f.stx_mode, f.stx_uid, f.stx_gid, f.stx_nlink,
			(unsigned long long)f.stx_size, (long long)f.stx_ctime.tv_sec,
			f.stx_ctime.tv_nsec);
	e->x = f;
}

static void tell_time(struct text *t, char which, const struct statx_timestamp *now,
	const struct statx_timestamp *old)
{
	int64_t distance = (int64_t)time(NULL) - now->tv_sec;

	if (distance > FAR || distance < -FAR)
		text_add(t, " %c=%lld.%09u", which, (long long)now->tv_sec, now->tv_nsec);
	else if (!old)
		text_add(t, " %c=new", which);
	else
		text_add(t, " %c=%s", which, same_time(now, old) ? "same" : "moved");
}

static uint64_t hash_of(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static void tell_bytes(struct text *t, int fd, uint64_t size)
{
	static uint8_t buffer[WHOLE];
	uint64_t h = 0xcbf29ce484222325u;
	ssize_t head = pread(fd, buffer, WHOLE, 0);

	if (head < 0) {
		text_add(t, " unreadable(%s)", errno_name(errno));
		return;
	}
	h = hash_of(h, buffer, (size_t)head);
	if (head < 24)
		text_add_bytes(t, buffer, (size_t)head);
	if (size > WHOLE) {
		ssize_t tail = pread(fd, buffer, WHOLE, (off_t)(size - WHOLE));

		h = hash_of(h, buffer, tail > 0 ? (size_t)tail : 0);
	}
	text_add(t, " bytes %zd hash %016llx", head, (unsigned long long)h);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In one order, as no order is promised. What a security module adds by itself is not the file
 * system's. */
static void tell_xattrs(struct text *t, int dir, const char *name)
{
	char path[4200], list[4096], value[4096], *names[256];
	size_t count = 0;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);
	n = llistxattr(path, list, sizeof list);
	for (char *p = list; n > 0 && p < list + n && count < 256; p += strlen(p) + 1)
		if (strcmp(p, "security.selinux") != 0)
			names[count++] = p;
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++) {
		ssize_t len = lgetxattr(path, names[i], value, sizeof value);

		text_add(t, " %s=", names[i]);
		text_add_bytes(t, value, len > 0 ? (size_t)len : 0);
	}
}

static void tell_kind(struct text *t, const struct statx *x, int dir, const char *name)
{
	char target[4097];

	if (S_ISREG(x->stx_mode)) {
		int fd = openat(
			dir, name, O_RDONLY | O_NOFOLLOW | O_NOATIME | O_NONBLOCK | O_CLOEXEC);

		text_add(t, " size %llu%s ", (unsigned long long)x->stx_size,
			x->stx_blocks ? "" : " noblocks");
		if (fd >= 0) {
			tell_bytes(t, fd, x->stx_size);
			close(fd);
		} else {
			text_add(t, " closed(%s)", errno_name(errno));
		}
	} else if (S_ISLNK(x->stx_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof target);

		text_add(t, " size %llu -> ", (unsigned long long)x->stx_size);
		text_add_bytes(t, target, n > 0 ? (size_t)n : 0);
	} else if (S_ISCHR(x->stx_mode) || S_ISBLK(x->stx_mode)) {
		text_add(t, " device %u:%u", x->stx_rdev_major, x->stx_rdev_minor);
	}
}

static const struct seen *find_inode(const struct state *s, uint64_t ino, size_t before)
{
	for (size_t i = 0; s && i < s->count && i < before; i++)
		if (s->entries[i].x.stx_ino == ino)
			return &s->entries[i];
	return NULL;
}

static const char kinds[16] = "?pc?d?b?-?l?s???";

static void tell(struct state *s, const struct state *old, size_t at, int dir, const char *name,
	bool with_atime)
{
	struct seen *e = &s->entries[at];
	const struct statx *x = &e->x;
	const struct seen *was = find_inode(old, x->stx_ino, SIZE_MAX);
	const struct seen *first = find_inode(s, x->stx_ino, at);
	struct text t = {0};

	text_add(&t, "%s %c%04o %u:%u links %u", e->path, kinds[x->stx_mode >> 12],
		x->stx_mode & 07777, x->stx_uid, x->stx_gid, x->stx_nlink);
	if (first)
		text_add(&t, " is %s", first->path);
	if (with_atime && !S_ISLNK(x->stx_mode))
		tell_time(&t, 'a', &x->stx_atime, was ? &was->x.stx_atime : NULL);
	tell_time(&t, 'm', &x->stx_mtime, was ? &was->x.stx_mtime : NULL);
	tell_time(&t, 'c', &x->stx_ctime, was ? &was->x.stx_ctime : NULL);
	if (!first && name) {
		tell_kind(&t, x, dir, name);
		tell_xattrs(&t, dir, name);
	} else if (!name && S_ISREG(x->stx_mode)) {
		text_add(&t, " size %llu%s", (unsigned long long)x->stx_size,
			x->stx_blocks ? "" : " noblocks");
	}
	e->line = t.data;
}

static void walk(
	struct state *s, const struct state *old, int dir, const char *prefix, bool with_atime)
{
	DIR *d = fdopendir(
		openat(dir, ".", O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC | O_NOFOLLOW));
	char *names[ENTRIES_MAX], path[8192];
	size_t count = 0;
	struct dirent *e;

	if (!d) {
		text_add(&s->incoherent, "%s cannot be listed: %s\n", prefix, strerror(errno));
		return;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && count < ENTRIES_MAX)
			names[count++] = must(strdup(e->d_name));
	closedir(d);
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++) {
		size_t at = s->count;

		snprintf(path, sizeof path, "%s%s", prefix, names[i]);
		look(s, add_seen(s, path), dir, names[i]);
		tell(s, old, at, dir, names[i], with_atime);
		if (S_ISDIR(s->entries[at].x.stx_mode)) {
			int below = openat(dir, names[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);

			snprintf(path, sizeof path, "%s%s/", prefix, names[i]);
			if (below >= 0) {
				walk(s, old, below, path, with_atime);
				close(below);
			}
		}
		free(names[i]);
	}
}

static void tell_open(struct state *s, const struct state *old, int slot, int fd, bool with_atime)
{
	char path[32];
	size_t at = s->count;
	int flags = fcntl(fd, F_GETFL);

	snprintf(path, sizeof path, "open file %d", slot);
	look(s, add_seen(s, path), fd, "");
	tell(s, old, at, fd, NULL, with_atime);

	struct text t = {0};
	bool has_offset = S_ISREG(s->entries[at].x.stx_mode) && !(flags & O_PATH);

	text_add(&t, "%s flags %o at %lld", s->entries[at].line, (unsigned)flags,
		has_offset ? (long long)lseek(fd, 0, SEEK_CUR) : -1);
	free(s->entries[at].line);
	s->entries[at].line = t.data;
}

void state_take(struct world *w, bool with_atime)
{
	struct state *s = must(calloc(1, sizeof *s));

	look(s, add_seen(s, "."), w->root, "");
	tell(s, w->now, 0, w->root, NULL, with_atime);
	walk(s, w->now, w->root, "", with_atime);
	for (int i = 0; i < SLOTS; i++)
		if (w->fd[i] >= 0)
			tell_open(s, w->now, i, w->fd[i], with_atime);
	state_free(w->before);
	w->before = w->now;
	w->now = s;
}

bool state_differs(const struct world *a, const struct world *b, struct text *out)
{
	size_t i = 0, n = a->now->count, m = b->now->count;
	bool differs = false;

	for (; i < n || i < m; i++) {
		const char *x = i < n ? a->now->entries[i].line : "(nothing)",
			   *y = i < m ? b->now->entries[i].line : "(nothing)";

		if (strcmp(x, y) == 0)
			continue;
		differs = true;
		text_add(out, "    %s: %s\n    %s: %s\n", a->label, x, b->label, y);
	}
	return differs;
}

bool state_incoherent(const struct world *w, struct text *out)
{
	if (w->now->incoherent.len == 0)
		return false;
	text_add(out, "    %s: %s", w->label, text_of(&w->now->incoherent));
	return true;
}
