/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/table_format.h"

#include "core/base/bytes.h"
#include "core/base/checked.h"
#include "core/base/crc.h"
#include "core/base/hex.h"
#include "core/seal/codec.h"
#include "core/seal/envelope.h"

#include <assert.h>
#include <stdlib.h>

#define FOOTER_MAGIC "ZFSTABL1"
#define FOOTER_OFF_PARTS 8 /* 4 times: offset (8), sealed length (4), plain length (4) */
#define FOOTER_OFF_SIZE 72 /* 8 */
#define FOOTER_OFF_CRC 92  /* 4, after 12 reserved */
#define FOOTER_PART_BYTES 16
#define INDEX_ENTRY_MIN 5 /* bytes: key length, one byte of key, gap, sealed, plain */
#define FRAGMENT_MIN 6	  /* bytes: two lengths, two keys, a count, a group */
#define PROPERTIES_VERSION 1

static_assert(FOOTER_OFF_PARTS + TABLE_PARTS * FOOTER_PART_BYTES == FOOTER_OFF_SIZE,
	"the parts of the footer");
static_assert(FOOTER_OFF_CRC + 4 == TABLE_FOOTER_BYTES, "the checksum ends the footer");

const uint64_t table_part_ordinal[TABLE_PARTS] = {
	[TABLE_FILTER] = ORDINAL_TABLE_FILTER,
	[TABLE_RANGES] = ORDINAL_TABLE_RANGES,
	[TABLE_INDEX] = ORDINAL_TABLE_INDEX,
	[TABLE_PROPERTIES] = ORDINAL_TABLE_PROPERTIES,
};
const char *const table_part_name[TABLE_PARTS] = {
	[TABLE_FILTER] = "filter of a table",
	[TABLE_RANGES] = "range deletes of a table",
	[TABLE_INDEX] = "index of a table",
	[TABLE_PROPERTIES] = "properties of a table",
};

void table_key(struct table_id id, char out[TABLE_KEY_BYTES])
{
	memcpy(out, "table/", 6);
	hex_encode_u64(id.job, out + 6);
	hex_encode_u64(id.counter, out + 6 + HEX_U64_DIGITS);
}

/* ---- footer ---- */

void table_footer_encode(const struct table_footer *f, uint8_t out[TABLE_FOOTER_BYTES])
{
	memset(out, 0, TABLE_FOOTER_BYTES);
	memcpy(out, FOOTER_MAGIC, 8);
	for (int i = 0; i < TABLE_PARTS; i++) {
		uint8_t *p = out + FOOTER_OFF_PARTS + i * FOOTER_PART_BYTES;

		put_le64(p, f->part[i].offset);
		put_le32(p + 8, f->part[i].sealed);
		put_le32(p + 12, f->part[i].plain);
	}
	put_le64(out + FOOTER_OFF_SIZE, f->size);
	put_le32(out + FOOTER_OFF_CRC, crc32c(0, out, FOOTER_OFF_CRC));
}

int table_footer_decode(const uint8_t raw[TABLE_FOOTER_BYTES], uint64_t size,
	struct table_footer *ret, struct error *err)
{
	struct table_footer f = {.size = get_le64(raw + FOOTER_OFF_SIZE)};

	if (memcmp(raw, FOOTER_MAGIC, 8) != 0)
		return error_set(err, -EBADMSG, "footer of a table does not begin like one");
	if (get_le32(raw + FOOTER_OFF_CRC) != crc32c(0, raw, FOOTER_OFF_CRC))
		return error_set(err, -EBADMSG, "checksum of a table's footer is wrong");
	if (f.size != size || size < HEADER_BYTES + TABLE_FOOTER_BYTES)
		return error_set(err, -EBADMSG, "a table of %llu bytes says that it has %llu",
			(unsigned long long)size, (unsigned long long)f.size);
	for (int i = 0; i < TABLE_PARTS; i++) {
		const uint8_t *p = raw + FOOTER_OFF_PARTS + i * FOOTER_PART_BYTES;

		f.part[i] =
			(struct table_footer_part){get_le64(p), get_le32(p + 8), get_le32(p + 12)};
		if (f.part[i].offset < HEADER_BYTES || f.part[i].plain > CODEC_PLAIN_MAX ||
			!range_within(
				f.part[i].offset, f.part[i].sealed, size - TABLE_FOOTER_BYTES))
			return error_set(
				err, -EBADMSG, "%s lies outside of it", table_part_name[i]);
	}
	*ret = f;
	return 0;
}

