/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/block.h"

#include "core/base/bytes.h"

#include <assert.h>

#define ENTRY_BYTES_MIN 6 /* shared, further, operation, group, value length, one byte of key */

int block_builder_init(struct block_builder *b, uint64_t base)
{
	b->out = (struct buf)BUF_INIT;
	b->restarts = (struct buf)BUF_INIT;
	b->base = base;
	b->n = b->last_len = 0;
	b->last_group = 0;
	return buf_append_varint(&b->out, base);
}

/* Key ascending, group descending, a range delete behind the point record of its key and group. */
static bool in_order(int key_cmp, uint64_t group_before, enum record_op op_before, uint64_t group,
	enum record_op op)
{
	if (key_cmp)
		return key_cmp < 0;
	if (group != group_before)
		return group < group_before;
	return op == RECORD_RANGE && op_before != RECORD_RANGE;
}

static void check_added(const struct block_builder *b, const struct record *r)
{
	assert(r->key.len > 0 && r->key.len <= RECORD_KEY_MAX && r->value.len <= RECORD_VALUE_MAX);
	assert(r->group > 0 && r->group <= b->base);
	assert(r->op >= RECORD_PUT && r->op <= RECORD_RANGE);
	assert(b->n == 0 || in_order(slice_cmp(SLICE(b->last, b->last_len), r->key), b->last_group,
				    b->last_op, r->group, r->op));
}

int block_builder_add(struct block_builder *b, const struct record *r)
{
	uint8_t head[4 * VARINT_MAX + 1];
	size_t len = 0, shared = 0;

	check_added(b, r);
	if (b->n % BLOCK_RESTART == 0) {
		if (b->out.len > UINT32_MAX ||
			buf_append_le32(&b->restarts, (uint32_t)b->out.len) < 0)
			return -ENOMEM;
	} else {
		shared = slice_common_prefix(SLICE(b->last, b->last_len), r->key);
	}
	len += put_varint(head + len, shared);
	len += put_varint(head + len, r->key.len - shared);
	head[len++] = (uint8_t)r->op;
	len += put_varint(head + len, b->base - r->group);
	len += put_varint(head + len, r->value.len);
	if (buf_reserve(&b->out, len + r->key.len - shared + r->value.len) < 0)
		return -ENOMEM;
	(void)buf_append(&b->out, head, len); /* reserved, like the next two */
	(void)buf_append(&b->out, r->key.data + shared, r->key.len - shared);
	(void)buf_append_slice(&b->out, r->value);
	memcpy(b->last + shared, r->key.data + shared, r->key.len - shared);
	b->last_len = r->key.len;
	b->last_group = r->group;
	b->last_op = r->op;
	b->n++;
	return 0;
}

size_t block_builder_bytes(const struct block_builder *b)
{
	return b->out.len + b->restarts.len + 4;
}

int block_builder_finish(struct block_builder *b)
{
	uint32_t count = (uint32_t)(b->restarts.len / 4);

	if (buf_reserve(&b->out, b->restarts.len + 4) < 0)
		return -ENOMEM;
	(void)buf_append_slice(&b->out, buf_slice(&b->restarts)); /* reserved */
	(void)buf_append_le32(&b->out, count);
	return 0;
}

void block_builder_done(struct block_builder *b)
{
	buf_done(&b->out);
	buf_done(&b->restarts);
}

/* ---- reading ---- */

struct entry {
	size_t shared, next; /* bytes; offset behind the entry */
	enum record_op op;
	uint64_t group;
	struct slice suffix, value;
};

static uint64_t small_varint(struct cursor *c, uint64_t max)
{
	if (c->p < c->end && *c->p < 0x80 && *c->p <= max && !c->bad)
		return *c->p++;
	return cursor_varint_max(c, max);
}

static bool value_fits(const struct entry *e)
{
	if (e->op == RECORD_DELETE)
		return e->value.len == 0;
	if (e->op == RECORD_RANGE)
		return e->value.len > 0 && e->value.len <= RECORD_KEY_MAX;
	return e->op == RECORD_PUT || e->op == RECORD_DELTA;
}

