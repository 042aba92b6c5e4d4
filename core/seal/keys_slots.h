/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_KEYS_SLOTS_H
#define CORE_SEAL_KEYS_SLOTS_H
/*
 * Slots and ring of a volume that may be open elsewhere at the same time: whoever has it open goes
 * on with what it read, because the master key stays and ring keys are only added. All changes
 * write a new key file as keys_change_password() does, with the same errors, -EAGAIN included;
 * `dry_run` does everything but that. All may wait for the store.
 */
#include "core/seal/keys.h"

#include <jansson.h>

/*
 * *ret: new object {"number", "slots": [{"id", "kind", "created", "kdf", "memory", "passes",
 * "opened"}], "ring": [{"id", "created", "current"}]}; "opened" marks the slot that `k` was opened
 * with.
 */
int keys_describe(struct store *s, const struct volume_keys *k, json_t **ret, struct error *err);
/* One more slot for o->password (`recovery`: a text of recovery_new()). *ret_id is set also by a
 * dry run. */
int keys_add_slot(struct store *s, const struct volume_keys *k, bool recovery,
	const struct keys_options *o, uint64_t *ret_id, struct error *err);
/* -ENOENT: no such slot; -EPERM: no other slot would be left that this program can open. */
int keys_remove_slot(
	struct store *s, const struct volume_keys *k, uint64_t id, bool dry_run, struct error *err);
/* One more ring key, which seals what is made by whoever opens the volume from now on. */
int keys_rotate(struct store *s, const struct volume_keys *k, bool dry_run, uint32_t *ret_id,
	struct error *err);

/*
 * Takes over ring keys that were added since `k` was opened. 1: there were some; 0: none. For a
 * follower, whose writer may have been opened later than itself: call it when something does not
 * open. By one thread at a time; others may use `k` meanwhile.
 */
int keys_refresh(struct store *s, struct volume_keys *k, struct error *err);

#endif
