/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CORE_INDEX_TABLE_FORMAT_H
#define CORE_INDEX_TABLE_FORMAT_H
/*
 * The stored layout of a table around its blocks (docs/format.md "Table"): name, footer, index,
 * range deletes, properties. Pure functions; every decoder accepts any bytes and answers -EBADMSG
 * to what does not fit.
 */
#include "core/index/manifest.h"
#include "core/index/record.h"

#define TABLE_FOOTER_BYTES 96
#define TABLE_KEY_BYTES 39 /* "table/", 32 hex digits, terminator */

enum table_part { TABLE_FILTER, TABLE_RANGES, TABLE_INDEX, TABLE_PROPERTIES, TABLE_PARTS };

extern const uint64_t table_part_ordinal[TABLE_PARTS];
extern const char *const table_part_name[TABLE_PARTS];

struct table_footer {
	struct table_footer_part {
		uint64_t offset;
		uint32_t sealed, plain; /* bytes */
	} part[TABLE_PARTS];
	uint64_t size; /* of the whole object */
};

/* The store key of a table. */
void table_key(struct table_id id, char out[TABLE_KEY_BYTES]);

void table_footer_encode(const struct table_footer *f, uint8_t out[TABLE_FOOTER_BYTES]);
/* Checks magic, crc, and that all parts lie between the header and the footer of an object of
 * `size` bytes. */
int table_footer_decode(const uint8_t raw[TABLE_FOOTER_BYTES], uint64_t size,
	struct table_footer *ret, struct error *err);

/* One data block as the table's index knows it. `last` is borrowed from the decoded part. */
struct table_block {
	struct slice last; /* its last user key; the next block may go on with the same key */
	uint64_t offset;
	uint32_t sealed, plain; /* bytes */
};

/* A range delete cut to pieces that do not overlap: [first, end) in groups older than each of
 * `groups` (descending). */
struct table_fragment {
	struct slice first, end;
	uint64_t *groups;
	size_t ngroups;
};

struct table_properties {
	struct buf first, last; /* user keys, as in struct table_meta */
	uint64_t group_low, group_high;
	uint64_t puts, deletes, deltas, ranges;
	struct segment_refs dropped;
};

int table_index_append(struct buf *out, const struct table_block *b, uint64_t previous_end);
/* Blocks lie in [HEADER_BYTES, limit). *ret is one allocation, for free(); it borrows from `plain`.
 * -EBADMSG, -ENOMEM. */
int table_index_decode(struct slice plain, uint64_t limit, struct table_block **ret, size_t *ret_n,
	struct error *err);
/* *ret is one allocation, for free(); it borrows from `plain`. -EBADMSG, -ENOMEM. */
int table_ranges_decode(
	struct slice plain, struct table_fragment **ret, size_t *ret_n, struct error *err);
int table_fragment_append(struct buf *out, const struct table_fragment *f);

int table_properties_encode(const struct table_properties *p, struct buf *out);
int table_properties_decode(struct slice plain, struct table_properties *ret, struct error *err);
void table_properties_done(struct table_properties *p);

#endif
