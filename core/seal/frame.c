/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/frame.h"

#include "core/base/bytes.h"

#include <assert.h>

#define FRAME_AAD_BYTES (VOLUME_ID_BYTES + 12)

/* Neither place nor volume: a collector moves sealed frames and clones share them (docs/format.md
 * "Sealing"). */
static void frame_aad(uint8_t aad[FRAME_AAD_BYTES], const uint8_t lineage[VOLUME_ID_BYTES],
	uint64_t ordinal, size_t plain_len)
{
	memcpy(aad, lineage, VOLUME_ID_BYTES);
	put_le64(aad + VOLUME_ID_BYTES, ordinal);
	put_le32(aad + VOLUME_ID_BYTES + 8, (uint32_t)plain_len);
}

size_t frame_bound(size_t plain_len)
{
	return codec_bound(plain_len) + AEAD_TAG_BYTES;
}

int64_t frame_seal(const struct aead_object *key, const uint8_t lineage[VOLUME_ID_BYTES],
	uint64_t ordinal, struct codec_choice codec, const struct slice *plain, size_t nplain,
	uint8_t *out)
{
	uint8_t aad[FRAME_AAD_BYTES];
	size_t plain_len = 0;

	for (size_t i = 0; i < nplain; i++)
		plain_len += plain[i].len;
	assert(plain_len >= 1 && plain_len <= FRAME_PLAIN_MAX);
	int64_t packed = codec_pack(codec, plain, nplain, out);

	if (packed < 0)
		return packed;
	frame_aad(aad, lineage, ordinal, plain_len);
	int r = aead_seal(key, ordinal, SLICE(aad, sizeof(aad)), SLICE(out, (size_t)packed), out);

	return r < 0 ? r : packed + AEAD_TAG_BYTES;
}

int frame_open(const struct aead_object *key, const uint8_t lineage[VOLUME_ID_BYTES],
	uint64_t ordinal, uint8_t *sealed, size_t sealed_len, uint8_t *out, size_t plain_len)
{
	uint8_t aad[FRAME_AAD_BYTES];

	if (plain_len < 1 || plain_len > FRAME_PLAIN_MAX)
		return -EBADMSG;
	frame_aad(aad, lineage, ordinal, plain_len);
	int r = aead_open(key, ordinal, SLICE(aad, sizeof(aad)), SLICE(sealed, sealed_len), sealed);

	if (r < 0)
		return r;
	return codec_unpack(SLICE(sealed, sealed_len - AEAD_TAG_BYTES), out, plain_len);
}

bool bytes_are_zero(const uint8_t *p, size_t len)
{
	size_t head = len < 16 ? len : 16;

	for (size_t i = 0; i < head; i++)
		if (p[i])
			return false;
	return len <= 16 || memcmp(p, p + 16, len - 16) == 0;
}
