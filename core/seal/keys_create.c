/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A volume comes to be by two creations: zerofs.json, then keys/1. Only the second makes it one,
 * and one creator at most wins it; whoever is cut off, or loses the first, leaves something that a
 * later call (also of somebody else) finishes, because the superblock holds nothing that depends on
 * the password.
 */
#include "core/base/env.h"
#include "core/base/hex.h"
#include "core/seal/keys_internal.h"
#include "core/seal/secret.h"

/* Whether a key could be one of ours (docs/format.md "Objects"). */
static bool is_ours(const char *key)
{
	static const char *const prefixes[] = {
		KEYS_PREFIX, "writer/", "log/", "table/", "manifest/"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t n = strlen(prefixes[i]);
		uint64_t number;

		if (strncmp(key, prefixes[i], n) == 0 && strlen(key) >= n + HEX_U64_DIGITS &&
			hex_decode_u64(key + n, HEX_U64_DIGITS, &number))
			return true;
	}
	return false;
}

/* -EEXIST naming the first object that is not the superblock. A page is enough: two names cannot be
 * hidden behind it. */
static int check_empty(struct store *s, struct error *err)
{
	CLEANUP(store_list_done) struct store_list page = {0};
	int r = s->ops->list(s, "", NULL, &page, err);
	char name[STORE_KEY_MAX + 1];

	if (r < 0)
		return r;
	for (size_t i = 0; i < page.n; i++) {
		const char *key = page.entries[i].key;

		if (strcmp(key, SUPERBLOCK_KEY) == 0)
			continue;
		fields_printable(name, sizeof(name), key);
		if (strncmp(key, KEYS_PREFIX, strlen(KEYS_PREFIX)) == 0 && is_ours(key))
			return error_set(err, -EEXIST, "there is a volume here already");
		if (is_ours(key))
			return error_set(err, -EEXIST,
				"the store holds \"%s\" of a volume that lost its keys", name);
		return error_set(err, -EEXIST,
			"the store holds something else: \"%s\"; choose an empty place", name);
	}
	return 0;
}

/* Reads the superblock of a creation that was not finished. -ENOENT: there is none. */
static int load_unfinished(struct store *s, struct superblock *ret, struct error *err)
{
	struct error why = {0};
	int r = superblock_load(s, ret, &why);

	if (r < 0)
		return error_set(r == -ENOENT ? NULL : err, r, "%s", error_text(&why, r));
	if (!ret->read_only_feature[0])
		return 0;
	return error_set(err, -EPROTONOSUPPORT,
		"the unfinished volume has the feature \"%s\", which this program does not know",
		ret->read_only_feature);
}

/* Makes and stores a superblock. -EEXIST: somebody else's is there. */
static int store_superblock(struct store *s, struct superblock *ret, struct error *err)
{
	CLEANUP(superblock_done) struct superblock sb = {0};
	struct error why = {0};
	int r = superblock_new(&sb, err);

	if (r < 0)
		return r;
	struct slice text = buf_slice(&sb.text);

	r = store_create(s, SUPERBLOCK_KEY, &text, 1, &why);
	if (r < 0)
		return error_set(r == -EEXIST ? NULL : err, r, "%s", error_text(&why, r));
	*ret = sb;
	sb.text = (struct buf)BUF_INIT;
	return 0;
}

/* When somebody is creating one at this moment, theirs is used: whoever makes the key file wins. */
static int make_superblock(struct store *s, struct superblock *ret, struct error *err)
{
	int r = load_unfinished(s, ret, err);

	if (r != -ENOENT)
		return r;
	r = store_superblock(s, ret, err);
	return r == -EEXIST ? load_unfinished(s, ret, err) : r;
}

/* The key file of a new volume: one slot, one ring key. `secrets`: master key, then ring key. */
static int make_key_file(const struct superblock *sb, const struct keys_options *o,
	const uint8_t *secrets, struct buf *out, struct error *err)
{
	CLEANUP(json_decref_p) json_t *root = json_object();
	json_t *slots = json_array(), *ring = json_array(); /* taken by root */
	int r = root ? fields_put_hex(root, "superblock", sb->digest, sizeof(sb->digest)) : -ENOMEM;

	if (fields_put(root, "slots", slots) < 0 || fields_put(root, "ring", ring) < 0 || r < 0)
		return error_set(err, -ENOMEM, "no memory for a key file");
	r = key_file_add_slot(slots, 1, SLOT_KIND_PASSWORD, o, sb->volume, secrets, err);
	if (r == 0)
		r = key_file_add_ring_key(
			ring, 1, secrets + MASTER_BYTES, sb->volume, secrets, err);
	if (r == 0)
		r = key_file_encode(root, sb->volume, 1, secrets, out, err);
	return r;
}

static int create_key_file(struct store *s, struct slice file, struct error *err)
{
	char name[KEYS_NAME_BYTES];

	keys_name(1, name);
	int r = store_create(s, name, &file, 1, err);

	if (r == -EEXIST)
		return error_set(err, r, "somebody else created a volume here at the same moment");
	return r;
}

int keys_create(
	struct store *s, const struct keys_options *o, struct volume_keys **ret, struct error *err)
{
	CLEANUP(superblock_done) struct superblock sb = {0};
	CLEANUP(key_file_done) struct key_file decoded = {0};
	CLEANUP(keys_free_p) struct volume_keys *k = NULL;
	CLEANUP(buf_done) struct buf file = BUF_INIT;
	CLEANUP(secret_free_p) void *secrets = secret_new(MASTER_BYTES + AEAD_KEY_BYTES);
	int r = key_options_check(o, err);

	if (r < 0)
		return r;
	if (!secrets)
		return error_set(err, -ENOMEM, "no memory for keys");
	r = check_empty(s, err);
	if (r == 0)
		r = make_superblock(s, &sb, err);
	if (r < 0)
		return r;
	env_random(secrets, MASTER_BYTES + AEAD_KEY_BYTES);
	r = make_key_file(&sb, o, secrets, &file, err);
	if (r == 0)
		r = key_file_decode(&file, sb.volume, 1, &decoded, err);
	if (r == 0)
		r = keys_from_file(&decoded, secrets, 0, &sb, &k, err);
	if (r == 0) /* last, because from here on there is a volume */
		r = create_key_file(s, buf_slice(&decoded.raw), err);
	if (r < 0)
		return r;
	*ret = TAKE(k);
	return 0;
}
