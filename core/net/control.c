/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One thread accepts; each connection has a thread of a bounded pool, because an operation (flush)
 * may take long. This is the one part of core that waits on sockets rather than through env:
 * simulated volumes have no control socket.
 */
#include "core/net/control.h"

#include "core/base/cleanup.h"
#include "core/base/diag.h"
#include "core/base/workers.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 4096
#define RUNTIME_ROOM 60 /* bytes of a socket's address for what follows the directory */

struct control {
	struct control_ops ops; /* immutable */
	struct sockaddr_un addr;
	int listener, stop_event;
	struct workers *workers;
	struct thread acceptor;
};

struct connection {
	struct work work;
	struct control *control;
	int fd;
};

/* The user's own, as it should be: not another user's kept through su or sudo, not one that has
 * gone, and short enough for the name of a socket below it. */
static bool is_runtime_dir(const char *path)
{
	struct stat st;

	return path && *path == '/' && strlen(path) + RUNTIME_ROOM < sizeof(struct sockaddr_un) &&
	       stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       access(path, W_OK | X_OK) == 0;
}

int control_path(const char *canonical_url, bool make, char *out, size_t size, struct error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uint8_t hash[16];
	char id[33], dir[256];
	struct stat st;

	if (is_runtime_dir(runtime))
		(void)snprintf(dir, sizeof dir, "%s/zerofs", runtime);
	else
		(void)snprintf(dir, sizeof dir, "/tmp/zerofs-%u", geteuid());
	(void)crypto_generichash(
		hash, sizeof hash, (const uint8_t *)canonical_url, strlen(canonical_url), NULL, 0);
	sodium_bin2hex(id, sizeof id, hash, sizeof hash);
	if ((size_t)snprintf(out, size, "%s/%s.sock", dir, id) >= size)
		return error_set(
			err, -ENAMETOOLONG, "the runtime directory %s has too long a name", dir);
	if (!make)
		return 0;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(
			err, -errno, "cannot make the directory %s: %s", dir, strerror(errno));
	if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & 077))
		return error_set(
			err, -EACCES, "%s is not a private directory of this user; remove it", dir);
	return 0;
}

int control_path_of_mountpoint(const char *mountpoint, char *out, size_t size, struct error *err)
{
	CLEANUP(free_p) char *name = NULL;

	if (asprintf(&name, "mount:%s", mountpoint) < 0) {
		name = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	return control_path(name, false, out, size, err);
}

/* Reads up to a newline; the line without it, or NULL at the end, on time-out, on lines that are
 * too long, and when `stop_event` (-1 = none) is readable. */
static char *read_line(int fd, int stop_event, size_t max, int timeout_ms)
{
	CLEANUP(free_p) char *line = malloc(max + 1);
	size_t n = 0;

	while (line && n < max) {
		struct pollfd p[2] = {
			{.fd = fd, .events = POLLIN},
			{.fd = stop_event, .events = POLLIN},
		};

		if (poll(p, 2, timeout_ms) <= 0 || p[1].revents)
			return NULL;
		ssize_t got = read(fd, line + n, max - n);

		if (got <= 0)
			return NULL;
		char *end = memchr(line + n, '\n', (size_t)got);

		if (end) {
			*end = 0;
			return TAKE(line);
		}
		n += (size_t)got;
	}
	return NULL;
}

static int write_all(int fd, const char *s, size_t n)
{
	while (n > 0) {
		ssize_t put = send(fd, s, n, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return -EIO;
		s += put;
		n -= (size_t)put;
	}
	return 0;
}

static json_t *answer(struct control *c, const char *line)
{
	json_t *request = json_loads(line, 0, NULL);
	const char *op = request ? json_string_value(json_object_get(request, "op")) : NULL;
	CLEANUP(free_p) char *text = NULL;
	struct error e = {0};
	int r = op ? c->ops.call(c->ops.arg, op, &text, &e)
		   : error_set(&e, -EINVAL, "the request has no \"op\"");
	json_t *out;

	json_decref(request);
	if (r < 0)
		return json_pack("{s:b, s:s, s:i}", "ok", 0, "error", error_text(&e, r), "code", r);
	out = text ? json_loads(text, 0, NULL) : json_object();
	if (out)
		(void)json_object_set_new(out, "ok", json_true());
	return out;
}

static void serve_connection(struct work *w)
{
	struct connection *n = (struct connection *)w; /* its first member */

	for (;;) {
		CLEANUP(free_p)
		char *line = read_line(n->fd, n->control->stop_event, REQUEST_MAX, 10000);

		if (!line)
			break;
		json_t *out = answer(n->control, line);
		CLEANUP(free_p) char *text = out ? json_dumps(out, JSON_COMPACT) : NULL;

		json_decref(out);
		if (!text || write_all(n->fd, text, strlen(text)) < 0 ||
			write_all(n->fd, "\n", 1) < 0)
			break;
	}
	(void)close(n->fd);
	free(n);
}

static bool peer_allowed(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == geteuid() || cred.uid == 0);
}

static void accept_one(struct control *c)
{
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
	struct connection *n;

	if (fd < 0)
		return;
	if (!peer_allowed(fd) || workers_busy(c->workers) >= CONTROL_CONNECTIONS_MAX ||
		!(n = calloc(1, sizeof *n))) {
		(void)close(fd);
		return;
	}
	n->work.run = serve_connection;
	n->control = c;
	n->fd = fd;
	workers_submit(c->workers, &n->work);
}

static void acceptor_main(void *arg)
{
	struct control *c = arg;

	for (;;) {
		struct pollfd p[2] = {
			{.fd = c->listener, .events = POLLIN},
			{.fd = c->stop_event, .events = POLLIN},
		};

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[1].revents)
			return;
		if (p[0].revents)
			accept_one(c);
	}
}

