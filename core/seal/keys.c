/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening a volume's keys. Which key file counts: the highest number whose MAC verifies under the
 * master key. The master key is the same in all of them, so a password that opens an older file is
 * enough to tell that a newer one counts, and that the password is no longer good.
 */
#include "core/seal/keys.h"

#include "core/base/hex.h"
#include "core/seal/envelope_format.h"
#include "core/seal/keys_internal.h"
#include "core/seal/secret.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS_FILES_MAX 16 /* newest key files that are looked at */
#define KEYS_LOAD_TRIES 4 /* listings, when files vanish between LIST and GET */

static_assert(sizeof(SUBKEY_CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES, "context size");
static_assert(AEAD_KEY_BYTES == crypto_kdf_KEYBYTES, "key size");

void keys_name(uint64_t number, char out[KEYS_NAME_BYTES])
{
	memcpy(out, KEYS_PREFIX, sizeof(KEYS_PREFIX) - 1);
	hex_encode_u64(number, out + sizeof(KEYS_PREFIX) - 1);
}

int keys_list(struct store *s, struct key_numbers *ret, struct error *err)
{
	CLEANUP(store_list_done) struct store_list names = {0};
	struct key_numbers l = {0};
	int r = store_list_all(s, KEYS_PREFIX, NULL, &names, err);

	if (r < 0)
		return r;
	l.v = calloc(names.n + 1, sizeof(l.v[0]));
	if (!l.v)
		return error_set(err, -ENOMEM, "no memory for the list of key files");
	for (size_t i = names.n; i-- > 0;) {
		const char *digits = names.entries[i].key + strlen(KEYS_PREFIX);
		uint64_t number;

		if (hex_decode_u64(digits, strlen(digits), &number) && number > 0)
			l.v[l.n++] = number;
	}
	*ret = l;
	return 0;
}

void key_numbers_done(struct key_numbers *l)
{
	free(l->v);
}

int keys_load_file(struct store *s, uint64_t number, const uint8_t volume[VOLUME_ID_BYTES],
	struct key_file *ret, struct error *err)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT;
	char name[KEYS_NAME_BYTES];

	keys_name(number, name);
	int r = store_get_all(s, name, KEYS_OBJECT_MAX, &raw, err);

	if (r < 0)
		return r;
	r = key_file_decode(&raw, volume, number, ret, err);
	if (r < 0)
		(void)error_prefix(err, "%s", name);
	return r;
}

static int fill_ring(const struct key_file *f, const uint8_t master[MASTER_BYTES],
	struct key_ring *ring, struct error *err)
{
	for (size_t i = 0; i < f->nring; i++) {
		if (!key_file_ring_key(f, i, master, ring->key[i].key))
			return error_set(err, -EBADMSG, "ring key %u does not open", f->ring[i].id);
		ring->key[i].id = f->ring[i].id;
	}
	if (ring->key[0].id != 1)
		return error_set(err, -EBADMSG, "ring key 1 is missing");
	return 0;
}

int key_ring_open(const struct key_file *f, struct volume_keys *k, struct error *err)
{
	struct key_ring *ring = secret_new(sizeof(*ring) + f->nring * sizeof(ring->key[0]));

	if (!ring)
		return error_set(err, -ENOMEM, "no memory for keys");
	ring->n = f->nring;
	ring->older = atomic_load(&k->ring);
	int r = fill_ring(f, k->master, ring, err);

	if (r < 0)
		secret_free(ring);
	else
		atomic_store(&k->ring, ring);
	return r;
}

int keys_from_file(const struct key_file *f, const uint8_t master[MASTER_BYTES], size_t slot,
	struct superblock *sb, struct volume_keys **ret, struct error *err)
{
	CLEANUP(keys_free_p) struct volume_keys *k = secret_new(sizeof(*k));
	uint32_t unknown = f->header.read_only_compatible & ~HEADER_RO_COMPAT_KNOWN;

	if (!k)
		return error_set(err, -ENOMEM, "no memory for keys");
	if (memcmp(f->superblock, sb->digest, SUPERBLOCK_DIGEST_BYTES) != 0)
		return error_set(err, -EBADMSG,
			"%s is not the one that the key file was made for: damaged or replaced",
			SUPERBLOCK_KEY);
	memcpy(k->master, master, MASTER_BYTES);
	k->number = f->header.a;
	k->slot = f->slots[slot].id;
	k->by_recovery = f->slots[slot].recovery;
	int r = key_ring_open(f, k, err);