/* ---- index ---- */

static int append_key(struct buf *out, struct slice key)
{
	int r = buf_append_varint(out, key.len);

	return r < 0 ? r : buf_append_slice(out, key);
}

static struct slice cursor_key(struct cursor *c)
{
	uint64_t len = cursor_varint_max(c, RECORD_KEY_MAX);

	if (len == 0)
		c->bad = true;
	return cursor_bytes(c, len);
}

int table_index_append(struct buf *out, const struct table_block *b, uint64_t previous_end)
{
	assert(b->offset >= previous_end);
	if (append_key(out, b->last) < 0 || buf_append_varint(out, b->offset - previous_end) < 0 ||
		buf_append_varint(out, b->sealed) < 0 || buf_append_varint(out, b->plain) < 0)
		return -ENOMEM;
	return 0;
}

static bool decode_block(struct cursor *c, uint64_t *at, uint64_t limit, struct table_block *b)
{
	b->last = cursor_key(c);
	uint64_t gap = cursor_varint_max(c, limit - *at);

	b->offset = *at + gap;
	b->sealed = (uint32_t)cursor_varint_max(c, UINT32_MAX);
	b->plain = (uint32_t)cursor_varint_max(c, CODEC_PLAIN_MAX);
	if (c->bad || b->sealed > limit - b->offset)
		return false;
	*at = b->offset + b->sealed;
	return true;
}

int table_index_decode(struct slice plain, uint64_t limit, struct table_block **ret, size_t *ret_n,
	struct error *err)
{
	struct cursor c = cursor_of(plain);
	uint64_t n = cursor_varint_max(&c, plain.len / INDEX_ENTRY_MIN), at = HEADER_BYTES;
	struct table_block *blocks;

	if (c.bad || limit < HEADER_BYTES)
		return error_set(err, -EBADMSG, "index of a table does not decode");
	blocks = calloc(n + 1, sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++)
		if (!decode_block(&c, &at, limit, &blocks[i]) ||
			(i && slice_cmp(blocks[i - 1].last, blocks[i].last) > 0))
			c.bad = true;
	if (c.bad || cursor_left(&c)) {
		free(blocks);
		return error_set(err, -EBADMSG, "index of a table does not decode");
	}
	*ret = blocks;
	*ret_n = (size_t)n;
	return 0;
}

/* ---- range deletes ---- */

