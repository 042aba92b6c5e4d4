/* SPDX-License-Identifier: GPL-3.0-or-later */
/* status, flush and umount: they talk to the process that holds the volume. */
#include "cli/cli.h"

#include "core/base/cleanup.h"
#include "core/base/sizes.h"
#include "core/net/control.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_TIMEOUT_MS 10000
#define TELL_AFTER_MS 2000 /* of waiting */
#define FOR_EVER UINT64_MAX

/* Calls `op` of whoever holds c->argv[0]; *ret: the answer. 0 or an exit status, said. */
static int ask_holder(
	struct cli *c, const char *op, uint64_t timeout_ms, char **ret, bool *ret_mountpoint)
{
	char path[512];
	struct error e = {0};
	int r = cli_find_holder(c->argv[0], path, sizeof path, ret_mountpoint, &e);

	if (r == 0)
		r = control_call(path, op, timeout_ms, ret, &e);
	if (r == -ENOENT || r == -ECONNREFUSED)
		(void)error_set(&e, r,
			"no process of this user on this machine holds %s for writing", c->argv[0]);
	return r < 0 ? cli_fail(c, r, &e) : 0;
}

static uint64_t member(json_t *o, const char *a, const char *b)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(o, a), b));
}

static void print_status(json_t *o)
{
	char used[SIZE_TEXT_MAX], dirty[SIZE_TEXT_MAX], unsent[SIZE_TEXT_MAX], put[SIZE_TEXT_MAX];
	const char *error = json_string_value(json_object_get(o, "error"));
	json_t *store = json_object_get(o, "store");

	printf("address      %s\n", json_string_value(json_object_get(o, "url")));
	printf("state        %s, %s, process %" PRIu64 "\n",
		json_string_value(json_object_get(o, "state")),
		json_string_value(json_object_get(o, "role")),
		(uint64_t)json_integer_value(json_object_get(o, "pid")));
	if (error)
		printf("error        %s\n", error);
	if (json_is_true(json_object_get(store, "degraded")))
		printf("store        failing for %" PRIu64 " s: %s\n",
			(uint64_t)json_integer_value(json_object_get(store, "degraded_for_ms")) /
				1000,
			json_string_value(json_object_get(store, "error")));
	printf("files        %" PRIu64 ", %s\n", member(o, "files", "used_inodes"),
		size_format(used, member(o, "files", "used_bytes")));
	printf("not stored   %s dirty, %s to send\n",
		size_format(dirty, member(o, "files", "dirty_bytes")),
		size_format(unsent, member(o, "log", "unsent_bytes")));
	printf("log          epoch %" PRIu64 ", group %" PRIu64 " acknowledged, %s sent\n",
		member(o, "log", "epoch"), member(o, "log", "acknowledged_group"),
		size_format(put, member(o, "log", "bytes_put")));
	printf("requests     %" PRIu64 " create, %" PRIu64 " get, %" PRIu64 " list, %" PRIu64
	       " delete\n",
		member(store, "create", "calls"), member(store, "get", "calls"),
		member(store, "list", "calls"), member(store, "delete", "calls"));
}

int cmd_status(struct cli *c)
{
	CLEANUP(free_p) char *text = NULL;
	int status = ask_holder(c, "status", STATUS_TIMEOUT_MS, &text, NULL);

	if (status)
		return status;
	json_t *o = json_loads(text, 0, NULL);
	const char *state = json_string_value(json_object_get(o, "state"));

	if (!state)
		status = cli_fail(c, -EBADMSG, NULL);
	else if (c->json)
		puts(text);
	else
		print_status(o);
	if (state && strcmp(state, "ok") != 0)
		status = EXIT_DEGRADED;
	json_decref(o);
	return status;
}

int cmd_flush(struct cli *c)
{
	CLEANUP(free_p) char *text = NULL;

	return ask_holder(c, "flush", FOR_EVER, &text, NULL);
}

/* Runs fusermount3 -u, or umount for root; `lazy`: although files are open. 0 or an exit status,
 * said by that program. */