	if (r < 0)
		return r;
	memcpy(k->read_only_feature, sb->read_only_feature, sizeof(k->read_only_feature));
	if (unknown && !k->read_only_feature[0])
		(void)snprintf(k->read_only_feature, sizeof(k->read_only_feature),
			"key file feature %d", __builtin_ctz(unknown));
	k->superblock = *sb;
	sb->text = (struct buf)BUF_INIT;
	*ret = TAKE(k);
	return 0;
}

/* One key file that was found, as far as it could be read. */
struct candidate {
	bool intact;
	struct key_file file; /* when intact */
};

struct search {
	size_t n;
	struct candidate *files; /* newest first */
	struct error rejection;	 /* the password opens no slot of some intact file */
	struct error damage;	 /* of the newest file that is damaged */
};

static void search_done(struct search *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->files[i].intact)
			key_file_done(&s->files[i].file);
	free(s->files);
	*s = (struct search){0};
}

/* Notes damage, so that an older file may be tried; other errors end the search. */
static int note_damage(struct search *s, int r, const struct error *why, struct error *err)
{
	if (r != -EBADMSG)
		return error_set(err, r, "%s", error_text(why, r));
	if (!s->damage.code)
		s->damage = *why;
	return 0;
}

/* Reads all key files. -EAGAIN: one went away meanwhile. -ENOENT: there is none. */
static int load_files(
	struct store *s, const struct superblock *sb, struct search *ret, struct error *err)
{
	CLEANUP(key_numbers_done) struct key_numbers l = {0};
	int r = keys_list(s, &l, err);