static int connect_to(const char *path, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	CLEANUP(close_fd_p) int fd = -1;

	if (strlen(path) >= sizeof addr.sun_path)
		return error_set(err, -ENAMETOOLONG, "the socket path %s is too long", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		return error_set(err, -errno, "cannot reach %s: %s", path, strerror(errno));
	return TAKE_FD(fd);
}

static int listen_at(struct control *c, const char *path, struct error *err)
{
	if (strlen(path) >= sizeof c->addr.sun_path)
		return error_set(err, -ENAMETOOLONG, "the socket path %s is too long", path);
	c->addr.sun_family = AF_UNIX;
	memcpy(c->addr.sun_path, path, strlen(path) + 1);
	c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	c->stop_event = eventfd(0, EFD_CLOEXEC);
	if (c->listener < 0 || c->stop_event < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));

	int probe = connect_to(path, NULL);

	if (probe >= 0) {
		(void)close(probe);
		return error_set(err, -EADDRINUSE, "another process listens on %s", path);
	}
	(void)unlink(path); /* left by a process that died; bind says what is wrong otherwise */
	if (bind(c->listener, (struct sockaddr *)&c->addr, sizeof c->addr) < 0 ||
		listen(c->listener, 8) < 0)
		return error_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
	return 0;
}

int control_start(
	const char *path, const struct control_ops *ops, struct control **ret, struct error *err)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	c->ops = *ops;
	c->listener = c->stop_event = -1;

	int r = listen_at(c, path, err);

	if (r == 0 && !(c->workers = workers_new("control", CONTROL_CONNECTIONS_MAX)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		r = thread_start(&c->acceptor, "control", acceptor_main, c);
		if (r < 0)
			(void)error_set(err, r, "cannot start a thread: %s", strerror(-r));
	}
	if (r < 0) {
		if (c->listener >= 0)
			(void)close(c->listener);
		if (c->stop_event >= 0)
			(void)close(c->stop_event);
		workers_free(c->workers);
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void control_stop(struct control *c)
{
	uint64_t one = 1;

	if (!c)
		return;
	(void)!write(c->stop_event, &one, sizeof one); /* an eventfd takes it */
	thread_join(&c->acceptor);
	(void)close(c->listener);
	(void)unlink(c->addr.sun_path);
	workers_free(c->workers);
	(void)close(c->stop_event);
	free(c);
}

int control_call(
	const char *path, const char *op, uint64_t timeout_ms, char **ret_json, struct error *err)
{
	CLEANUP(close_fd_p) int fd = connect_to(path, err);
	CLEANUP(free_p) char *request = NULL;
	CLEANUP(free_p) char *line = NULL;
	int r = 0;

	if (fd < 0)
		return fd;
	if (asprintf(&request, "{\"op\": \"%s\"}\n", op) < 0) {
		request = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (write_all(fd, request, strlen(request)) < 0)
		return error_set(err, -ECONNREFUSED, "%s does not take the request", path);
	line = read_line(fd, -1, CONTROL_LINE_MAX, timeout_ms > INT32_MAX ? -1 : (int)timeout_ms);
	if (!line)
		return error_set(err, -ETIMEDOUT, "no answer from %s", path);

	json_t *out = json_loads(line, 0, NULL);

	if (!json_is_true(json_object_get(out, "ok"))) {
		const char *text = json_string_value(json_object_get(out, "error"));

		r = error_set(err, -EREMOTEIO, "%s", text ? text : "the answer is not understood");
	}
	json_decref(out);
	if (r == 0)
		*ret_json = TAKE(line);
	return r;
}
