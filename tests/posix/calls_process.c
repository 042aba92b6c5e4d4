/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls that need another process, the process itself, and notices. */
#include "tests/posix/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void call_umask(struct call *c)
{
	(void)umask((mode_t)arg_number(c, 1));
}

/* So that coarse clocks of both worlds have gone on. */
static void call_nap(struct call *c)
{
	struct timespec t = {.tv_nsec = (long)arg_number(c, 1) * 1000000};

	(void)nanosleep(&t, NULL);
}

static void call_limit(struct call *c)
{
	struct rlimit l = {.rlim_cur = (rlim_t)arg_number(c, 1), .rlim_max = RLIM_INFINITY};

	if (arg_number(c, 1) == INT64_MAX)
		l.rlim_cur = RLIM_INFINITY;
	(void)signal(SIGXFSZ, SIG_IGN);
	put(c, setrlimit(RLIMIT_FSIZE, &l));
}

struct report {
	int64_t value;
	int error;
	char text[200];
};

void in_child(struct call *c, void (*fn)(struct call *c))
{
	int fds[2], status;
	struct report report = {.value = -1, .error = ENOTRECOVERABLE};

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe: %s", strerror(errno));
	fflush(NULL);

	pid_t child = fork();

	if (child < 0)
		die("fork: %s", strerror(errno));
	if (child == 0) {
		text_clear(&c->r->text);
		fn(c);
		report = (struct report){.value = c->r->value, .error = c->r->error};
		snprintf(report.text, sizeof report.text, "%s", text_of(&c->r->text));
		_exit(write(fds[1], &report, sizeof report) == sizeof report ? 0 : 1);
	}
	close(fds[1]);
	(void)!read(fds[0], &report, sizeof report); /* nothing: the child died, see above */
	close(fds[0]);
	(void)waitpid(child, &status, 0);
	c->r->value = report.value;
	c->r->error = report.error;
	text_add(&c->r->text, "%s", report.text);
}

/* lock SLOT TYPE START LENGTH [ofd] */
static struct flock lock_of(struct call *c)
{
	return (struct flock){
		.l_type = (short)arg_number(c, 2),
		.l_whence = SEEK_SET,
		.l_start = (off_t)arg_number(c, 3),
		.l_len = (off_t)arg_number(c, 4),
	};
}

static void call_lock(struct call *c)
{
	struct flock l = lock_of(c);

	put(c, fcntl(arg_fd(c, 1), c->count > 5 ? F_OFD_SETLK : F_SETLK, &l));
}

static void call_getlock(struct call *c)
{
	struct flock l = lock_of(c);

	put(c, fcntl(arg_fd(c, 1), c->count > 5 ? F_OFD_GETLK : F_GETLK, &l));
	text_add(&c->r->text, "type %d from %lld length %lld", l.l_type,
		l.l_type == F_UNLCK ? 0 : (long long)l.l_start,
		l.l_type == F_UNLCK ? 0 : (long long)l.l_len);
}

static void call_other_lock(struct call *c)
{
	in_child(c, call_lock);
}

static void call_other_getlock(struct call *c)
{
	in_child(c, call_getlock);
}

static void call_flock(struct call *c)
{
	put(c, flock(arg_fd(c, 1), (int)arg_number(c, 2) | LOCK_NB));
}

/* install PROGRAM PATH: a copy that can be run. */
static void call_install(struct call *c)
{
	struct place p = arg_place(c, 2);
	int from = open(arg_word(c, 1), O_RDONLY | O_CLOEXEC);
	int to = openat(p.dir, p.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	char bytes[65536];
	ssize_t n;

	put(c, from < 0 || to < 0 ? -1 : 0);
	while (c->r->value == 0 && (n = read(from, bytes, sizeof bytes)) > 0)
		if (write(to, bytes, (size_t)n) != n)
			put(c, -1);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}

static void exec_child(struct call *c)
{
	char *args[] = {c->words[1], c->count > 2 ? c->words[2] : NULL, NULL};
	char out[128] = "";
	int fds[2];
	int status = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");

	pid_t child = vfork();

	if (child == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		execv(c->words[1], args);
		_exit(200 + (errno == EACCES ? 1 : errno == ETXTBSY ? 2 : errno == ENOENT ? 3 : 4));
	}
	close(fds[1]);

	ssize_t n = read(fds[0], out, sizeof out - 1);

	(void)waitpid(child, &status, 0);
	put(c, status);
	if (n > 0)
		text_add_bytes(&c->r->text, out, (size_t)n);
}

/* Real ids as well: the child gives up what this process keeps to come back. */
static void exec_dropping(struct call *c)
{
	uid_t uid = geteuid();

	if (setresgid(getegid(), getegid(), getegid()) < 0 || setresuid(uid, uid, uid) < 0)
		die("setresuid");
	exec_child(c);
}

static void call_exec(struct call *c)
{
	(void)arg_word(c, 1);
	in_child(c, exec_dropping);
}

/* run PATH ARGUMENT: starts a program and lets it run until `stop`. */
static void call_start(struct call *c)
{
	char *args[] = {c->words[1], c->words[2], NULL};

	(void)arg_word(c, 2);
	c->w->running = vfork();
	if (c->w->running == 0) {
		execv(c->words[1], args);
		_exit(127);
	}
}

static void call_stop(struct call *c)
{
	if (c->w->running) {
		(void)kill(c->w->running, SIGKILL);
		(void)waitpid(c->w->running, NULL, 0);
	}
	c->w->running = 0;
}

#define WATCHED                                                                                    \
	(IN_ATTRIB | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MODIFY | IN_MOVE_SELF |           \
		IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE)

/* Opening and reading are not watched: looking at the state would be seen. */
static void call_watch(struct call *c)
{
	if (c->w->watch < 0)
		c->w->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	put(c, inotify_add_watch(c->w->watch, arg_place(c, 1).path, WATCHED) < 0 ? -1 : 0);
}

static void call_events(struct call *c)
{
	_Alignas(8) char buffer[8192];
	ssize_t n = read(c->w->watch, buffer, sizeof buffer);

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e =
			(const struct inotify_event *)(const void *)(buffer + at);

		text_add(&c->r->text, "%d:%x:%s ", e->wd, e->mask, e->len ? e->name : "");
		at += (ssize_t)(sizeof *e + e->len);
	}
}

const struct call_entry calls_process[] = {
	{"umask", call_umask},
	{"nap", call_nap},
	{"limit", call_limit},
	{"lock", call_lock},
	{"getlock", call_getlock},
	{"other_lock", call_other_lock},
	{"other_getlock", call_other_getlock},
	{"flock", call_flock},
	{"install", call_install},
	{"exec", call_exec},
	{"run", call_start},
	{"stop", call_stop},
	{"watch", call_watch},
	{"events", call_events},
	{NULL, NULL},
};