int table_fragment_append(struct buf *out, const struct table_fragment *f)
{
	if (append_key(out, f->first) < 0 || append_key(out, f->end) < 0 ||
		buf_append_varint(out, f->ngroups) < 0)
		return -ENOMEM;
	for (size_t g = 0; g < f->ngroups; g++) {
		uint64_t group = f->groups[g];

		assert(group > 0 && (g == 0 || group < f->groups[g - 1]));
		if (buf_append_varint(out, g ? f->groups[g - 1] - group : group) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* One fragment; its groups go to `groups` unless that is NULL. */
static void decode_fragment(struct cursor *c, struct table_fragment *f, uint64_t *groups)
{
	uint64_t group = 0;

	f->first = cursor_key(c);
	f->end = cursor_key(c);
	f->ngroups = (size_t)cursor_varint_max(c, cursor_left(c));
	f->groups = groups;
	if (f->ngroups == 0 || slice_cmp(f->first, f->end) >= 0)
		c->bad = true;
	for (size_t g = 0; g < f->ngroups && !c->bad; g++) {
		uint64_t v = cursor_varint(c);

		if (v == 0 || (g && v >= group))
			c->bad = true;
		group = g ? group - v : v;
		if (groups && !c->bad)
			groups[g] = group;
	}
}

/* Checks all fragments and counts their groups. */
static bool count_fragments(struct cursor c, uint64_t n, size_t *ret_groups)
{
	struct slice end = {0};

	*ret_groups = 0;
	for (uint64_t i = 0; i < n && !c.bad; i++) {
		struct table_fragment f;

		decode_fragment(&c, &f, NULL);
		if (slice_cmp(end, f.first) > 0)
			c.bad = true;
		end = f.end;
		*ret_groups += f.ngroups;
	}
	return !c.bad && cursor_left(&c) == 0;
}

int table_ranges_decode(
	struct slice plain, struct table_fragment **ret, size_t *ret_n, struct error *err)
{
	struct cursor c = cursor_of(plain);
	uint64_t n = cursor_varint_max(&c, plain.len / FRAGMENT_MIN);
	size_t ngroups;

	if (c.bad || !count_fragments(c, n, &ngroups))
		return error_set(err, -EBADMSG, "range deletes of a table do not decode");
	struct table_fragment *f = malloc((n + 1) * sizeof(*f) + ngroups * sizeof(uint64_t));

	if (!f)
		return -ENOMEM;
	uint64_t *groups = (uint64_t *)(void *)(f + n + 1);

	for (uint64_t i = 0; i < n; i++) {
		decode_fragment(&c, &f[i], groups);
		groups += f[i].ngroups;
	}
	*ret = f;
	*ret_n = (size_t)n;
	return 0;
}

/* ---- properties ---- */

static int append_zigzag(struct buf *out, int64_t v)
{
	return buf_append_varint(out, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static int64_t cursor_zigzag(struct cursor *c)
{
	uint64_t v = cursor_varint(c);

	return (int64_t)(v >> 1 ^ -(v & 1));
}

int table_properties_encode(const struct table_properties *p, struct buf *out)
{
	const uint64_t numbers[] = {p->group_low, p->group_high, p->puts, p->deletes, p->deltas,
		p->ranges, p->dropped.n};

	if (buf_append_u8(out, PROPERTIES_VERSION) < 0 ||
		append_key(out, buf_slice(&p->first)) < 0 ||
		append_key(out, buf_slice(&p->last)) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (buf_append_varint(out, numbers[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < p->dropped.n; i++) {
		const struct segment_ref *r = &p->dropped.refs[i];

		if (buf_append_varint(out, r->epoch) < 0 ||
			buf_append_varint(out, r->sequence) < 0 || append_zigzag(out, r->bytes) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int decode_dropped(struct cursor *c, struct segment_refs *refs)
{
	uint64_t n = cursor_varint_max(c, cursor_left(c) / 3), epoch = 0, sequence = 0;

	for (uint64_t i = 0; i < n && !c->bad; i++) {
		uint64_t e = cursor_varint(c), s = cursor_varint(c);
		int64_t bytes = cursor_zigzag(c);

		if (i && (e < epoch || (e == epoch && s <= sequence)))
			c->bad = true;
		if (!c->bad && segment_refs_add(refs, e, s, bytes) < 0)
			return -ENOMEM;
		epoch = e;
		sequence = s;
	}
	return 0;
}

static int decode_properties(struct cursor *c, struct table_properties *p)
{
	struct slice first = cursor_key(c), last = cursor_key(c);

	p->group_low = cursor_varint(c);
	p->group_high = cursor_varint(c);
	p->puts = cursor_varint(c);
	p->deletes = cursor_varint(c);
	p->deltas = cursor_varint(c);
	p->ranges = cursor_varint(c);
	if (c->bad || slice_cmp(first, last) > 0 || p->group_low > p->group_high)
		return -EBADMSG;
	if (buf_append_slice(&p->first, first) < 0 || buf_append_slice(&p->last, last) < 0 ||
		decode_dropped(c, &p->dropped) < 0)
		return -ENOMEM;
	return c->bad || cursor_left(c) ? -EBADMSG : 0;
}

int table_properties_decode(struct slice plain, struct table_properties *ret, struct error *err)
{
	struct cursor c = cursor_of(plain);
	struct table_properties p = {0};
	uint8_t version = cursor_u8(&c);
	int r;

	if (!c.bad && version != PROPERTIES_VERSION)
		return error_set(err, -EPROTONOSUPPORT,
			"properties of a table have version %u; this program knows version %u",
			version, PROPERTIES_VERSION);
	r = decode_properties(&c, &p);
	if (r < 0) {
		table_properties_done(&p);
		return r == -EBADMSG ? error_set(err, r, "properties of a table do not decode") : r;
	}
	*ret = p;
	return 0;
}

void table_properties_done(struct table_properties *p)
{
	buf_done(&p->first);
	buf_done(&p->last);
	segment_refs_done(&p->dropped);
}
