/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Borrowed slices and growing buffers. */
#include "core/base/buf.h"

#include "core/base/bytes.h"

#include <errno.h>
#include <stdlib.h>

#define BUF_FIRST_BYTES 64

int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.data, b.data, n) : 0;

	if (r)
		return r;
	return a.len < b.len ? -1 : a.len > b.len;
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool slice_starts_with(struct slice a, struct slice prefix)
{
	if (a.len < prefix.len)
		return false;
	return prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0;
}

size_t slice_common_prefix(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len, i = 0;

	while (i < n && a.data[i] == b.data[i])
		i++;
	return i;
}

int buf_reserve(struct buf *b, size_t more)
{
	if (more <= b->cap - b->len)
		return 0;
	if (more > SIZE_MAX / 2 - b->len)
		return -ENOMEM;
	size_t need = b->len + more, cap = b->cap ? b->cap : BUF_FIRST_BYTES;

	while (cap < need)
		cap *= 2;
	uint8_t *data = realloc(b->data, cap);

	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

uint8_t *buf_extend(struct buf *b, size_t len)
{
	/* One byte even for nothing, so that NULL means ENOMEM only. */
	if (buf_reserve(b, len ? len : 1) < 0)
		return NULL;
	uint8_t *at = b->data + b->len;

	b->len += len;
	return at;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	uint8_t *at = buf_extend(b, len);

	if (!at)
		return -ENOMEM;
	memcpy(at, data, len);
	return 0;
}

int buf_append_slice(struct buf *b, struct slice s)
{
	return buf_append(b, s.data, s.len);
}

int buf_append_u8(struct buf *b, uint8_t v)
{
	return buf_append(b, &v, 1);
}

int buf_append_le16(struct buf *b, uint16_t v)
{
	uint8_t bytes[2];

	put_le16(bytes, v);
	return buf_append(b, bytes, sizeof(bytes));
}

int buf_append_le32(struct buf *b, uint32_t v)
{
	uint8_t bytes[4];

	put_le32(bytes, v);
	return buf_append(b, bytes, sizeof(bytes));
}

int buf_append_le64(struct buf *b, uint64_t v)
{
	uint8_t bytes[8];

	put_le64(bytes, v);
	return buf_append(b, bytes, sizeof(bytes));
}

int buf_append_be64(struct buf *b, uint64_t v)
{
	uint8_t bytes[8];

	put_be64(bytes, v);
	return buf_append(b, bytes, sizeof(bytes));
}

int buf_append_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[VARINT_MAX];

	return buf_append(b, bytes, put_varint(bytes, v));
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

void buf_done(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	*b = (struct buf)BUF_INIT;
}
