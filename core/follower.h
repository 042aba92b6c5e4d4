/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_FOLLOWER_H
#define CORE_FOLLOWER_H
/*
 * A read-only view that follows the writer through the store (rules R1-R4). Needs no write
 * permission, pins nothing: where an object has gone, it moves to the newest view and the caller
 * repeats the whole operation.
 */
#include "core/index/maintain.h"

struct follower;

struct follower_options {
	struct store *store;
	const struct volume_keys *keys;
	struct index_options index;
};
/* Reads the newest manifest and the log behind it. -ENOENT not a volume. */
int follower_open(const struct follower_options *o, struct follower **ret, struct error *err);
void follower_close(struct follower *f);
/* R4: tail, then manifest. When it returns 0, everything acknowledged before the call is visible.
 * `group`: the newest one (may be NULL). */
int follower_poll(struct follower *f, uint64_t *ret_group, struct error *err);
/*
 * A poll whose result agrees with itself: the tail was read after the manifest, to its end. So what
 * the tables of that manifest say was settled before it is in the log that was read. Repeated only
 * while manifests come between.
 */
int follower_settle(struct follower *f, struct error *err);
struct index *follower_index(struct follower *f); /* borrowed */

#endif