static int detach(struct cli *c, const char *mountpoint, bool lazy)
{
	bool root = geteuid() == 0;
	const char *program = root ? "umount" : "fusermount3";
	const char *argv[5] = {program};
	size_t n = 1;
	int status;

	if (!root)
		argv[n++] = lazy ? "-uz" : "-u";
	else if (lazy)
		argv[n++] = "-l";
	argv[n++] = "--";
	argv[n++] = mountpoint;

	pid_t child = fork();

	if (child == 0) {
		/* execvp(3) changes nothing, its type cannot say so. */
		(void)execvp(program, (char **)(uintptr_t)argv);
		(void)fprintf(
			stderr, "zerofs umount: cannot run %s: %s\n", program, strerror(errno));
		_exit(EXIT_FAILED);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return cli_fail(c, -errno, NULL);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EXIT_FAILED;
}

/* Whether the process at `path` has something to say about why it does not end: said, once. */
static bool tell_why(const char *path)
{
	CLEANUP(free_p) char *text = NULL;

	if (control_call(path, "status", STATUS_TIMEOUT_MS, &text, NULL) < 0)
		return false;
	json_t *o = json_loads(text, 0, NULL);
	json_t *store = json_object_get(o, "store");
	const char *why = json_string_value(json_object_get(o, "error"));

	if (!why && json_is_true(json_object_get(store, "degraded")))
		why = json_string_value(json_object_get(store, "error"));
	if (why)
		(void)fprintf(stderr,
			"zerofs umount: unmounted; waiting until everything is stored: %s\n", why);
	json_decref(o);
	return why != NULL;
}

/* Waits until the process has ended; that somebody has yet to reap it does not matter. */
static void await_end(int pidfd, const char *control)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	bool told = false;
	int n;

	while (pidfd >= 0 && (n = poll(&p, 1, told ? -1 : TELL_AFTER_MS)) <= 0)
		if (n == 0)
			told = tell_why(control);
		else if (errno != EINTR)
			return;
}

/*
 * The process that listens at `path`, as a pidfd; `control`: its socket ("" = none). -1: it cannot
 * be asked.
 */
static int find_process(const char *path, char control[static PATH_MAX])
{
	CLEANUP(free_p) char *text = NULL;

	*control = 0;
	if (control_call(path, "status", STATUS_TIMEOUT_MS, &text, NULL) < 0)
		return -1;
	json_t *o = json_loads(text, 0, NULL);
	int fd = (int)syscall(
		SYS_pidfd_open, (pid_t)json_integer_value(json_object_get(o, "pid")), 0);

	json_decref(o);
	if (!realpath(path, control)) /* the link goes with the mount */
		*control = 0;
	return fd;
}

enum served { SERVED_BY_NOBODY, SERVED_READ_ONLY, SERVED_FOR_WRITING };

static enum served served(const char *mountpoint)
{
	struct statvfs s;

	if (statvfs(mountpoint, &s) < 0)
		return errno == ENOTCONN ? SERVED_BY_NOBODY : SERVED_READ_ONLY;
	return s.f_flag & ST_RDONLY ? SERVED_READ_ONLY : SERVED_FOR_WRITING;
}

int cmd_umount(struct cli *c)
{
	bool mounted = false;
	struct error e = {0};
	char path[512], real[PATH_MAX], control[PATH_MAX];
	int r = cli_find_holder(c->argv[0], path, sizeof path, &mounted, &e);

	if (r == 0 && (!mounted || !realpath(c->argv[0], real)))
		r = error_set(
			&e, -EINVAL, "%s is not the mount point of a zerofs volume", c->argv[0]);
	if (r < 0)
		return cli_fail(c, r, &e);
	/* Its address would lead a read-only mount to the writer elsewhere. */
	enum served how = served(real);
	bool writes = how == SERVED_FOR_WRITING;
	CLEANUP(close_fd_p) int process = writes ? find_process(path, control) : -1;
	int status =
		detach(c, real, how == SERVED_BY_NOBODY); /* a dead mount has nothing to lose */

	if (status == 0)
		await_end(process, control);
	if (status == 0 && writes && process < 0) {
		(void)fprintf(stderr,
			"zerofs umount: unmounted %s; its process cannot be asked, and stores what is left by itself\n",
			c->argv[0]);
		status = EXIT_DEGRADED;
	}
	return status;
}
