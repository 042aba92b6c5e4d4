/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing the key file: keys/X+1 is created and read back, then lower ones are deleted. A cut
 * between leaves both, and the higher one counts; whoever opens for writing deletes the rest.
 * Numbers are never used twice (rule S3): the new one lies above every name that is there, damaged
 * ones included.
 */
#include "core/seal/keys_internal.h"

static int delete_below(struct store *s, uint64_t number, struct error *err)
{
	CLEANUP(key_numbers_done) struct key_numbers l = {0};
	char name[KEYS_NAME_BYTES];
	int r = keys_list(s, &l, err);

	for (size_t i = 0; i < l.n && r >= 0; i++) {
		if (l.v[i] >= number)
			continue;
		keys_name(l.v[i], name);
		r = store_delete(s, name, err);
	}
	return r < 0 ? r : 0;
}

int keys_clean(struct store *s, const struct volume_keys *k, struct error *err)
{
	return delete_below(s, k->number, err);
}

/* The one that opened the volume; a recovery key stands for a password that was forgotten: all. */
static void drop_passwords(json_t *slots, const struct volume_keys *k)
{
	for (size_t i = json_array_size(slots); i-- > 0;) {
		const json_t *slot = json_array_get(slots, i);
		const char *kind = json_string_value(json_object_get(slot, "kind"));
		json_int_t id = json_integer_value(json_object_get(slot, "id"));

		if (kind && strcmp(kind, SLOT_KIND_PASSWORD) == 0 &&
			(k->by_recovery || id == (json_int_t)k->slot))
			(void)json_array_remove(slots, i); /* cannot fail: it is there */
	}
}

static bool has_id(const json_t *slots, json_int_t id)
{
	for (size_t i = 0; i < json_array_size(slots); i++)
		if (json_integer_value(json_object_get(json_array_get(slots, i), "id")) == id)
			return true;
	return false;
}

int keys_edit_add_slot(struct keys_edit *e, const struct volume_keys *k, const char *kind,
	const struct keys_options *o, uint64_t *ret_id, struct error *err)
{
	json_t *slots = json_object_get(e->file.json, "slots");
	json_int_t id = 1;

	if (json_array_size(slots) >= KEYS_SLOTS_MAX)
		return error_set(
			err, -EINVAL, "all %d slots of the key file are taken", KEYS_SLOTS_MAX);
	while (has_id(slots, id))
		id++;
	*ret_id = (uint64_t)id;
	return key_file_add_slot(
		slots, (uint64_t)id, kind, o, k->superblock.volume, k->master, err);
}

/* Loads the file that `k` was opened with; it must still be the newest that counts. */
static int load_current(struct store *s, const struct volume_keys *k, const struct key_numbers *l,
	struct key_file *ret, struct error *err)
{
	for (size_t i = 0; i < l->n; i++) {
		struct key_file f = {0};
		struct error why = {0};
		int r = keys_load_file(s, l->v[i], k->superblock.volume, &f, &why);

		if (r == -ENOENT)
			break;
		if (r == -EBADMSG && l->v[i] > k->number)
			continue; /* damaged: does not count */
		if (r < 0)
			return error_set(err, r, "%s", error_text(&why, r));
		if (!key_file_verify(&f, k->master)) {
			key_file_done(&f);
			continue;
		}
		if (l->v[i] == k->number) {
			*ret = f;
			return 0;
		}
		key_file_done(&f);
		break;
	}
	return error_set(err, -EAGAIN, "the key file has been changed meanwhile");
}

/* Deletes older files only when the new one is there as it should be. */
static int read_back(
	struct store *s, const struct volume_keys *k, uint64_t number, struct error *err)
{
	CLEANUP(key_file_done) struct key_file f = {0};
	int r = keys_load_file(s, number, k->superblock.volume, &f, err);

	if (r < 0)
		return r;
	if (!key_file_verify(&f, k->master))
		return error_set(err, -EBADMSG, "the new key file cannot be read back");
	return 0;
}

int keys_edit_begin(
	struct store *s, const struct volume_keys *k, struct keys_edit *ret, struct error *err)
{
	int r = keys_list(s, &ret->names, err);

	return r < 0 ? r : load_current(s, k, &ret->names, &ret->file, err);
}

void keys_edit_done(struct keys_edit *e)
{
	key_numbers_done(&e->names);
	key_file_done(&e->file);
}

int keys_edit_commit(struct store *s, const struct volume_keys *k, struct keys_edit *e,
	bool dry_run, struct error *err)
{
	CLEANUP(buf_done) struct buf file = BUF_INIT;
	char name[KEYS_NAME_BYTES];
	uint64_t number = e->names.v[0] + 1;

	if (k->read_only_feature[0])
		return error_set(err, -EPROTONOSUPPORT,
			"the volume has the feature \"%s\", with which this program may not change it",
			k->read_only_feature);
	if (number == 0)
		return error_set(err, -EBADMSG, "the highest number of a key file is taken");
	int r = key_file_encode(e->file.json, k->superblock.volume, number, k->master, &file, err);

	if (r < 0 || dry_run)
		return r;
	struct slice body = buf_slice(&file);

	keys_name(number, name);
	r = store_create(s, name, &body, 1, err);
	if (r == -EEXIST)
		return error_set(err, -EAGAIN, "the key file has been changed meanwhile");
	if (r == 0)
		r = read_back(s, k, number, err);
	return r < 0 ? r : delete_below(s, number, err);
}

int keys_change_password(struct store *s, const struct volume_keys *k, const struct keys_options *o,
	struct error *err)
{
	CLEANUP(keys_edit_done) struct keys_edit e = {0};
	uint64_t id;
	int r = key_options_check(o, err);

	if (r == 0)
		r = keys_edit_begin(s, k, &e, err);
	if (r < 0)
		return r;
	drop_passwords(json_object_get(e.file.json, "slots"), k);
	r = keys_edit_add_slot(&e, k, SLOT_KIND_PASSWORD, o, &id, err);
	return r < 0 ? r : keys_edit_commit(s, k, &e, o->dry_run, err);
}
