/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/seal/envelope.h"

#include "core/base/bytes.h"
#include "core/base/cleanup.h"
#include "core/base/crc.h"
#include "core/base/env.h"
#include "core/base/planted.h"
#include "core/seal/envelope_format.h"
#include "core/seal/secret.h"

#include <assert.h>
#include <stdlib.h>

static_assert(HEADER_OFF_CRC + 4 == HEADER_BYTES, "the checksum ends the header");
static_assert(sizeof(HEADER_MAGIC) - 1 == 8, "eight bytes of magic");

void header_encode(const struct header *h, uint8_t out[HEADER_BYTES])
{
	memset(out, 0, HEADER_BYTES);
	memcpy(out + HEADER_OFF_MAGIC, HEADER_MAGIC, 8);
	out[HEADER_OFF_KIND] = (uint8_t)h->kind;
	out[HEADER_OFF_VERSION] = HEADER_VERSION;
	out[HEADER_OFF_CIPHER] = HEADER_CIPHER_XCHACHA;
	put_le32(out + HEADER_OFF_KEY_ID, h->key_id);
	memcpy(out + HEADER_OFF_VOLUME, h->volume, VOLUME_ID_BYTES);
	memcpy(out + HEADER_OFF_SALT, h->salt, AEAD_SALT_BYTES);
	put_le64(out + HEADER_OFF_A, h->a);
	put_le64(out + HEADER_OFF_B, h->b);
	put_le32(out + HEADER_OFF_INCOMPAT, h->incompatible);
	put_le32(out + HEADER_OFF_RO_COMPAT, h->read_only_compatible);
	put_le32(out + HEADER_OFF_COMPAT, h->compatible);
	put_le32(out + HEADER_OFF_CRC, crc32c(0, out, HEADER_OFF_CRC));
}

/* What a program of another age wrote. After the checksum, so that damage is not taken for the
 * future. */
static int check_age(const uint8_t *p, struct error *err)
{
	uint32_t unknown = get_le32(p + HEADER_OFF_INCOMPAT) & ~HEADER_INCOMPAT_KNOWN;

	if (p[HEADER_OFF_VERSION] != HEADER_VERSION)
		return error_set(err, -EPROTONOSUPPORT,
			"object of kind %u has version %u; this program knows version %u",
			p[HEADER_OFF_KIND], p[HEADER_OFF_VERSION], HEADER_VERSION);
	if (p[HEADER_OFF_CIPHER] != HEADER_CIPHER_XCHACHA)
		return error_set(err, -EPROTONOSUPPORT,
			"object is sealed with cipher %u, which this program does not know",
			p[HEADER_OFF_CIPHER]);
	if (unknown)
		return error_set(err, -EPROTONOSUPPORT,
			"object needs the incompatible feature %d, which this program does not know",
			__builtin_ctz(unknown));
	return 0;
}

int header_decode(struct slice raw, struct header *ret, struct error *err)
{
	const uint8_t *p = raw.data;

	if (raw.len < HEADER_BYTES)
		return error_set(
			err, -EBADMSG, "object has %zu bytes, fewer than a header", raw.len);
	if (memcmp(p + HEADER_OFF_MAGIC, HEADER_MAGIC, 8) != 0)
		return error_set(err, -EBADMSG, "object does not begin like one of zerofs");
	if (get_le32(p + HEADER_OFF_CRC) != crc32c(0, p, HEADER_OFF_CRC))
		return error_set(err, -EBADMSG, "checksum of the object's header is wrong");
	if (p[HEADER_OFF_KIND] < OBJECT_SEGMENT || p[HEADER_OFF_KIND] > OBJECT_HEARTBEAT)
		return error_set(err, -EBADMSG, "object is of unknown kind %u", p[HEADER_OFF_KIND]);
	int r = check_age(p, err);

	if (r < 0)
		return r;
	*ret = (struct header){
		.kind = (enum object_kind)p[HEADER_OFF_KIND],
		.key_id = get_le32(p + HEADER_OFF_KEY_ID),
		.a = get_le64(p + HEADER_OFF_A),
		.b = get_le64(p + HEADER_OFF_B),
		.incompatible = get_le32(p + HEADER_OFF_INCOMPAT),
		.read_only_compatible = get_le32(p + HEADER_OFF_RO_COMPAT),
		.compatible = get_le32(p + HEADER_OFF_COMPAT),
	};
	memcpy(ret->volume, p + HEADER_OFF_VOLUME, VOLUME_ID_BYTES);
	memcpy(ret->salt, p + HEADER_OFF_SALT, AEAD_SALT_BYTES);
	return 0;
}

static enum subkey subkey_of(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_SEGMENT:
	case OBJECT_FENCE:
		return SUBKEY_SEGMENT;
	case OBJECT_TABLE:
		return SUBKEY_TABLE;
	case OBJECT_MANIFEST:
		return SUBKEY_MANIFEST;
	case OBJECT_CLAIM:
	case OBJECT_HEARTBEAT:
		return SUBKEY_CLAIM;
	case OBJECT_KEYS:
		break;
	}
	return SUBKEY_KEYS;
}

/* Derives the key of the object whose header is already in `e`. */
static int derive_key(const struct volume_keys *k, struct envelope *e, struct error *err)
{
	uint8_t subkey[AEAD_KEY_BYTES];
	int r = keys_subkey(k, e->header.key_id, subkey_of(e->header.kind), subkey);

	if (r < 0)
		return error_set(err, r,
			"object is sealed with ring key %u, which the key file does not hold",
			e->header.key_id);
	aead_object_init(&e->key, subkey, e->header.salt);
	secret_wipe(subkey, sizeof(subkey));
	return 0;
}

