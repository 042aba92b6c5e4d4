/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_BYTES_H
#define CORE_BASE_BYTES_H
/*
 * Stored integers. Everything is little-endian but index keys (big-endian, so that they sort).
 * Varints: 7 bits a byte, least significant first, top bit = more follows; at most 10 bytes,
 * shortest form only.
 */
#include "core/base/buf.h"

#define VARINT_MAX 10 /* bytes */

static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t get_le64(const uint8_t *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}
static inline uint64_t get_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}
static inline void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}
static inline void put_be64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}

/* Writes at most VARINT_MAX bytes; returns how many. */
size_t put_varint(uint8_t *p, uint64_t v);
/* How many bytes put_varint() would write. */
size_t varint_len(uint64_t v);

/*
 * A cursor over untrusted bytes: every read checks the rest. After the first failure `bad` stays
 * set and all reads give 0, so a decoder may read a whole structure and test once.
 */
struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct cursor cursor_of(struct slice s)
{
	return (struct cursor){.p = s.data, .end = s.len ? s.data + s.len : s.data};
}
static inline size_t cursor_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
uint64_t cursor_varint(struct cursor *c); /* not the shortest form, or > 64 bits: bad */
/* A varint that must not exceed `max`; bad otherwise. */
uint64_t cursor_varint_max(struct cursor *c, uint64_t max);
/* `len` bytes borrowed from the input; empty and bad when fewer are left. */
struct slice cursor_bytes(struct cursor *c, uint64_t len);

#endif
