/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_KEYS_FORMAT_H
#define CORE_SEAL_KEYS_FORMAT_H
/*
 * The key file keys/X (docs/format.md "Key file"):
 *
 *   0   96  header, kind 6, place a = X
 *   96  n   JSON, at most 1 MiB: superblock, slots[], ring[]
 *   96+n 32 MAC: BLAKE2b-256 of all before, keyed with subkey 5 of the master key
 */
#define KEYS_PREFIX "keys/"
#define KEYS_JSON_MAX (1u << 20) /* bytes */
#define KEYS_MAC_BYTES 32
#define KEYS_OBJECT_MAX (HEADER_BYTES + KEYS_JSON_MAX + KEYS_MAC_BYTES)

#define KEYS_SLOTS_MAX 32 /* each may cost a derivation of seconds */
#define KEYS_RING_MAX 1024

#define MASTER_BYTES 32
#define WRAP_NONCE_BYTES 24
#define WRAPPED_BYTES 48 /* 32 bytes of key, 16 of tag */
#define KDF_SALT_BYTES 16
#define KDF_MEMORY_MIN 8192ull	    /* bytes */
#define KDF_MEMORY_MAX (1ull << 30) /* bytes */
#define KDF_PASSES_MIN 1u
#define KDF_PASSES_MAX 16u

#define SLOT_KIND_PASSWORD "password"
#define SLOT_KIND_RECOVERY "recovery"
#define SLOT_KDF "argon2id"

/* AAD: volume id || label, for ring keys || id (4). */
#define WRAP_LABEL_SLOT "slot"
#define WRAP_LABEL_RING "ring"

#define SUBKEY_CONTEXT "zerofs_1" /* of crypto_kdf, 8 bytes */

#endif
