/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/keys_slots.h"

#include "core/base/env.h"
#include "core/seal/keys_internal.h"
#include "core/seal/secret.h"

/* Copies members of an entry of the key file that there are. */
static int copy_members(json_t *to, const json_t *from, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_t *v = json_object_get(from, names[i]);

		if (v && json_object_set(to, names[i], v) < 0)
			return -ENOMEM;
	}
	return 0;
}

static json_t *describe_slots(const json_t *slots, uint64_t opened)
{
	static const char *const names[] = {"id", "kind", "created", "kdf", "memory", "passes"};
	CLEANUP(json_decref_p) json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(slots); i++) {
		const json_t *slot = json_array_get(slots, i);
		CLEANUP(json_decref_p) json_t *o = json_object();
		bool is_opened =
			(uint64_t)json_integer_value(json_object_get(slot, "id")) == opened;

		if (!o || copy_members(o, slot, names, sizeof(names) / sizeof(names[0])) < 0 ||
			fields_put(o, "opened", json_boolean(is_opened)) < 0 ||
			json_array_append(out, o) < 0)
			return NULL;
	}
	return TAKE(out);
}

static json_t *describe_ring(const json_t *ring)
{
	static const char *const names[] = {"id", "created"};
	CLEANUP(json_decref_p) json_t *out = json_array();
	size_t n = json_array_size(ring);

	for (size_t i = 0; i < n; i++) {
		CLEANUP(json_decref_p) json_t *o = json_object();

		if (!o ||
			copy_members(o, json_array_get(ring, i), names,
				sizeof(names) / sizeof(names[0])) < 0 ||
			fields_put(o, "current", json_boolean(i + 1 == n)) < 0 ||
			json_array_append(out, o) < 0)
			return NULL;
	}
	return TAKE(out);
}

int keys_describe(struct store *s, const struct volume_keys *k, json_t **ret, struct error *err)
{
	CLEANUP(keys_edit_done) struct keys_edit e = {0};
	CLEANUP(json_decref_p) json_t *o = json_object();
	int r = keys_edit_begin(s, k, &e, err);

	if (r < 0)
		return r;
	if (!o || fields_put(o, "number", json_integer((json_int_t)k->number)) < 0 ||
		fields_put(o, "slots",
			describe_slots(json_object_get(e.file.json, "slots"), k->slot)) < 0 ||
		fields_put(o, "ring", describe_ring(json_object_get(e.file.json, "ring"))) < 0)
		return error_set(err, -ENOMEM, "no memory for a list of keys");
	*ret = TAKE(o);
	return 0;
}

int keys_add_slot(struct store *s, const struct volume_keys *k, bool recovery,
	const struct keys_options *o, uint64_t *ret_id, struct error *err)
{
	CLEANUP(keys_edit_done) struct keys_edit e = {0};
	uint64_t id = 0;
	int r = key_options_check(o, err);

	if (r == 0)
		r = keys_edit_begin(s, k, &e, err);
	if (r == 0)
		r = keys_edit_add_slot(
			&e, k, recovery ? SLOT_KIND_RECOVERY : SLOT_KIND_PASSWORD, o, &id, err);
	if (r == 0)
		r = keys_edit_commit(s, k, &e, o->dry_run, err);
	if (r < 0)
		return r;
	*ret_id = id;
	return 0;
}

int keys_remove_slot(
	struct store *s, const struct volume_keys *k, uint64_t id, bool dry_run, struct error *err)
{
	CLEANUP(keys_edit_done) struct keys_edit e = {0};
	size_t at = SIZE_MAX, others = 0;
	int r = keys_edit_begin(s, k, &e, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < e.file.nslots; i++)
		if (e.file.slots[i].id == id)
			at = i;
		else if (e.file.slots[i].usable)
			others++;
	if (at == SIZE_MAX)
		return error_set(err, -ENOENT, "there is no slot %llu", (unsigned long long)id);
	if (others == 0)
		return error_set(err, -EPERM,
			"slot %llu is the last one: without it nobody could open the volume",
			(unsigned long long)id);
	(void)json_array_remove(json_object_get(e.file.json, "slots"), at); /* it is there */
	return keys_edit_commit(s, k, &e, dry_run, err);
}

int keys_rotate(struct store *s, const struct volume_keys *k, bool dry_run, uint32_t *ret_id,
	struct error *err)
{
	CLEANUP(keys_edit_done) struct keys_edit e = {0};
	CLEANUP(secret_free_p) void *key = secret_new(AEAD_KEY_BYTES);
	int r = keys_edit_begin(s, k, &e, err);

	if (r < 0)
		return r;
	if (!key)
		return error_set(err, -ENOMEM, "no memory for keys");
	uint32_t last = e.file.ring[e.file.nring - 1].id;

	if (e.file.nring >= KEYS_RING_MAX || last == UINT32_MAX)
		return error_set(err, -ENOSPC,
			"the ring has %zu keys, which is as many as it can have", e.file.nring);
	env_random(key, AEAD_KEY_BYTES);
	r = key_file_add_ring_key(json_object_get(e.file.json, "ring"), last + 1, key,
		k->superblock.volume, k->master, err);
	if (r == 0)
		r = keys_edit_commit(s, k, &e, dry_run, err);
	if (r < 0)
		return r;
	*ret_id = last + 1;
	return 0;
}

/* The newest file that counts. -ENOENT: it went away meanwhile. */
static int load_newest(
	struct store *s, const struct volume_keys *k, struct key_file *ret, struct error *err)
{
	CLEANUP(key_numbers_done) struct key_numbers l = {0};
	int r = keys_list(s, &l, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++) {
		r = keys_load_file(s, l.v[i], k->superblock.volume, ret, err);
		if (r == -EBADMSG)
			continue; /* does not count */
		if (r < 0)
			return r;
		if (key_file_verify(ret, k->master))
			return 0;
		key_file_done(ret);
	}
	return error_set(err, -EBADMSG, "no key file of the volume is intact");
}

int keys_refresh(struct store *s, struct volume_keys *k, struct error *err)
{
	CLEANUP(key_file_done) struct key_file f = {0};
	const struct key_ring *old = atomic_load(&k->ring);
	struct error why = {0};
	int r = load_newest(s, k, &f, &why);

	if (r == -ENOENT) /* a change at this moment: once more */
		r = load_newest(s, k, &f, &why);
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	if (f.nring <= old->n)
		return 0;
	r = key_ring_open(&f, k, err);
	return r < 0 ? r : 1;
}