static int parse_entry(const struct block_iter *it, size_t at, struct entry *e)
{
	struct cursor c = cursor_of(SLICE(it->data.data + at, it->data.len - at));
	uint64_t below, further, len;

	e->shared = (size_t)small_varint(&c, RECORD_KEY_MAX);
	further = small_varint(&c, RECORD_KEY_MAX - e->shared);
	e->op = (enum record_op)cursor_u8(&c);
	below = small_varint(&c, it->base);
	len = small_varint(&c, RECORD_VALUE_MAX);
	e->suffix = cursor_bytes(&c, further);
	e->value = cursor_bytes(&c, len);
	if (c.bad || below >= it->base || e->shared + further == 0 || !value_fits(e))
		return -EBADMSG;
	e->group = it->base - below;
	e->next = (size_t)(c.p - it->data.data);
	return 0;
}

static int fail(struct block_iter *it)
{
	it->valid = false;
	it->next = it->data.len;
	return -EBADMSG;
}

int block_iter_init(struct block_iter *it, struct slice block)
{
	it->valid = false;
	it->data = SLICE(NULL, 0);
	it->next = it->entries = 0;
	it->nrestarts = 0;
	if (block.len < 5)
		return -EBADMSG;
	uint32_t n = get_le32(block.data + block.len - 4);

	if (n > (block.len - 4) / 4)
		return -EBADMSG;
	size_t end = block.len - 4 - (size_t)n * 4;
	struct cursor c = cursor_of(SLICE(block.data, end));

	it->base = cursor_varint(&c);
	if (c.bad)
		return -EBADMSG;
	size_t first = (size_t)(c.p - block.data);

	/* A block has entries exactly if it has restart points, and the first one is at the first
	 * entry. */
	if ((n == 0) != (first == end) || (n && get_le32(block.data + end) != first))
		return -EBADMSG;
	it->data = SLICE(block.data, end);
	it->restarts = block.data + end;
	it->nrestarts = n;
	it->entries = it->next = first;
	return 0;
}

/* Compares the key of `e` with the current one without building it: <0, 0, >0 for current against
 * new. */
static int cmp_to_current(const struct block_iter *it, const struct entry *e)
{
	struct slice rest = SLICE(it->key + e->shared, it->rec.key.len - e->shared);

	return slice_cmp(rest, e->suffix);
}

static void take_entry(struct block_iter *it, const struct entry *e)
{
	if (e->suffix.len)
		memcpy(it->key + e->shared, e->suffix.data, e->suffix.len);
	it->rec = (struct record){
		SLICE(it->key, e->shared + e->suffix.len), e->group, e->op, e->value};
	it->next = e->next;
	it->valid = true;
}

static bool range_is_empty(const struct block_iter *it)
{
	return it->rec.op == RECORD_RANGE && slice_cmp(it->rec.key, it->rec.value) >= 0;
}

int block_iter_next(struct block_iter *it)
{
	struct entry e;

	if (it->next >= it->data.len) {
		it->valid = false;
		return 0;
	}
	if (parse_entry(it, it->next, &e) < 0)
		return fail(it);
	if (!it->valid) {
		if (e.shared)
			return fail(it);
	} else if (e.shared > it->rec.key.len ||
		   !in_order(cmp_to_current(it, &e), it->rec.group, it->rec.op, e.group, e.op)) {
		return fail(it);
	}
	take_entry(it, &e);
	return range_is_empty(it) ? fail(it) : 0;
}

int block_iter_first(struct block_iter *it)
{
	it->valid = false;
	it->next = it->entries;
	return block_iter_next(it);
}

/* The last restart point whose key is below `key`, else the first one. */
static int find_restart(const struct block_iter *it, struct slice key, size_t *ret)
{
	uint32_t low = 0, high = it->nrestarts; /* the answer is in [low, high) */
	struct entry e;

	*ret = it->entries;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		size_t at = get_le32(it->restarts + (size_t)mid * 4);

		if (at <= it->entries || at >= it->data.len || parse_entry(it, at, &e) < 0 ||
			e.shared)
			return -EBADMSG;
		if (slice_cmp(e.suffix, key) < 0) {
			low = mid;
			*ret = at;
		} else {
			high = mid;
		}
	}
	return 0;
}

int block_iter_seek(struct block_iter *it, struct slice key)
{
	size_t at;
	int r;

	if (it->nrestarts == 0)
		return block_iter_first(it);
	if (find_restart(it, key, &at) < 0)
		return fail(it);
	it->valid = false;
	it->next = at;
	do
		r = block_iter_next(it);
	while (r == 0 && it->valid && slice_cmp(it->rec.key, key) < 0);
	return r;
}
