/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/key_admin.h"

#include "core/seal/fields.h"
#include "core/seal/keys_slots.h"
#include "core/seal/recovery.h"
#include "core/seal/secret.h"
#include "core/store/url.h"

#include <assert.h>
#include <string.h>

static_assert(KEY_ADMIN_RECOVERY_BYTES == RECOVERY_TEXT_BYTES, "the text fits");

struct key_admin {
	struct store_stack stack;
	struct volume_keys *keys;
};

int key_admin_open(const char *url, const char *password, struct key_admin **ret, struct error *err)
{
	struct store_options so = {0};
	struct keys_options ko = {.password = password};
	struct key_admin *a = calloc(1, sizeof(*a));
	bool read_only; /* the change itself says what forbids it */

	if (!a)
		return error_set(err, -ENOMEM, "out of memory");
	int r = store_open(url, &so, &a->stack, err);

	if (r == 0)
		r = keys_open(a->stack.top, &ko, &a->keys, &read_only, err);
	if (r < 0) {
		key_admin_close(a);
		return r;
	}
	*ret = a;
	return 0;
}

void key_admin_close(struct key_admin *a)
{
	if (!a)
		return;
	keys_free(a->keys);
	store_stack_close(&a->stack);
	free(a);
}

const char *key_admin_url(const struct key_admin *a)
{
	return a->stack.url;
}

int key_admin_list(struct key_admin *a, char **ret_json, struct error *err)
{
	CLEANUP(json_decref_p) json_t *o = NULL;
	int r = keys_describe(a->stack.top, a->keys, &o, err);

	if (r < 0)
		return r;
	*ret_json = json_dumps(o, JSON_COMPACT);
	return *ret_json ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int key_admin_change_password(
	struct key_admin *a, const char *password, bool dry_run, struct error *err)
{
	struct keys_options o = {.password = password, .dry_run = dry_run};

	return keys_change_password(a->stack.top, a->keys, &o, err);
}

int key_admin_add_password(struct key_admin *a, const char *password, bool dry_run,
	uint64_t *ret_slot, struct error *err)
{
	struct keys_options o = {.password = password, .dry_run = dry_run};

	return keys_add_slot(a->stack.top, a->keys, false, &o, ret_slot, err);
}

int key_admin_add_recovery(struct key_admin *a, bool dry_run,
	char ret_key[KEY_ADMIN_RECOVERY_BYTES], uint64_t *ret_slot, struct error *err)
{
	char key[RECOVERY_TEXT_BYTES];
	struct keys_options o = {.password = key, .dry_run = dry_run};

	recovery_new(key);
	int r = keys_add_slot(a->stack.top, a->keys, true, &o, ret_slot, err);

	if (r == 0)
		memcpy(ret_key, key, sizeof(key));
	secret_wipe(key, sizeof(key));
	return r;
}

int key_admin_remove(struct key_admin *a, uint64_t slot, bool dry_run, struct error *err)
{
	return keys_remove_slot(a->stack.top, a->keys, slot, dry_run, err);
}

int key_admin_rotate(struct key_admin *a, bool dry_run, uint32_t *ret_key, struct error *err)
{
	return keys_rotate(a->stack.top, a->keys, dry_run, ret_key, err);
}
