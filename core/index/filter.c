/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/filter.h"

#include "core/base/bytes.h"

#define HASH_SEED 0xa5b35705f0a1c2e7ull
#define HASH_WORD 0xd6e8feb86659fd93ull
#define HASH_LENGTH 0x8ebc6af09c88c6e3ull
#define HASH_PROBE 0xc2b2ae3d27d4eb4full

/* The two halves of the product, one upon the other: every bit of the input reaches every bit of
 * the result. */
static uint64_t fold_product(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t filter_hash(struct slice key)
{
	uint64_t h = HASH_SEED;
	size_t at = 0;

	for (; key.len - at >= 8; at += 8)
		h = fold_product(h ^ get_le64(key.data + at), HASH_WORD) + HASH_SEED;
	if (at < key.len) {
		uint8_t tail[8] = {0};

		memcpy(tail, key.data + at, key.len - at);
		h = fold_product(h ^ get_le64(tail), HASH_WORD) + HASH_SEED;
	}
	return fold_product(h ^ key.len, HASH_LENGTH);
}

/* The upper half of the hash picks the line, nine bits of its product each a bit of the line. */
static size_t line_of(uint64_t hash, uint32_t lines)
{
	return (size_t)((hash >> 32) * lines >> 32) * FILTER_LINE_BYTES;
}

static unsigned probe(uint64_t bits, unsigned i)
{
	return (unsigned)(bits >> (55 - 9 * i)) & 511;
}

int filter_build(const uint64_t *hashes, size_t n, struct buf *out)
{
	uint64_t bits = (uint64_t)n * FILTER_BITS_PER_KEY, line_bits = FILTER_LINE_BYTES * 8;
	uint64_t lines = bits / line_bits + (bits % line_bits != 0);

	if (lines > FILTER_LINES_MAX)
		lines = FILTER_LINES_MAX;
	if (buf_reserve(out, 4 + (size_t)lines * FILTER_LINE_BYTES) < 0)
		return -ENOMEM;
	(void)buf_append_le32(out, (uint32_t)lines); /* reserved, like the next */
	uint8_t *p = buf_extend(out, (size_t)lines * FILTER_LINE_BYTES);

	memset(p, 0, (size_t)lines * FILTER_LINE_BYTES);
	for (size_t k = 0; k < n; k++) {
		uint8_t *line = p + line_of(hashes[k], (uint32_t)lines);
		uint64_t product = hashes[k] * HASH_PROBE;

		for (unsigned i = 0; i < FILTER_PROBES; i++)
			line[probe(product, i) / 8] |= (uint8_t)(1u << probe(product, i) % 8);
	}
	return 0;
}

int filter_check(struct slice filter)
{
	if (filter.len < 4)
		return -EBADMSG;
	uint32_t lines = get_le32(filter.data);

	if (lines > FILTER_LINES_MAX || filter.len - 4 != (size_t)lines * FILTER_LINE_BYTES)
		return -EBADMSG;
	return 0;
}

bool filter_has(struct slice filter, uint64_t hash)
{
	uint32_t lines = get_le32(filter.data);

	if (lines == 0)
		return false;
	const uint8_t *line = filter.data + 4 + line_of(hash, lines);
	uint64_t product = hash * HASH_PROBE;

	for (unsigned i = 0; i < FILTER_PROBES; i++)
		if (!(line[probe(product, i) / 8] >> probe(product, i) % 8 & 1))
			return false;
	return true;
}
