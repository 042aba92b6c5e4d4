/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who makes the calls, and where. */
#include "tests/posix/conform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/securebits.h>

/* Nobody of these need have a name on the machine. */
static const struct user users[] = {
	{"root", 0, 0, 0, {0}}, {"alice", 61001, 61001, 1, {61100}},
	{"bob", 61002, 61002, 1, {61100}}, {"carol", 61003, 61003, 0, {0}},
	{"dave", 61004, 61001, 2, {61002, 61003}},
	{"mighty", 61005, 61005, 0, {0}}, /* keeps root's capabilities */
};

const struct user *user_at(size_t i)
{
	return i < sizeof users / sizeof *users ? &users[i] : NULL;
}

const struct user *user_find(const char *name)
{
	for (size_t i = 0; user_at(i); i++)
		if (strcmp(users[i].name, name) == 0)
			return &users[i];
	die("no user %s", name);
}

static bool mighty(const struct user *u)
{
	return strcmp(u->name, "mighty") == 0;
}

/* The saved id stays root's, so that we can come back; effective capabilities go with the id. The
 * system calls themselves, for this process has one thread. */
void user_become(const struct user *u)
{
	static const struct user *current;

	if (u == current)
		return;
	if (prctl(PR_SET_SECUREBITS, 0) < 0 && current && current->uid == 0)
		die("securebits: %s", strerror(errno));
	if (syscall(SYS_setresuid, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECUREBITS, mighty(u) ? SECBIT_NO_SETUID_FIXUP : 0) < 0 ||
		syscall(SYS_setgroups, u->ngroups, u->groups) < 0 ||
		syscall(SYS_setresgid, u->gid, u->gid, 0) < 0 ||
		syscall(SYS_setresuid, u->uid, u->uid, 0) < 0)
		die("cannot become %s: %s", u->name, strerror(errno));
	(void)prctl(PR_SET_DUMPABLE, 1); /* else /proc/self belongs to root */
	current = u;
}

void world_open(struct world *w, const char *label, const char *dir)
{
	*w = (struct world){.label = label, .dir = dir, .cwd = -1, .watch = -1};
	w->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->root < 0)
		die("%s: %s", dir, strerror(errno));
	for (int i = 0; i < SLOTS; i++)
		w->fd[i] = -1;
	world_clear(w);
}

static int outside = -1;

void world_enter(const struct world *w)
{
	if (outside < 0)
		outside = open("/", O_PATH | O_CLOEXEC);
	(void)world_descriptors();
	if (outside < 0 || fchdir(w->root) < 0 || chroot(".") < 0)
		die("chroot: %s", strerror(errno));
}

void world_leave(void)
{
	if (fchdir(outside) < 0 || chroot(".") < 0)
		die("chroot: %s", strerror(errno));
}

int world_descriptors(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die("/proc/self/fd: %s", strerror(errno));
	return fd;
}

static void unprotect(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), none = 0;

	if (fd < 0)
		return;
	(void)ioctl(fd, FS_IOC_SETFLAGS, &none); /* not every file system has flags */
	close(fd);
}

static void remove_below(int dir)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	if (!d)
		die("cannot list: %s", strerror(errno));
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dir, e->d_name, 0) == 0)
			continue;
		if (errno == EPERM)
			unprotect(dir, e->d_name);

		int below = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (below >= 0) {
			remove_below(below);
			close(below);
		}
		if (unlinkat(dir, e->d_name, below >= 0 ? AT_REMOVEDIR : 0) < 0)
			die("cannot remove %s: %s", e->d_name, strerror(errno));
	}
	closedir(d);
}

static void stop_running(struct world *w)
{
	if (w->running) {
		(void)kill(w->running, SIGKILL);
		(void)waitpid(w->running, NULL, 0);
	}
	w->running = 0;
}

void world_clear(struct world *w)
{
	static const struct rlimit no_limit = {RLIM_INFINITY, RLIM_INFINITY};

	user_become(user_at(0));
	umask(022);
	(void)setrlimit(RLIMIT_FSIZE, &no_limit);
	stop_running(w);
	for (int i = 0; i < SLOTS; i++) {
		if (w->fd[i] >= 0)
			close(w->fd[i]);
		w->fd[i] = -1;
	}
	if (w->map)
		munmap(w->map, w->map_len);
	if (w->watch >= 0)
		close(w->watch);
	if (w->cwd >= 0)
		close(w->cwd);
	w->map = NULL;
	w->watch = -1;
	w->cwd = dup(w->root);
	remove_below(w->root);
	/* As new: also what cases did to the directory itself. */
	if (fchown(w->root, 0, 0) < 0 || fchmod(w->root, 0777) < 0)
		die("%s: %s", w->dir, strerror(errno));
	state_free(w->before);
	state_free(w->now);
	w->before = w->now = NULL;
}
