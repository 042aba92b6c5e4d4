/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_LOG_SEGMENT_FORMAT_H
#define CORE_LOG_SEGMENT_FORMAT_H
/*
 * What surrounds the frames of a segment, as bytes (docs/format.md "Segment"): footer and
 * directory. The parts of the journal are cut in segment.c and joined in segment_read.c; its plain
 * form is journal.c. Pure functions; decoders take any bytes.
 *
 * A segment is dense: header | frames | directory | journal parts | footer, without gaps between
 * the last three. What the footer says is only a hint where to look, because its checksum proves
 * nothing: the sealed parts prove themselves.
 */
#include "core/log/segment.h"

#define FOOTER_BYTES 64
#define FOOTER_MAGIC "ZFSTAIL1"

#define FOOTER_OFF_MAGIC 0	    /* 8 */
#define FOOTER_OFF_DIRECTORY 8	    /* 8: offset */
#define FOOTER_OFF_DIRECTORY_LEN 16 /* 4: sealed length */
#define FOOTER_OFF_FRAMES 20	    /* 4: ordinals in the directory */
#define FOOTER_OFF_JOURNAL 24	    /* 8: offset, 0 = none */
#define FOOTER_OFF_JOURNAL_LEN 32   /* 4: all parts with their length words */
#define FOOTER_OFF_JOURNAL_PARTS 36 /* 4 */
#define FOOTER_OFF_SIZE 40	    /* 8: of the whole object */
#define FOOTER_OFF_CRC 60	    /* 4, after 12 reserved: crc32c of what lies before */

#define DIRECTORY_VERSION 1
#define JOURNAL_VERSION 1
#define JOURNAL_PART_LENGTH_BYTES 4 /* before each part */
/* Per ordinal at most five varints, a version and a count before them. */
#define DIRECTORY_PLAIN_MAX (2 * 10 + SEGMENT_FRAMES_MAX * 5 * 10)

/* The smallest segment: header, an empty directory, footer. Larger than a fence, so that sizes tell
 * the two apart. */
#define SEGMENT_BYTES_MIN (HEADER_BYTES + CODEC_HEADER_BYTES + 2 + AEAD_TAG_BYTES + FOOTER_BYTES)

struct segment_footer {
	uint64_t directory, journal, size;
	uint32_t directory_len, frames, journal_len, journal_parts;
};

void segment_footer_encode(const struct segment_footer *f, uint8_t out[FOOTER_BYTES]);
/* `raw` are the last FOOTER_BYTES of an object of `size` bytes. All ranges of the result lie inside
 * the object. -EBADMSG. */
int segment_footer_decode(
	struct slice raw, uint64_t size, struct segment_footer *ret, struct error *err);

/* 0 or -ENOMEM. */
int segment_directory_encode(const struct segment_directory *d, struct buf *out);
/* `end`: where the frames end. -EBADMSG, -EPROTONOSUPPORT, -ENOMEM. */
int segment_directory_decode(
	struct slice plain, uint64_t end, struct segment_directory *ret, struct error *err);

/* False: not the name of an object of the log. */
bool log_key_parse(const char *key, uint64_t *ret_epoch, uint64_t *ret_sequence);

#endif