int envelope_new(const struct volume_keys *k, enum object_kind kind, uint64_t a, uint64_t b,
	struct envelope *ret, struct error *err)
{
	struct envelope e = {.header = {.kind = kind, .key_id = keys_current(k), .a = a, .b = b}};

	assert(kind != OBJECT_KEYS); /* has a MAC instead of sealed parts */
	memcpy(e.header.volume, keys_volume_id(k), VOLUME_ID_BYTES);
	if (!planted(PLANTED_NONCE_REUSE))
		env_random(e.header.salt, sizeof(e.header.salt));
	int r = derive_key(k, &e, err);

	if (r < 0)
		return r;
	header_encode(&e.header, e.raw);
	*ret = e;
	return 0;
}

int envelope_open(const struct volume_keys *k, struct slice raw, unsigned kinds, uint64_t a,
	uint64_t b, const uint8_t *salt, struct envelope *ret, struct error *err)
{
	struct envelope e = {0};
	int r = header_decode(raw, &e.header, err);

	assert(!(kinds & 1u << OBJECT_KEYS));
	if (r < 0)
		return r;
	if (!(kinds & 1u << e.header.kind))
		return error_set(err, -EBADMSG, "object is of kind %d, which does not belong here",
			e.header.kind);
	if (memcmp(e.header.volume, keys_volume_id(k), VOLUME_ID_BYTES) != 0)
		return error_set(err, -EBADMSG, "object belongs to another volume");
	if (e.header.a != a || e.header.b != b)
		return error_set(err, -EBADMSG,
			"object was written for another place (%llx/%llx instead of %llx/%llx)",
			(unsigned long long)e.header.a, (unsigned long long)e.header.b,
			(unsigned long long)a, (unsigned long long)b);
	if (salt && memcmp(e.header.salt, salt, AEAD_SALT_BYTES) != 0)
		return error_set(
			err, -EBADMSG, "object is not the one that was recorded (other salt)");
	r = derive_key(k, &e, err);
	if (r < 0)
		return r;
	memcpy(e.raw, raw.data, HEADER_BYTES);
	*ret = e;
	return 0;
}

static void part_aad(
	uint8_t aad[PART_AAD_BYTES], const struct envelope *e, uint64_t ordinal, uint32_t aad_len)
{
	memcpy(aad, e->raw, HEADER_BYTES);
	put_le64(aad + HEADER_BYTES, ordinal);
	put_le32(aad + HEADER_BYTES + 8, aad_len);
}

size_t part_bound(size_t plain_len)
{
	return codec_bound(plain_len) + AEAD_TAG_BYTES;
}

int part_seal(const struct envelope *e, uint64_t ordinal, uint32_t aad_len,
	struct codec_choice codec, struct slice plain, struct buf *out, struct error *err)
{
	uint8_t aad[PART_AAD_BYTES];

	assert(plain.len <= CODEC_PLAIN_MAX);
	assert(aad_len == 0 || aad_len == plain.len);
	int r = buf_reserve(out, part_bound(plain.len));

	if (r < 0)
		return error_set(err, r, "no memory to seal %zu bytes", plain.len);
	uint8_t *p = out->data + out->len;
	int64_t packed = codec_pack(codec, &plain, 1, p);

	if (packed < 0)
		return error_set(err, (int)packed, "no memory to pack %zu bytes", plain.len);
	part_aad(aad, e, ordinal, aad_len);
	r = aead_seal(&e->key, ordinal, SLICE(aad, sizeof(aad)), SLICE(p, (size_t)packed), p);
	if (r < 0)
		return error_set(err, r, "no memory to seal %zu bytes", plain.len);
	out->len += (size_t)packed + AEAD_TAG_BYTES;
	return 0;
}

/* Unpacks behind the end of `out`. */
static int unpack_part(struct slice packed, uint32_t aad_len, size_t max_plain, struct buf *out,
	const char *what, struct error *err)
{
	int64_t len = codec_plain_len(packed);

	if (len < 0)
		return error_set(err, -EBADMSG, "%s is not a packed part", what);
	if ((uint64_t)len > max_plain || (aad_len && len != aad_len))
		return error_set(err, -EBADMSG,
			"%s has %lld plain bytes, more than it may or was recorded", what,
			(long long)len);
	int r = buf_reserve(out, (size_t)len);

	if (r == 0)
		r = codec_unpack(packed, out->data + out->len, (size_t)len);
	if (r == -EBADMSG)
		return error_set(err, r, "%s does not decompress", what);
	if (r < 0)
		return error_set(err, r, "no memory to unpack %s", what);
	out->len += (size_t)len;
	return 0;
}

int part_open(const struct envelope *e, uint64_t ordinal, uint32_t aad_len, struct slice sealed,
	size_t max_plain, struct buf *out, const char *what, struct error *err)
{
	uint8_t aad[PART_AAD_BYTES];

	if (sealed.len < CODEC_HEADER_BYTES + AEAD_TAG_BYTES || sealed.len > part_bound(max_plain))
		return error_set(
			err, -EBADMSG, "%s has %zu bytes, which cannot be", what, sealed.len);
	size_t packed_len = sealed.len - AEAD_TAG_BYTES;
	CLEANUP(free_p) uint8_t *packed = malloc(packed_len);

	if (!packed)
		return error_set(err, -ENOMEM, "no memory to open %s", what);
	part_aad(aad, e, ordinal, aad_len);
	int r = aead_open(&e->key, ordinal, SLICE(aad, sizeof(aad)), sealed, packed);

	if (r == -EBADMSG)
		return error_set(
			err, r, "%s is not authentic: damaged, or not what belongs here", what);
	if (r < 0)
		return error_set(err, r, "no memory to open %s", what);
	return unpack_part(SLICE(packed, packed_len), aad_len, max_plain, out, what, err);
}