	if (r < 0)
		return r;
	if (l.n == 0)
		return error_set(err, -ENOENT, "there is no key file");
	ret->files = calloc(l.n, sizeof(ret->files[0]));
	if (!ret->files)
		return error_set(err, -ENOMEM, "no memory for key files");
	for (size_t i = 0; i < l.n && i < KEYS_FILES_MAX; i++) {
		struct candidate *c = &ret->files[ret->n];
		struct error why = {0};

		r = keys_load_file(s, l.v[i], sb->volume, &c->file, &why);
		if (r == -ENOENT)
			return error_set(err, -EAGAIN, "key files are being changed; try again");
		c->intact = r == 0;
		ret->n++;
		if (r < 0) {
			r = note_damage(ret, r, &why, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Tries the password on each file, newest first. Gives the index of the one that it opens and that
 * is authentic. */
static int unlock_any(struct search *s, const char *password, uint8_t master[MASTER_BYTES],
	size_t *ret, size_t *ret_slot, struct error *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct error why = {0};
		char name[KEYS_NAME_BYTES];

		if (!s->files[i].intact)
			continue;
		keys_name(s->files[i].file.header.a, name);
		int r = key_file_unlock(&s->files[i].file, password, master, ret_slot, &why);

		if (r == 0 && key_file_verify(&s->files[i].file, master)) {
			*ret = i;
			return 0;
		}
		if (r == -EKEYREJECTED) {
			if (!s->rejection.code)
				s->rejection = why;
			continue;
		}
		if (r == 0)
			r = error_set(&why, -EBADMSG, "%s: not authentic (its MAC is wrong)", name);
		r = note_damage(s, r, &why, err);
		if (r < 0)
			return r;
	}
	if (!s->rejection.code)
		return error_set(err, -EBADMSG, "%s", error_text(&s->damage, -EBADMSG));
	if (s->damage.code)
		return error_set(
			err, -EKEYREJECTED, "%s (and %s)", s->rejection.text, s->damage.text);
	return error_set(err, -EKEYREJECTED, "%s", s->rejection.text);
}

/* Finds the file that counts and opens its ring. `master` is scratch, wiped by the caller. */
static int open_found(struct search *found, const char *password, uint8_t master[MASTER_BYTES],
	struct superblock *sb, struct volume_keys **ret, struct error *err)
{
	size_t opened = 0, slot = 0;
	int r = unlock_any(found, password, master, &opened, &slot, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < opened; i++)
		if (found->files[i].intact && key_file_verify(&found->files[i].file, master))
			return error_set(err, -EKEYREJECTED, "wrong password: it has been changed");
	return keys_from_file(&found->files[opened].file, master, slot, sb, ret, err);
}

/* -EAGAIN and -ENOENT as load_files. */
static int open_once(struct store *s, const char *password, struct superblock *sb,
	struct volume_keys **ret, struct error *err)
{
	CLEANUP(search_done) struct search found = {0};
	uint8_t master[MASTER_BYTES];
	int r = load_files(s, sb, &found, err);

	if (r < 0)
		return r;
	r = open_found(&found, password, master, sb, ret, err);
	secret_wipe(master, sizeof(master));
	return r;
}

/* What a volume without key file is: one whose creation was cut off, or one that lost its keys. */
static int explain_no_keys(struct store *s, struct error *err)
{
	CLEANUP(store_list_done) struct store_list page = {0};
	int r = s->ops->list(s, "", NULL, &page, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < page.n; i++)
		if (strcmp(page.entries[i].key, SUPERBLOCK_KEY) != 0)
			return error_set(err, -EBADMSG,
				"the key file of the volume is gone: its data cannot be read");
	return error_set(err, -ENOENT, "the volume was never finished: create it again");
}

int keys_open(struct store *s, const struct keys_options *o, struct volume_keys **ret,
	bool *ret_read_only, struct error *err)
{
	CLEANUP(superblock_done) struct superblock sb = {0};
	int r = key_options_check(o, err);

	if (r < 0)
		return r;
	r = superblock_load(s, &sb, err);
	if (r == -ENOENT)
		return error_set(err, r, "%s is missing", SUPERBLOCK_KEY);
	if (r < 0)
		return r;
	struct error why = {0};

	r = -EAGAIN;
	for (unsigned i = 0; r == -EAGAIN && i < KEYS_LOAD_TRIES; i++)
		r = open_once(s, o->password, &sb, ret, &why);
	if (r == -ENOENT)
		return explain_no_keys(s, err);
	if (r < 0)
		return error_set(err, r, "%s", error_text(&why, r));
	*ret_read_only = (*ret)->read_only_feature[0] != '\0';
	return 0;
}

void keys_free(struct volume_keys *k)
{
	if (!k)
		return;
	for (struct key_ring *r = atomic_load(&k->ring), *older; r; r = older) {
		older = r->older;
		secret_free(r);
	}
	superblock_done(&k->superblock);
	secret_free(k);
}

const uint8_t *keys_volume_id(const struct volume_keys *k)
{
	return k->superblock.volume;
}

const uint8_t *keys_lineage(const struct volume_keys *k)
{
	return k->superblock.lineage;
}

const char *keys_superblock_json(const struct volume_keys *k)
{
	return (const char *)k->superblock.text.data;
}

const char *keys_read_only_feature(const struct volume_keys *k)
{
	return k->read_only_feature;
}

int keys_verify_file(
	struct store *s, const struct volume_keys *k, uint64_t number, struct error *err)
{
	struct key_file f;
	int r = keys_load_file(s, number, k->superblock.volume, &f, err);

	if (r < 0)
		return r;
	r = key_file_verify(&f, k->master)
		    ? 0
		    : error_set(err, -EBADMSG, "it is not authentic (its MAC is wrong)");
	key_file_done(&f);
	return r;
}

uint64_t keys_file_number(const struct volume_keys *k)
{
	return k->number;
}

uint32_t keys_current(const struct volume_keys *k)
{
	const struct key_ring *ring = atomic_load(&k->ring);

	return ring->key[ring->n - 1].id;
}

int keys_subkey(const struct volume_keys *k, uint32_t key_id, enum subkey which,
	uint8_t ret[AEAD_KEY_BYTES])
{
	const struct key_ring *ring = atomic_load(&k->ring);

	if (which == SUBKEY_NAME_HASH || which == SUBKEY_HANDLE)
		key_id = 1;
	for (size_t i = ring->n; i-- > 0;) {
		if (ring->key[i].id != key_id)
			continue;
		(void)crypto_kdf_derive_from_key(ret, AEAD_KEY_BYTES, which, SUBKEY_CONTEXT,
			ring->key[i].key); /* always 0 */
		return 0;
	}
	return -EBADMSG;
}
