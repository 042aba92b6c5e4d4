/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_AEAD_H
#define CORE_SEAL_AEAD_H
/*
 * XChaCha20-Poly1305 with the nonce salt || ordinal (docs/format.md "Sealing"): HChaCha20 once per
 * object, then ChaCha20-Poly1305 by libcrypto (libsodium where libcrypto cannot). Thread-safe: no
 * state but the key.
 */
#include "core/base/buf.h"
#include "core/base/error.h"

#define AEAD_KEY_BYTES 32
#define AEAD_SALT_BYTES 16
#define AEAD_TAG_BYTES 16

#define ORDINAL_DIRECTORY (1ull << 63)
#define ORDINAL_JOURNAL ((1ull << 63) + 1)
#define ORDINAL_FENCE ((1ull << 63) + 2)
#define ORDINAL_MANIFEST ((1ull << 63) + 3)
#define ORDINAL_CLAIM ((1ull << 63) + 4)
#define ORDINAL_HEARTBEAT ((1ull << 63) + 5)
#define ORDINAL_TABLE_INDEX ((1ull << 63) + 6)
#define ORDINAL_TABLE_FILTER ((1ull << 63) + 7)
#define ORDINAL_TABLE_RANGES ((1ull << 63) + 8)
#define ORDINAL_TABLE_PROPERTIES ((1ull << 63) + 9)
#define ORDINAL_JOURNAL_PART(i) ((i) ? (1ull << 63) + 4096 + (i) : ORDINAL_JOURNAL)

/* The key of one object: plain data; wipe with secret_wipe when it was on the stack for long. */
struct aead_object {
	uint8_t key[AEAD_KEY_BYTES];
};

/* Which library does the work. The bytes are the same; libcrypto is preferred where it has the
 * cipher. */
enum aead_engine { AEAD_LIBCRYPTO, AEAD_LIBSODIUM };
enum aead_engine aead_engine(void);
/* Asks for an engine, for tests and measurements; libcrypto is still used only where it can. Any
 * thread, any time. */
void aead_use(enum aead_engine engine);

void aead_object_init(struct aead_object *o, const uint8_t subkey[AEAD_KEY_BYTES],
	const uint8_t salt[AEAD_SALT_BYTES]);
/* Writes len + AEAD_TAG_BYTES bytes to `out`, which may be `plain` itself. 0, or -ENOMEM. */
int aead_seal(const struct aead_object *o, uint64_t ordinal, struct slice aad, struct slice plain,
	uint8_t *out);
/* Writes sealed.len - AEAD_TAG_BYTES bytes to `out`, which may be sealed.data itself. 0; -EBADMSG
 * (too short, or not authentic: `out` is then worthless); -ENOMEM. */
int aead_open(const struct aead_object *o, uint64_t ordinal, struct slice aad, struct slice sealed,
	uint8_t *out);

#endif
