/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_LOG_FIXTURE_H
#define TESTS_UNIT_LOG_FIXTURE_H
/* What the tests of core/log share: frames with known bytes. */
#include "core/base/cleanup.h"
#include "core/log/segment.h"
#include "core/seal/frame.h"
#include "tests/unit/seal-fixture.h"

#define FIXTURE_FRAME 1000 /* plain bytes of most frames */

/* The bytes of a frame follow from its number. */
static inline void fixture_plain(uint64_t number, uint8_t *out, size_t len)
{
	struct rng r = rng_of(number + 1);

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)rng_below(&r, 256);
}

/* Seals `n` frames with numbers from `number` into one block, as a sealer does. */
static inline uint8_t *fixture_block(const struct volume_keys *k, const struct segment *s,
	uint64_t ordinal, uint64_t number, unsigned n, struct sealed_frame *frames, size_t *ret_len)
{
	uint8_t *block = malloc(n * frame_bound(FIXTURE_FRAME)), plain[FIXTURE_FRAME];
	struct slice part = SLICE(plain, sizeof(plain));

	*ret_len = 0;
	for (unsigned i = 0; i < n; i++) {
		fixture_plain(number + i, plain, sizeof(plain));
		int64_t len = frame_seal(segment_key(s), keys_lineage(k), ordinal + i,
			(struct codec_choice){.codec = CODEC_LZ4}, &part, 1, block + *ret_len);

		ck_assert_int_gt(len, 0);
		frames[i] = (struct sealed_frame){.sealed_len = (size_t)len,
			.inode = number + i,
			.offset = (number + i) * FIXTURE_FRAME,
			.plain_len = FIXTURE_FRAME};
		*ret_len += (size_t)len;
	}
	return block;
}

/* Reserves, seals and appends `n` frames. Their bytes are charged as a sealer charges them. */
static inline void fixture_append(const struct volume_keys *k, struct segment *s, struct budget *b,
	uint64_t number, unsigned n, struct frame_place *places)
{
	struct sealed_frame frames[16];
	uint64_t first;
	size_t len;

	ck_assert_int_eq(segment_reserve(s, n, n * FIXTURE_FRAME, &first), 0);
	uint8_t *block = fixture_block(k, s, first, number, n, frames, &len);

	if (b)
		budget_force(b, BUDGET_COMMIT, len);
	segment_append(s, first, n, frames, n, block, b ? len : 0, places);
}

/* Whether the sealed bytes are frame `number`. */
static inline bool fixture_opens(const struct volume_keys *k, const struct aead_object *key,
	uint64_t ordinal, uint64_t number, struct slice sealed)
{
	uint8_t want[FIXTURE_FRAME], got[FIXTURE_FRAME], copy[4096];

	ck_assert_uint_le(sealed.len, sizeof(copy));
	memcpy(copy, sealed.data, sealed.len);
	fixture_plain(number, want, sizeof(want));
	return frame_open(key, keys_lineage(k), ordinal, copy, sealed.len, got, sizeof(got)) == 0 &&
	       memcmp(want, got, sizeof(got)) == 0;
}

/* The object's bytes in one piece. */
static inline struct buf fixture_object(struct segment *s)
{
	struct buf out = BUF_INIT;
	struct slice *parts;
	size_t n;

	ck_assert_int_eq(segment_object(s, &parts, &n), 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(buf_append_slice(&out, parts[i]), 0);
	free(parts);
	ck_assert_uint_eq(out.len, segment_size(s));
	return out;
}

/* The plain journal of a group with one segment and this block. */
static inline struct buf fixture_journal(
	const struct segment *s, uint64_t group, uint64_t previous, struct slice block)
{
	struct journal_segment list = {.sequence = segment_sequence(s)};
	struct journal j = {.group = group,
		.previous = previous,
		.time_ns = -5,
		.nsegments = 1,
		.segments = &list,
		.block = block};
	struct buf out = BUF_INIT;

	memcpy(list.salt, segment_salt(s), AEAD_SALT_BYTES);
	ck_assert_int_eq(journal_encode(&j, &out), 0);
	return out;
}

#endif
