/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_STATE_H
#define CORE_STATE_H
/*
 * What this machine remembers of a volume outside the store: where it is, and the newest manifest
 * and group seen, so that a store that was rolled back or has vanished is noticed. One small JSON
 * file per volume in the state directory, replaced atomically. The file is a witness, not a source:
 * losing it loses nothing but the check.
 *
 * The directory is opened once, before anything is mounted over it, and used by its descriptor.
 */
#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define STATE_ID_MAX 40 /* bytes of a volume's id in hex, with the terminator */

struct state {
	uint64_t manifest, group; /* newest seen; 0 = none */
};

/* Opens the directory; makes it (0700) and what is missing above it when `make`. A descriptor, or
 * -ENOENT and the like. */
int state_open(const char *dir, bool make, struct error *err);
/* 0 (all zero when there is no file), -EBADMSG, or what opening it gave. `fd`: of state_open. */
int state_load(int fd, const char *volume_id, struct state *ret, struct error *err);
/* Written, synced, renamed. `url`: canonical. */
int state_save(
	int fd, const char *volume_id, const char *url, const struct state *s, struct error *err);
/* The volume that was seen at `url`, if any: true. A directory that cannot be read has seen none.
 */
bool state_seen(int fd, const char *url, char ret_volume_id[STATE_ID_MAX]);

#endif
