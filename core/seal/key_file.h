/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_KEY_FILE_H
#define CORE_SEAL_KEY_FILE_H
/*
 * One key file: decoding untrusted bytes, opening slots, verifying the MAC, encoding
 * (docs/format.md "Key file"). Knows no store. A decoded file is immutable.
 */
#include "core/seal/envelope.h"
#include "core/seal/fields.h"
#include "core/seal/keys_format.h"
#include "core/seal/superblock.h"

struct key_slot {
	uint64_t id;
	bool usable;	 /* a kind and a derivation that this program knows */
	bool recovery;	 /* its password is a recovery key */
	uint64_t memory; /* bytes */
	unsigned passes;
	uint8_t salt[KDF_SALT_BYTES], nonce[WRAP_NONCE_BYTES], wrapped[WRAPPED_BYTES];
};

struct key_ring_entry {
	uint32_t id;
	uint8_t nonce[WRAP_NONCE_BYTES], sealed[WRAPPED_BYTES];
};

struct key_file {
	struct header header;
	struct buf raw; /* the whole object */
	json_t *json;
	uint8_t superblock[SUPERBLOCK_DIGEST_BYTES]; /* digest that it binds */
	size_t nslots, nring;
	struct key_slot *slots;
	struct key_ring_entry *ring; /* at least one, rising ids */
};

/*
 * Takes the contents of `raw` on success. Nothing is proven yet. -EBADMSG, -EPROTONOSUPPORT,
 * -ENOMEM. Refuses costs of the derivation beyond the limits here, before anything is derived.
 */
int key_file_decode(struct buf *raw, const uint8_t volume[VOLUME_ID_BYTES], uint64_t number,
	struct key_file *ret, struct error *err);
void key_file_done(struct key_file *f);

/* Tries the password on every slot: expensive. A recovery key may be typed in any of its forms.
 * *ret_slot: which one it opened. -EKEYREJECTED none opens; -EPROTONOSUPPORT no slot is of a known
 * kind; -ENOMEM. */
int key_file_unlock(const struct key_file *f, const char *password, uint8_t master[MASTER_BYTES],
	size_t *ret_slot, struct error *err);
/* Whether the MAC was made with this master key: whether the file counts. */
bool key_file_verify(const struct key_file *f, const uint8_t master[MASTER_BYTES]);
/* Opens ring key `i`. False when it is not authentic. */
bool key_file_ring_key(const struct key_file *f, size_t i, const uint8_t master[MASTER_BYTES],
	uint8_t ret[AEAD_KEY_BYTES]);

/* 0, or -EINVAL naming the option. */
int key_options_check(const struct keys_options *o, struct error *err);
/* A new slot for the password, appended to the array: expensive. -ENOMEM. */
int key_file_add_slot(json_t *slots, uint64_t id, const char *kind, const struct keys_options *o,
	const uint8_t volume[VOLUME_ID_BYTES], const uint8_t master[MASTER_BYTES],
	struct error *err);
/* A ring key, appended to the array. -ENOMEM. */
int key_file_add_ring_key(json_t *ring, uint32_t id, const uint8_t key[AEAD_KEY_BYTES],
	const uint8_t volume[VOLUME_ID_BYTES], const uint8_t master[MASTER_BYTES],
	struct error *err);
/* The object: header with a fresh salt, JSON, MAC. -ENOMEM. */
int key_file_encode(const json_t *json, const uint8_t volume[VOLUME_ID_BYTES], uint64_t number,
	const uint8_t master[MASTER_BYTES], struct buf *out, struct error *err);

#endif
