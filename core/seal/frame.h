/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_SEAL_FRAME_H
#define CORE_SEAL_FRAME_H
/* Frames: runs of file bytes, packed and sealed (docs/format.md "Segment"). Thread-safe; scratch is
 * the caller's. */
#include "core/seal/codec.h"
#include "core/seal/keys.h"

#define FRAME_PLAIN_MAX 65536 /* bytes */

size_t frame_bound(size_t plain_len); /* most bytes that frame_seal can write */
/* Seals 1..FRAME_PLAIN_MAX bytes given in slices. Returns the sealed length, or -ENOMEM. */
int64_t frame_seal(const struct aead_object *key, const uint8_t lineage[VOLUME_ID_BYTES],
	uint64_t ordinal, struct codec_choice codec, const struct slice *plain, size_t nplain,
	uint8_t *out);
/* Opens into `out` of exactly `plain_len` bytes. `sealed` may be overwritten (scratch). -EBADMSG,
 * -ENOMEM. */
int frame_open(const struct aead_object *key, const uint8_t lineage[VOLUME_ID_BYTES],
	uint64_t ordinal, uint8_t *sealed, size_t sealed_len, uint8_t *out, size_t plain_len);
/* True when all bytes are zero (len may be 0). */
bool bytes_are_zero(const uint8_t *p, size_t len);

#endif
