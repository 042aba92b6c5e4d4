/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/log/segment_format.h"

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/crc.h"
#include "core/base/hex.h"
#include "core/seal/frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static_assert(FOOTER_OFF_CRC + 4 == FOOTER_BYTES, "the checksum ends the footer");
static_assert(sizeof(FOOTER_MAGIC) - 1 == 8, "eight bytes of magic");
static_assert(FENCE_BYTES < SEGMENT_BYTES_MIN, "no segment is as small as a fence");
static_assert(DIRECTORY_PLAIN_MAX <= CODEC_PLAIN_MAX, "a directory is one part");

#define LOG_PREFIX "log/"

void log_key(char out[LOG_KEY_MAX], uint64_t epoch, uint64_t sequence)
{
	(void)snprintf(out, LOG_KEY_MAX, LOG_PREFIX "%016llx/%016llx", (unsigned long long)epoch,
		(unsigned long long)sequence); /* always fits */
}

bool log_key_parse(const char *key, uint64_t *ret_epoch, uint64_t *ret_sequence)
{
	size_t prefix = strlen(LOG_PREFIX);

	return strlen(key) == prefix + 2 * HEX_U64_DIGITS + 1 &&
	       strncmp(key, LOG_PREFIX, prefix) == 0 && key[prefix + HEX_U64_DIGITS] == '/' &&
	       hex_decode_u64(key + prefix, HEX_U64_DIGITS, ret_epoch) &&
	       hex_decode_u64(key + prefix + HEX_U64_DIGITS + 1, HEX_U64_DIGITS, ret_sequence);
}

/* ---- footer ---- */

void segment_footer_encode(const struct segment_footer *f, uint8_t out[FOOTER_BYTES])
{
	memset(out, 0, FOOTER_BYTES);
	memcpy(out + FOOTER_OFF_MAGIC, FOOTER_MAGIC, 8);
	put_le64(out + FOOTER_OFF_DIRECTORY, f->directory);
	put_le32(out + FOOTER_OFF_DIRECTORY_LEN, f->directory_len);
	put_le32(out + FOOTER_OFF_FRAMES, f->frames);
	put_le64(out + FOOTER_OFF_JOURNAL, f->journal);
	put_le32(out + FOOTER_OFF_JOURNAL_LEN, f->journal_len);
	put_le32(out + FOOTER_OFF_JOURNAL_PARTS, f->journal_parts);
	put_le64(out + FOOTER_OFF_SIZE, f->size);
	put_le32(out + FOOTER_OFF_CRC, crc32c(0, out, FOOTER_OFF_CRC));
}

int segment_footer_decode(
	struct slice raw, uint64_t size, struct segment_footer *ret, struct error *err)
{
	const uint8_t *p = raw.data;

	if (raw.len != FOOTER_BYTES || size < SEGMENT_BYTES_MIN)
		return error_set(err, -EBADMSG, "%llu bytes are too few for a segment",
			(unsigned long long)size);
	if (memcmp(p + FOOTER_OFF_MAGIC, FOOTER_MAGIC, 8) != 0)
		return error_set(err, -EBADMSG, "the segment does not end with a footer");
	if (get_le32(p + FOOTER_OFF_CRC) != crc32c(0, p, FOOTER_OFF_CRC))
		return error_set(err, -EBADMSG, "checksum of the segment's footer is wrong");
	struct segment_footer f = {
		.directory = get_le64(p + FOOTER_OFF_DIRECTORY),
		.directory_len = get_le32(p + FOOTER_OFF_DIRECTORY_LEN),
		.frames = get_le32(p + FOOTER_OFF_FRAMES),
		.journal = get_le64(p + FOOTER_OFF_JOURNAL),
		.journal_len = get_le32(p + FOOTER_OFF_JOURNAL_LEN),
		.journal_parts = get_le32(p + FOOTER_OFF_JOURNAL_PARTS),
		.size = get_le64(p + FOOTER_OFF_SIZE),
	};
	uint64_t end = size - FOOTER_BYTES, tail = (uint64_t)f.directory_len + f.journal_len;

