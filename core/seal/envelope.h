/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_ENVELOPE_H
#define CORE_SEAL_ENVELOPE_H
/*
 * The 96-byte header of every object, and packed, sealed parts under it (docs/format.md "Header",
 * "Sealing"). Frames have functions of their own because their AAD is not the header.
 */
#include "core/seal/codec.h"
#include "core/seal/keys.h"

#define HEADER_BYTES 96

enum object_kind {
	OBJECT_SEGMENT = 1,
	OBJECT_FENCE = 2,
	OBJECT_TABLE = 3,
	OBJECT_MANIFEST = 4,
	OBJECT_CLAIM = 5,
	OBJECT_KEYS = 6,
	OBJECT_HEARTBEAT = 7,
};

struct header {
	enum object_kind kind;
	uint32_t key_id;
	uint8_t volume[VOLUME_ID_BYTES];
	uint8_t salt[AEAD_SALT_BYTES];
	uint64_t a, b; /* place */
	uint32_t incompatible, read_only_compatible, compatible;
};

/* An object being written or read: its header bytes and its key. Plain data. */
struct envelope {
	struct header header;
	uint8_t raw[HEADER_BYTES];
	struct aead_object key;
};

void header_encode(const struct header *h, uint8_t out[HEADER_BYTES]);
/* -EBADMSG, or -EPROTONOSUPPORT for versions and features from the future. */
int header_decode(struct slice raw, struct header *ret, struct error *err);

/* A new object of the current ring key with a fresh random salt. 0 or -EBADMSG (ring without
 * current key). */
int envelope_new(const struct volume_keys *k, enum object_kind kind, uint64_t a, uint64_t b,
	struct envelope *ret, struct error *err);
/*
 * Reads the header of a stored object and checks it against where it was found: kind (a set bit per
 * acceptable kind, 1u << OBJECT_SEGMENT | ...), volume, places. `salt`, when not NULL, comes from
 * another source and must equal the header's. The header itself is proven only by opening a sealed
 * part under it.
 */
int envelope_open(const struct volume_keys *k, struct slice raw, unsigned kinds, uint64_t a,
	uint64_t b, const uint8_t *salt, struct envelope *ret, struct error *err);

/* Most bytes that part_seal can append for a plain length. */
size_t part_bound(size_t plain_len);
/* Packs, seals, appends to `out`. `aad_len`: see docs/format.md (plain length when the reader knows
 * it, else 0). */
int part_seal(const struct envelope *e, uint64_t ordinal, uint32_t aad_len,
	struct codec_choice codec, struct slice plain, struct buf *out, struct error *err);
/* Opens and unpacks, appends to `out`; at most `max_plain` plain bytes. -EBADMSG names the part by
 * `what`. */
int part_open(const struct envelope *e, uint64_t ordinal, uint32_t aad_len, struct slice sealed,
	size_t max_plain, struct buf *out, const char *what, struct error *err);

#endif
