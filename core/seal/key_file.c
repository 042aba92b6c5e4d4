/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a key file: everything here works on bytes that nobody has vouched for until the MAC is
 * verified. */
#include "core/seal/key_file.h"

#include "core/base/bytes.h"
#include "core/seal/key_file_internal.h"
#include "core/seal/recovery.h"
#include "core/seal/secret.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

static_assert(crypto_pwhash_argon2id_SALTBYTES == KDF_SALT_BYTES, "salt size");
static_assert(crypto_pwhash_argon2id_MEMLIMIT_MIN <= KDF_MEMORY_MIN, "least memory");
static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == WRAP_NONCE_BYTES, "nonce size");
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES + AEAD_KEY_BYTES == WRAPPED_BYTES, "size");
static_assert(MASTER_BYTES == AEAD_KEY_BYTES, "both kinds of key are wrapped alike");

static bool is_text(const json_t *object, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text && strcmp(text, value) == 0;
}

static int decode_slot(const json_t *o, struct key_slot *s, struct error *err)
{
	uint64_t passes;

	if (!fields_text(o, "kind", 64, err) || !fields_text(o, "kdf", 64, err))
		return -EBADMSG;
	int r = fields_u64(o, "id", 0, INT64_MAX, &s->id, err);

	if (r < 0)
		return r;
	/* Slots of later programs are left alone. */
	s->recovery = is_text(o, "kind", SLOT_KIND_RECOVERY);
	s->usable = (s->recovery || is_text(o, "kind", SLOT_KIND_PASSWORD)) &&
		    is_text(o, "kdf", SLOT_KDF);
	if (!s->usable)
		return 0;
	r = fields_u64(o, "memory", KDF_MEMORY_MIN, KDF_MEMORY_MAX, &s->memory, err);
	if (r == 0)
		r = fields_u64(o, "passes", KDF_PASSES_MIN, KDF_PASSES_MAX, &passes, err);
	if (r == 0)
		r = fields_hex(o, "salt", s->salt, sizeof(s->salt), err);
	if (r == 0)
		r = fields_hex(o, "nonce", s->nonce, sizeof(s->nonce), err);
	if (r == 0)
		r = fields_hex(o, "wrapped", s->wrapped, sizeof(s->wrapped), err);
	if (r == 0)
		s->passes = (unsigned)passes;
	return r;
}

static int decode_slots(struct key_file *f, struct error *err)
{
	const json_t *slots = fields_array(f->json, "slots", KEYS_SLOTS_MAX, err);

	if (!slots)
		return -EBADMSG;
	f->nslots = json_array_size(slots);
	f->slots = calloc(f->nslots + 1, sizeof(f->slots[0]));
	if (!f->slots)
		return error_set(err, -ENOMEM, "no memory for a key file");
	for (size_t i = 0; i < f->nslots; i++) {
		int r = decode_slot(json_array_get(slots, i), &f->slots[i], err);

		if (r < 0) {
			(void)error_prefix(err, "slot %zu", i);
			return r;
		}
	}
	return 0;
}

static int decode_ring_key(const json_t *o, struct key_ring_entry *e, struct error *err)
{
	uint64_t id;
	int r = fields_u64(o, "id", 1, UINT32_MAX, &id, err);

	if (r == 0)
		r = fields_hex(o, "nonce", e->nonce, sizeof(e->nonce), err);
	if (r == 0)
		r = fields_hex(o, "sealed", e->sealed, sizeof(e->sealed), err);
	if (r == 0)
		e->id = (uint32_t)id;
	return r;
}

static int decode_ring(struct key_file *f, struct error *err)
{
	const json_t *ring = fields_array(f->json, "ring", KEYS_RING_MAX, err);

	if (!ring)
		return -EBADMSG;
	f->nring = json_array_size(ring);
	if (f->nring == 0)
		return error_set(err, -EBADMSG, "the ring is empty");
	f->ring = calloc(f->nring, sizeof(f->ring[0]));
	if (!f->ring)
		return error_set(err, -ENOMEM, "no memory for a key file");
	for (size_t i = 0; i < f->nring; i++) {
		int r = decode_ring_key(json_array_get(ring, i), &f->ring[i], err);

		if (r < 0) {
			(void)error_prefix(err, "ring key %zu", i);
			return r;
		}
		if (i > 0 && f->ring[i].id <= f->ring[i - 1].id)
			return error_set(err, -EBADMSG, "the ids of the ring do not rise");
	}
	return 0;
}

static int check_header(
	const struct header *h, const uint8_t *volume, uint64_t number, struct error *err)
{
	if (h->kind != OBJECT_KEYS)
		return error_set(err, -EBADMSG, "object of kind %d is not a key file", h->kind);
	if (memcmp(h->volume, volume, VOLUME_ID_BYTES) != 0)
		return error_set(err, -EBADMSG, "key file belongs to another volume");
	if (h->a != number || h->b != 0 || h->key_id != 0)
		return error_set(err, -EBADMSG, "key file was written for another place");
	return 0;
}

int key_file_decode(struct buf *raw, const uint8_t volume[VOLUME_ID_BYTES], uint64_t number,
	struct key_file *ret, struct error *err)
{
	CLEANUP(key_file_done) struct key_file f = {0};
	int r = header_decode(buf_slice(raw), &f.header, err);

	if (r == 0)
		r = check_header(&f.header, volume, number, err);
	if (r < 0)
		return r;
	if (raw->len < HEADER_BYTES + KEYS_MAC_BYTES || raw->len > KEYS_OBJECT_MAX)
		return error_set(
			err, -EBADMSG, "key file has %zu bytes, which cannot be", raw->len);
	struct slice text =
		SLICE(raw->data + HEADER_BYTES, raw->len - HEADER_BYTES - KEYS_MAC_BYTES);