	if (f.size != size)
		return error_set(err, -EBADMSG, "the segment has %llu bytes instead of %llu",
			(unsigned long long)size, (unsigned long long)f.size);
	if (f.directory < HEADER_BYTES || f.directory > end || end - f.directory != tail ||
		f.frames > SEGMENT_FRAMES_MAX)
		return error_set(err, -EBADMSG, "the segment's footer contradicts its size");
	if (f.journal ? f.journal != f.directory + f.directory_len || f.journal_parts == 0 ||
				f.journal_len == 0
		      : f.journal_parts != 0 || f.journal_len != 0)
		return error_set(err, -EBADMSG, "the segment's footer misplaces the journal");
	*ret = f;
	return 0;
}

/* ---- directory ---- */

void segment_directory_done(struct segment_directory *d)
{
	free(d->frames);
	*d = (struct segment_directory){0};
}

/* Frames lie in the order in which their sealing finished, so a gap may be negative: it is written
 * modulo 2^64. */
int segment_directory_encode(const struct segment_directory *d, struct buf *out)
{
	uint64_t at = HEADER_BYTES;
	int r = buf_append_u8(out, DIRECTORY_VERSION);

	if (r == 0)
		r = buf_append_varint(out, d->n);
	for (size_t i = 0; r == 0 && i < d->n; i++) {
		const struct segment_directory_entry *e = &d->frames[i];
		uint8_t raw[5 * VARINT_MAX];
		size_t n = put_varint(raw, e->sealed_len ? e->offset - at : 0);

		n += put_varint(raw + n, e->sealed_len);
		n += put_varint(raw + n, e->inode);
		n += put_varint(raw + n, e->file_offset);
		n += put_varint(raw + n, e->plain_len);
		if (e->sealed_len)
			at = e->offset + e->sealed_len;
		r = buf_append(out, raw, n);
	}
	return r;
}

/* False: it does not fit. */
static bool directory_entry(
	struct cursor *c, uint64_t end, uint64_t *at, struct segment_directory_entry *ret)
{
	uint64_t gap = cursor_varint(c);
	uint64_t sealed_len = cursor_varint_max(c, frame_bound(FRAME_PLAIN_MAX));
	uint64_t inode = cursor_varint(c);
	uint64_t file_offset = cursor_varint(c);
	uint64_t plain_len = cursor_varint_max(c, FRAME_PLAIN_MAX);
	uint64_t offset = *at + gap;

	if (c->bad || (sealed_len == 0) != (plain_len == 0))
		return false;
	if (sealed_len == 0) {
		*ret = (struct segment_directory_entry){0};
		return gap == 0 && inode == 0 && file_offset == 0;
	}
	if (offset < HEADER_BYTES || !range_within(offset, sealed_len, end))
		return false;
	*at = offset + sealed_len;
	*ret = (struct segment_directory_entry){
		.offset = offset,
		.inode = inode,
		.file_offset = file_offset,
		.sealed_len = (uint32_t)sealed_len,
		.plain_len = (uint32_t)plain_len,
	};
	return true;
}

int segment_directory_decode(
	struct slice plain, uint64_t end, struct segment_directory *ret, struct error *err)
{
	struct cursor c = cursor_of(plain);
	unsigned version = cursor_u8(&c);
	uint64_t n = cursor_varint_max(&c, SEGMENT_FRAMES_MAX), at = HEADER_BYTES;
	struct segment_directory d = {0};

	if (!c.bad && version != DIRECTORY_VERSION)
		return error_set(
			err, -EPROTONOSUPPORT, "the segment's directory has version %u", version);
	if (c.bad || n > cursor_left(&c) / 5)
		return error_set(err, -EBADMSG, "the segment's directory is cut short");
	d.frames = calloc(n ? n : 1, sizeof(*d.frames));
	if (!d.frames)
		return error_set(err, -ENOMEM, "no memory for the directory of a segment");
	for (; d.n < n; d.n++)
		if (!directory_entry(&c, end, &at, &d.frames[d.n]))
			break;
	if (d.n < n || cursor_left(&c) > 0) {
		int r = error_set(
			err, -EBADMSG, "entry %zu of the segment's directory does not fit", d.n);

		segment_directory_done(&d);
		return r;
	}
	*ret = d;
	return 0;
}
