/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_KEY_ADMIN_H
#define CORE_KEY_ADMIN_H
/*
 * Passwords, recovery keys and the key ring of a volume, without opening it: for commands. It may
 * be mounted meanwhile; processes that have it open go on with what they know, and use a new ring
 * key when they open it next time. Everything may wait for the store. `dry_run`: everything but the
 * change itself.
 */
#include "core/base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define KEY_ADMIN_RECOVERY_BYTES 42 /* of a recovery key, terminator included */

struct key_admin;

/* Errors as volume_open(). Nothing is written. */
int key_admin_open(
	const char *url, const char *password, struct key_admin **ret, struct error *err);
void key_admin_close(struct key_admin *a);	      /* NULL is fine */
const char *key_admin_url(const struct key_admin *a); /* canonical */

/* *ret_json: a new string, one object; the keys are documented in zerofs(1). */
int key_admin_list(struct key_admin *a, char **ret_json, struct error *err);
/* The next four: -EAGAIN: somebody else changed the keys at the same time. */
int key_admin_change_password(
	struct key_admin *a, const char *password, bool dry_run, struct error *err);
int key_admin_add_password(struct key_admin *a, const char *password, bool dry_run,
	uint64_t *ret_slot, struct error *err);
/* Makes a recovery key, which nobody can show again. */
int key_admin_add_recovery(struct key_admin *a, bool dry_run,
	char ret_key[KEY_ADMIN_RECOVERY_BYTES], uint64_t *ret_slot, struct error *err);
int key_admin_remove(struct key_admin *a, uint64_t slot, bool dry_run, struct error *err);
int key_admin_rotate(struct key_admin *a, bool dry_run, uint32_t *ret_key, struct error *err);

#endif
