/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a key file: slots, ring keys, the object. */
#include "core/base/env.h"
#include "core/seal/key_file_internal.h"
#include "core/seal/secret.h"

#include <assert.h>
#include <sodium.h>

int key_options_check(const struct keys_options *o, struct error *err)
{
	if (!o->password || o->password[0] == '\0')
		return error_set(err, -EINVAL, "the password is empty");
	if (o->kdf_memory && (o->kdf_memory < KDF_MEMORY_MIN || o->kdf_memory > KDF_MEMORY_MAX))
		return error_set(err, -EINVAL,
			"%llu bytes for the key derivation: not within %llu to %llu",
			(unsigned long long)o->kdf_memory, KDF_MEMORY_MIN, KDF_MEMORY_MAX);
	if (o->kdf_passes > KDF_PASSES_MAX)
		return error_set(err, -EINVAL,
			"%u passes of the key derivation: not within %u to %u", o->kdf_passes,
			KDF_PASSES_MIN, KDF_PASSES_MAX);
	return 0;
}

/* Wraps a key under a fresh nonce, into the members "nonce" and `name`. 0 or -ENOMEM. */
static int put_wrapped(json_t *o, const char *name, const uint8_t key[AEAD_KEY_BYTES],
	struct slice aad, const uint8_t plain[AEAD_KEY_BYTES])
{
	uint8_t nonce[WRAP_NONCE_BYTES], wrapped[WRAPPED_BYTES];

	env_random(nonce, sizeof(nonce));
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(wrapped, NULL, plain, AEAD_KEY_BYTES,
		aad.data, aad.len, NULL, nonce, key); /* always 0 */
	if (fields_put_hex(o, "nonce", nonce, sizeof(nonce)) < 0)
		return -ENOMEM;
	return fields_put_hex(o, name, wrapped, sizeof(wrapped));
}

static int put_slot(json_t *o, const struct key_slot *s, const char *kind,
	const uint8_t key[AEAD_KEY_BYTES], const uint8_t *volume, const uint8_t *master)
{
	uint8_t aad[WRAP_AAD_MAX];
	size_t aad_len = wrap_aad(aad, volume, WRAP_LABEL_SLOT, 0);

	if (fields_put(o, "id", json_integer((json_int_t)s->id)) < 0 ||
		fields_put(o, "kind", json_string(kind)) < 0 || fields_put_now(o, "created") < 0 ||
		fields_put(o, "kdf", json_string(SLOT_KDF)) < 0 ||
		fields_put(o, "memory", json_integer((json_int_t)s->memory)) < 0 ||
		fields_put(o, "passes", json_integer((json_int_t)s->passes)) < 0 ||
		fields_put_hex(o, "salt", s->salt, sizeof(s->salt)) < 0)
		return -ENOMEM;
	return put_wrapped(o, "wrapped", key, SLICE(aad, aad_len), master);
}

int key_file_add_slot(json_t *slots, uint64_t id, const char *kind, const struct keys_options *o,
	const uint8_t volume[VOLUME_ID_BYTES], const uint8_t master[MASTER_BYTES],
	struct error *err)
{
	CLEANUP(json_decref_p) json_t *object = json_object();
	struct key_slot s = {
		.id = id,
		.memory = o->kdf_memory ? o->kdf_memory : KDF_MEMORY_DEFAULT,
		.passes = o->kdf_passes ? o->kdf_passes : KDF_PASSES_DEFAULT,
	};
	uint8_t key[AEAD_KEY_BYTES];

	env_random(s.salt, sizeof(s.salt));
	if (derive_password_key(o->password, &s, key) < 0)
		return error_set(err, -ENOMEM, "no memory to derive a key (%llu bytes are needed)",
			(unsigned long long)s.memory);
	int r = object ? put_slot(object, &s, kind, key, volume, master) : -ENOMEM;

	secret_wipe(key, sizeof(key));
	if (r < 0 || json_array_append(slots, object) < 0)
		return error_set(err, -ENOMEM, "no memory for a slot");
	return 0;
}

int key_file_add_ring_key(json_t *ring, uint32_t id, const uint8_t key[AEAD_KEY_BYTES],
	const uint8_t volume[VOLUME_ID_BYTES], const uint8_t master[MASTER_BYTES],
	struct error *err)
{
	CLEANUP(json_decref_p) json_t *object = json_object();
	uint8_t aad[WRAP_AAD_MAX];

	assert(id >= 1);
	size_t aad_len = wrap_aad(aad, volume, WRAP_LABEL_RING, id);

	if (!object || fields_put(object, "id", json_integer(id)) < 0 ||
		fields_put_now(object, "created") < 0 ||
		put_wrapped(object, "sealed", master, SLICE(aad, aad_len), key) < 0 ||
		json_array_append(ring, object) < 0)
		return error_set(err, -ENOMEM, "no memory for a ring key");
	return 0;
}

int key_file_encode(const json_t *json, const uint8_t volume[VOLUME_ID_BYTES], uint64_t number,
	const uint8_t master[MASTER_BYTES], struct buf *out, struct error *err)
{
	struct header h = {.kind = OBJECT_KEYS, .a = number};
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	uint8_t raw[HEADER_BYTES], mac[KEYS_MAC_BYTES];

	memcpy(h.volume, volume, VOLUME_ID_BYTES);
	env_random(h.salt, sizeof(h.salt));
	header_encode(&h, raw);
	if (buf_append(&b, raw, sizeof(raw)) < 0 || fields_encode(json, &b) < 0)
		return error_set(err, -ENOMEM, "no memory for a key file");
	if (b.len > HEADER_BYTES + KEYS_JSON_MAX)
		return error_set(
			err, -EINVAL, "the key file would be larger than %u bytes", KEYS_JSON_MAX);
	key_file_mac(master, buf_slice(&b), mac);
	if (buf_append(&b, mac, sizeof(mac)) < 0)
		return error_set(err, -ENOMEM, "no memory for a key file");
	*out = b;
	b = (struct buf)BUF_INIT;
	return 0;
}
