/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Varints and the cursor over untrusted bytes. */
#include "core/base/bytes.h"

size_t put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		p[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	p[n++] = (uint8_t)v;
	return n;
}

size_t varint_len(uint64_t v)
{
	size_t n = 1;

	while (v >= 0x80) {
		v >>= 7;
		n++;
	}
	return n;
}

/* The next `n` bytes, which are there; NULL and bad when they are not. */
static const uint8_t *take(struct cursor *c, size_t n)
{
	if (cursor_left(c) < n) {
		c->bad = true;
		return NULL;
	}
	const uint8_t *p = c->p;

	c->p += n;
	return p;
}

uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p ? *p : 0;
}

uint16_t cursor_le16(struct cursor *c)
{
	const uint8_t *p = take(c, 2);

	return p ? get_le16(p) : 0;
}

uint32_t cursor_le32(struct cursor *c)
{
	const uint8_t *p = take(c, 4);

	return p ? get_le32(p) : 0;
}

uint64_t cursor_le64(struct cursor *c)
{
	const uint8_t *p = take(c, 8);

	return p ? get_le64(p) : 0;
}

uint64_t cursor_be64(struct cursor *c)
{
	const uint8_t *p = take(c, 8);

	return p ? get_be64(p) : 0;
}

uint64_t cursor_varint(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < VARINT_MAX; i++) {
		uint8_t byte = cursor_u8(c);

		if (c->bad)
			return 0;
		/* The tenth byte has room for the one bit that is left of 64. */
		if (i == VARINT_MAX - 1 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if (byte == 0 && i > 0)
			break; /* not the shortest form */
		return v;
	}
	c->bad = true;
	return 0;
}

uint64_t cursor_varint_max(struct cursor *c, uint64_t max)
{
	uint64_t v = cursor_varint(c);

	if (v > max) {
		c->bad = true;
		return 0;
	}
	return v;
}

struct slice cursor_bytes(struct cursor *c, uint64_t len)
{
	if (c->bad || len > cursor_left(c)) {
		c->bad = true;
		return SLICE(NULL, 0);
	}
	struct slice s = SLICE(c->p, (size_t)len);

	if (len)
		c->p += len;
	return s;
}
