/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_NET_CONTROL_H
#define CORE_NET_CONTROL_H
/*
 * The writer's private control socket: one JSON object per line each way. Request {"op": NAME};
 * answer {"ok": true, ...} or
 * {"ok": false, "error": TEXT}. Only the same user (and root) may connect: the directory is 0700,
 * and the peer's uid is checked. Knows nothing of volumes: the operations are the caller's.
 */
#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_LINE_MAX (1u << 20) /* bytes of an answer; requests are at most 4096 */
#define CONTROL_CONNECTIONS_MAX 16

struct control;

struct control_ops {
	/* Carries out `op`; *ret_json: a new string, one JSON object without "ok" (NULL = {}). 0,
	 * or an error whose text is answered. Called by several threads at once; may take long. */
	int (*call)(void *arg, const char *op, char **ret_json, struct error *err);
	void *arg;
};

/*
 * The socket's path for a store: $XDG_RUNTIME_DIR/zerofs/ID.sock when that is this user's and may
 * be written, else /tmp/zerofs-UID/ID.sock, ID from a hash of the canonical address. Makes the
 * directory when `make`. 0, -EACCES (a directory there that is not ours).
 */
int control_path(const char *canonical_url, bool make, char *out, size_t size, struct error *err);
/* Where a mount leaves a link to its socket, by its mount point (an absolute path without links).
 */
int control_path_of_mountpoint(const char *mountpoint, char *out, size_t size, struct error *err);
/* Listens; replaces a socket that nobody listens on. -EADDRINUSE: a process listens there. */
int control_start(
	const char *path, const struct control_ops *ops, struct control **ret, struct error *err);
/* Ends the connections and removes the socket. NULL is fine. */
void control_stop(struct control *c);

/*
 * Client: one call. *ret_json: the whole answer, a new string. -ENOENT or -ECONNREFUSED: nobody is
 * there; -ETIMEDOUT; the answer's error is returned as -EREMOTEIO with its text.
 */
int control_call(
	const char *path, const char *op, uint64_t timeout_ms, char **ret_json, struct error *err);

#endif
