/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_BASE_BUF_H
#define CORE_BASE_BUF_H
/* struct slice borrows bytes, struct buf owns them and grows. Neither is thread-safe. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *data; /* may be NULL when len is 0 */
	size_t len;
};

struct buf {
	uint8_t *data;
	size_t len, cap; /* bytes */
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		0                                                                                  \
	}
#define SLICE(p, n) ((struct slice){.data = (const uint8_t *)(p), .len = (n)})
#define SLICE_STR(s) SLICE((s), strlen(s))

static inline struct slice buf_slice(const struct buf *b)
{
	return SLICE(b->data, b->len);
}

/* Order of bytes as unsigned, a prefix before what it begins. <0, 0, >0. */
int slice_cmp(struct slice a, struct slice b);
bool slice_eq(struct slice a, struct slice b);
bool slice_starts_with(struct slice a, struct slice prefix);
size_t slice_common_prefix(struct slice a, struct slice b);

/* Room for `more` bytes behind the end. 0 or -ENOMEM (contents untouched). */
int buf_reserve(struct buf *b, size_t more);
/* 0 or -ENOMEM. `data` must not lie inside `b`. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_slice(struct buf *b, struct slice s);
int buf_append_u8(struct buf *b, uint8_t v);
int buf_append_le16(struct buf *b, uint16_t v);
int buf_append_le32(struct buf *b, uint32_t v);
int buf_append_le64(struct buf *b, uint64_t v);
int buf_append_be64(struct buf *b, uint64_t v);
int buf_append_varint(struct buf *b, uint64_t v);
/* Appends `len` bytes that the caller fills; NULL on -ENOMEM. */
uint8_t *buf_extend(struct buf *b, size_t len);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_done(struct buf *b);  /* frees it; NULL and empty are fine */

#endif
