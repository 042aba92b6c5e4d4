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

/* Runs fusermount3 -u, or umount for root. 0 or an exit status, said by that program. */
static int detach(struct cli *c)
{
	bool root = geteuid() == 0;
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (root)
			(void)execlp("umount", "umount", "--", c->argv[0], (char *)NULL);
		else
			(void)execlp(
				"fusermount3", "fusermount3", "-u", "--", c->argv[0], (char *)NULL);
		(void)fprintf(stderr, "zerofs umount: cannot run %s: %s\n",
			root ? "umount" : "fusermount3", strerror(errno));
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

int cmd_umount(struct cli *c)
{
	CLEANUP(free_p) char *text = NULL;
	CLEANUP(close_fd_p) int holder = -1;
	bool mounted = false;
	struct error e = {0};
	char path[512], real[PATH_MAX], control[PATH_MAX] = "";
	int r = cli_find_holder(c->argv[0], path, sizeof path, &mounted, &e);

	if (r == 0 && !mounted)
		r = error_set(
			&e, -EINVAL, "%s is not the mount point of a zerofs volume", c->argv[0]);
	if (r < 0)
		return cli_fail(c, r, &e);
	/* By the mount point alone: its address would lead a read-only mount to the writer
	 * elsewhere. */
	if (realpath(c->argv[0], real) &&
		control_path_of_mountpoint(real, path, sizeof path, NULL) == 0 &&
		control_call(path, "status", STATUS_TIMEOUT_MS, &text, NULL) == 0) {
		json_t *o = json_loads(text, 0, NULL);

		holder = (int)syscall(
			SYS_pidfd_open, (pid_t)json_integer_value(json_object_get(o, "pid")), 0);
		json_decref(o);
		if (!realpath(path, control)) /* the link goes with the mount */
			*control = 0;
	} /* else a read-only mount, which has nothing to store */
	int status = detach(c);

	if (status == 0)
		await_end(holder, control);
	return status;
}