	r = fields_parse(text, &f.json, err);
	if (r == 0)
		r = fields_hex(f.json, "superblock", f.superblock, sizeof(f.superblock), err);
	if (r == 0)
		r = decode_slots(&f, err);
	if (r == 0)
		r = decode_ring(&f, err);
	if (r < 0)
		return r;
	*ret = f;
	ret->raw = *raw;
	*raw = (struct buf)BUF_INIT;
	f = (struct key_file){0};
	return 0;
}

void key_file_done(struct key_file *f)
{
	buf_done(&f->raw);
	json_decref(f->json);
	free(f->slots);
	free(f->ring);
	*f = (struct key_file){0};
}

size_t wrap_aad(uint8_t aad[WRAP_AAD_MAX], const uint8_t volume[VOLUME_ID_BYTES], const char *label,
	uint32_t ring_id)
{
	size_t n = VOLUME_ID_BYTES;

	memcpy(aad, volume, n);
	memcpy(aad + n, label, 4);
	n += 4;
	if (ring_id) {
		put_le32(aad + n, ring_id);
		n += 4;
	}
	return n;
}

int derive_password_key(const char *password, const struct key_slot *s, uint8_t ret[AEAD_KEY_BYTES])
{
	assert(s->memory <= KDF_MEMORY_MAX && s->passes <= KDF_PASSES_MAX);
	if (crypto_pwhash(ret, AEAD_KEY_BYTES, password, strlen(password), s->salt, s->passes,
		    (size_t)s->memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return -ENOMEM; /* the only reason that is left */
	return 0;
}

/* Opens a wrapped key. False when it is not authentic. */
static bool unwrap(const uint8_t key[AEAD_KEY_BYTES], const uint8_t *nonce, struct slice aad,
	const uint8_t wrapped[WRAPPED_BYTES], uint8_t ret[AEAD_KEY_BYTES])
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(
		       ret, NULL, NULL, wrapped, WRAPPED_BYTES, aad.data, aad.len, nonce, key) == 0;
}

/* 0, -EKEYREJECTED, or -ENOMEM. */
static int try_slot(const struct key_file *f, const struct key_slot *s, const char *password,
	uint8_t master[MASTER_BYTES], struct error *err)
{
	uint8_t aad[WRAP_AAD_MAX], key[AEAD_KEY_BYTES];
	size_t aad_len = wrap_aad(aad, f->header.volume, WRAP_LABEL_SLOT, 0);
	int r = derive_password_key(password, s, key);

	if (r < 0)
		return error_set(err, r, "no memory to derive a key (%llu bytes are needed)",
			(unsigned long long)s->memory);
	bool ok = unwrap(key, s->nonce, SLICE(aad, aad_len), s->wrapped, master);

	secret_wipe(key, sizeof(key));
	return ok ? 0 : -EKEYREJECTED;
}

int key_file_unlock(const struct key_file *f, const char *password, uint8_t master[MASTER_BYTES],
	size_t *ret_slot, struct error *err)
{
	char recovery[RECOVERY_TEXT_BYTES];
	int mistake = recovery_parse(password, recovery), r = -EKEYREJECTED;
	size_t usable = 0, recoveries = 0;

	for (size_t i = 0; i < f->nslots && r == -EKEYREJECTED; i++) {
		const struct key_slot *s = &f->slots[i];

		if (!s->usable)
			continue;
		usable++;
		recoveries += s->recovery;
		r = try_slot(f, s, s->recovery && mistake == 0 ? recovery : password, master, err);
		if (r == 0)
			*ret_slot = i;
	}
	secret_wipe(recovery, sizeof(recovery));
	if (!usable)
		return error_set(
			err, -EPROTONOSUPPORT, "no slot is of a kind that this program knows");
	if (r == -EKEYREJECTED && recoveries && mistake > 0)
		return error_set(err, r,
			"wrong password; if it is a recovery key, there is a typing mistake in group %d of it",
			mistake);
	return r == -EKEYREJECTED ? error_set(err, r, "wrong password") : r;
}

void key_file_mac(
	const uint8_t master[MASTER_BYTES], struct slice what, uint8_t mac[KEYS_MAC_BYTES])
{
	uint8_t key[AEAD_KEY_BYTES];

	(void)crypto_kdf_derive_from_key(key, sizeof(key), SUBKEY_KEYS, SUBKEY_CONTEXT, master);
	(void)crypto_generichash(mac, KEYS_MAC_BYTES, what.data, what.len, key, sizeof(key));
	secret_wipe(key, sizeof(key));
}

bool key_file_verify(const struct key_file *f, const uint8_t master[MASTER_BYTES])
{
	size_t covered = f->raw.len - KEYS_MAC_BYTES;
	uint8_t mac[KEYS_MAC_BYTES];

	key_file_mac(master, SLICE(f->raw.data, covered), mac);
	return sodium_memcmp(mac, f->raw.data + covered, KEYS_MAC_BYTES) == 0;
}

bool key_file_ring_key(const struct key_file *f, size_t i, const uint8_t master[MASTER_BYTES],
	uint8_t ret[AEAD_KEY_BYTES])
{
	const struct key_ring_entry *e = &f->ring[i];
	uint8_t aad[WRAP_AAD_MAX];
	size_t aad_len = wrap_aad(aad, f->header.volume, WRAP_LABEL_RING, e->id);

	return unwrap(master, e->nonce, SLICE(aad, aad_len), e->sealed, ret);
}
