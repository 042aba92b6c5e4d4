/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_KEYS_H
#define CORE_SEAL_KEYS_H
/*
 * From the password to subkeys: superblock, key file, slots, ring (docs/format.md). A `struct
 * volume_keys` may be used by all threads; only keys_refresh() changes it, by adding ring keys.
 */
#include "core/base/cleanup.h"
#include "core/seal/aead.h"
#include "core/store/store.h"

enum subkey {
	SUBKEY_SEGMENT = 1,
	SUBKEY_TABLE = 2,
	SUBKEY_MANIFEST = 3,
	SUBKEY_CLAIM = 4,
	SUBKEY_KEYS = 5,
	SUBKEY_NAME_HASH = 6,
	SUBKEY_HANDLE = 7,
	SUBKEY_CACHE = 8,
};

#define VOLUME_ID_BYTES 16
#define KDF_MEMORY_DEFAULT (64ull << 20) /* bytes */
#define KDF_PASSES_DEFAULT 3

struct volume_keys;

struct keys_options {
	const char *password; /* bytes up to the terminator, at least 1 */
	uint64_t kdf_memory;  /* bytes, 0 = default; 8 KiB .. 1 GiB */
	unsigned kdf_passes;  /* 0 = default; 1 .. 16 */
	bool dry_run;	      /* of a change: do everything but store it */
};

/*
 * Makes a new volume: zerofs.json and keys/1. -EEXIST: the store holds a volume, or something else
 * under the prefix (text says what). Durable when it returns. Interrupted between the two objects,
 * a later call finishes it.
 */
int keys_create(
	struct store *s, const struct keys_options *o, struct volume_keys **ret, struct error *err);
/*
 * Opens an existing volume. -ENOENT not a volume; -EKEYREJECTED wrong password; -EPROTONOSUPPORT
 * newer format or unknown incompatible feature (named); -EBADMSG damaged. *ret_read_only is set
 * when an unknown read-only compatible feature forbids writing.
 */
int keys_open(struct store *s, const struct keys_options *o, struct volume_keys **ret,
	bool *ret_read_only, struct error *err);
/* For whoever opened for writing: deletes key files below the newest (an interrupted change). */
int keys_clean(struct store *s, const struct volume_keys *k, struct error *err);
/*
 * Replaces the password slot that `k` was opened with by one for `o->password`; when it was opened
 * with a recovery key, all password slots. Other slots stay. A new key file is written and the
 * older ones are deleted. Volumes that are open go on. Once it returns 0 the old password opens
 * nothing; after an error either does, and a later call or keys_clean() finishes. -EAGAIN: somebody
 * else changed the key file since `k` was opened; -EPROTONOSUPPORT: an unknown read-only compatible
 * feature forbids it. More changes: keys_slots.h.
 */
int keys_change_password(struct store *s, const struct volume_keys *k, const struct keys_options *o,
	struct error *err);
void keys_free(struct volume_keys *k); /* wipes */
DEFINE_CLEANUP(keys_free, struct volume_keys *);

const uint8_t *keys_volume_id(const struct volume_keys *k); /* VOLUME_ID_BYTES */
const uint8_t *keys_lineage(const struct volume_keys *k);   /* VOLUME_ID_BYTES */
/* zerofs.json as it is stored, a text; proven by the key file. */
const char *keys_superblock_json(const struct volume_keys *k);
/* The unknown feature for which *ret_read_only was set, "" when there is none. */
const char *keys_read_only_feature(const struct volume_keys *k);
uint64_t keys_file_number(const struct volume_keys *k); /* of the key file that counts */
/* Whether key file `number` is authentic, as one that was made after opening is. 0; -ENOENT;
 * -EBADMSG. Waits for the store. */
int keys_verify_file(
	struct store *s, const struct volume_keys *k, uint64_t number, struct error *err);
uint32_t keys_current(const struct volume_keys *k); /* the ring key that seals new objects */
/* 0, or -EBADMSG when the ring has no such key. Name hash and handles always come from ring key 1.
 */
int keys_subkey(const struct volume_keys *k, uint32_t key_id, enum subkey which,
	uint8_t ret[AEAD_KEY_BYTES]);

#endif
