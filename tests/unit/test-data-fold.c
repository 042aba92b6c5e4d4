/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What deltas mean, and that nothing stored makes folding do more than refuse. */
#include "core/data/extents.h"
#include "core/data/fold.h"
#include "core/data/keyspace.h"
#include "tests/unit/seal-fixture.h"

#define VERSIONS 4

static struct buf values[VERSIONS];

static void clear(void)
{
	for (size_t i = 0; i < VERSIONS; i++)
		buf_clear(&values[i]);
}

static void done(void)
{
	for (size_t i = 0; i < VERSIONS; i++)
		buf_done(&values[i]);
}

/* Folds values[0..n), newest first. */
static int fold(const struct key *k, size_t n, enum record_op base, bool complete, struct buf *out,
	enum record_op *op)
{
	struct record versions[VERSIONS];

	for (size_t i = 0; i < n; i++)
		versions[i] = (struct record){.key = key_slice(k),
			.group = 100 - i,
			.op = i == n - 1 ? base : RECORD_DELTA,
			.value = buf_slice(&values[i])};
	buf_clear(out);
	return data_fold.fold(versions, n, complete, out, op);
}

static void segment_value(size_t i, bool base, int64_t live)
{
	struct segment_record s = {.has_base = base, .plain_total = 5000, .live = live};

	memset(s.salt, 0xab, sizeof(s.salt));
	buf_clear(&values[i]);
	ck_assert_int_eq(segment_record_encode(&s, &values[i]), 0);
}

START_TEST(segments)
{
	struct key k = key_segment(1, 2);
	struct segment_record s;
	struct buf out = BUF_INIT;
	enum record_op op;

	segment_value(0, false, -1000);
	segment_value(1, false, -500);
	segment_value(2, true, 5000);
	ck_assert_int_eq(fold(&k, 3, RECORD_PUT, false, &out, &op), 0);
	ck_assert_int_eq(op, RECORD_PUT);
	ck_assert_int_eq(segment_record_decode(buf_slice(&out), &s), 0);
	ck_assert(s.has_base && s.live == 3500 && s.plain_total == 5000 && s.salt[15] == 0xab);
	/* Without the oldest it stays a change. */
	ck_assert_int_eq(fold(&k, 2, RECORD_DELTA, false, &out, &op), 0);
	ck_assert_int_eq(op, RECORD_DELTA);
	ck_assert_int_eq(segment_record_decode(buf_slice(&out), &s), 0);
	ck_assert(!s.has_base && s.live == -1500);
	ck_assert_int_eq(fold(&k, 2, RECORD_DELTA, true, &out, &op), 0);
	ck_assert_int_eq(op, RECORD_PUT);
	segment_value(0, false, INT64_MIN);
	ck_assert_int_eq(fold(&k, 2, RECORD_DELTA, true, &out, &op), -EBADMSG);
	buf_done(&out);
	done();
}
END_TEST

START_TEST(usage_counter)
{
	struct key k = key_counter(COUNTER_USAGE);
	struct usage_record u = {.bytes = -7, .inodes = 1}, v = {.bytes = 4096, .inodes = 2}, sum;
	struct buf out = BUF_INIT;
	enum record_op op;

	clear();
	ck_assert_int_eq(usage_record_encode(&u, &values[0]), 0);
	ck_assert_int_eq(usage_record_encode(&v, &values[1]), 0);
	ck_assert_int_eq(fold(&k, 2, RECORD_DELTA, true, &out, &op), 0);
	ck_assert_int_eq(usage_record_decode(buf_slice(&out), &sum), 0);
	ck_assert(sum.bytes == 4089 && sum.inodes == 3);
	buf_done(&out);
	done();
}
END_TEST

static struct extent frame(uint32_t offset, uint32_t len, uint64_t sequence)
{
	return (struct extent){.offset = offset,
		.len = len,
		.plain_len = len,
		.sealed_len = len + 20,
		.epoch = 1,
		.sequence = sequence,
		.place = 96};
}

static void chunk_value(size_t i, bool full, struct extent a, struct extent b)
{
	struct chunk c = {0};

	ck_assert_int_eq(chunk_put(&c, &a), 0);
	if (b.len)
		ck_assert_int_eq(chunk_put(&c, &b), 0);
	buf_clear(&values[i]);
	ck_assert_int_eq(chunk_encode(&c, full, &values[i]), 0);
	chunk_done(&c);
}

START_TEST(chunks)
{
	struct key k = key_chunk(5, 0);
	struct extent hole = {.form = EXTENT_HOLE, .offset = 500, .len = 1000}, none = {0};
	struct buf out = BUF_INIT;
	struct chunk c = {0};
	enum record_op op;

	chunk_value(0, false, hole, none);
	chunk_value(1, false, frame(1000, 1000, 2), none);
	chunk_value(2, true, frame(0, 4000, 1), none);
	ck_assert_int_eq(fold(&k, 3, RECORD_PUT, false, &out, &op), 0);
	ck_assert_int_eq(op, RECORD_PUT);
	ck_assert_int_eq(chunk_decode(buf_slice(&out), true, &c), 0);
	ck_assert_uint_eq(c.n, 3);
	ck_assert(c.extents[0].len == 500 && c.extents[1].offset == 1500 &&
		  c.extents[1].sequence == 2);
	ck_assert(c.extents[2].offset == 2000 && c.extents[2].skip == 2000);
	chunk_done(&c);
	/* As long as older versions may exist, the hole must be kept. */
	ck_assert_int_eq(fold(&k, 2, RECORD_DELTA, false, &out, &op), 0);
	ck_assert_int_eq(op, RECORD_DELTA);
	ck_assert_int_eq(chunk_decode(buf_slice(&out), false, &c), 0);
	ck_assert(c.n == 2 && c.extents[0].form == EXTENT_HOLE);
	chunk_done(&c);
	ck_assert_int_eq(fold(&k, 2, RECORD_DELTA, true, &out, &op), 0);
	ck_assert_int_eq(op, RECORD_PUT);
	ck_assert_int_eq(chunk_decode(buf_slice(&out), true, &c), 0);
	ck_assert_uint_eq(c.n, 1);
	chunk_done(&c);
	buf_done(&out);
	done();
}
END_TEST

START_TEST(references)
{
	struct key k = key_chunk(5, 0), other = key_inode(5);
	struct segment_refs refs = {0};

	chunk_value(0, false, frame(0, 100, 1), frame(200, 50, 2));
	struct record r = {
		.key = key_slice(&k), .op = RECORD_DELTA, .value = buf_slice(&values[0])};

	ck_assert_int_eq(data_fold.references(&r, 1, &refs), 0);
	ck_assert(refs.n == 2 && refs.refs[0].bytes == 100 && refs.refs[1].bytes == 50);
	ck_assert_int_eq(data_fold.references(&r, -1, &refs), 0);
	ck_assert_uint_eq(refs.n, 0);
	r.op = RECORD_DELETE;
	ck_assert_int_eq(data_fold.references(&r, 1, &refs), 0);
	r.op = RECORD_PUT;
	r.key = key_slice(&other);
	ck_assert_int_eq(data_fold.references(&r, 1, &refs), 0);
	ck_assert_uint_eq(refs.n, 0);
	segment_refs_done(&refs);
	done();
}
END_TEST

START_TEST(bad_input)
{
	struct key chunk = key_chunk(5, 0), segment = key_segment(1, 2), inode = key_inode(5);
	struct key usage = key_counter(COUNTER_USAGE), next = key_counter(COUNTER_NEXT_INODE);
	const struct key *keys[] = {&chunk, &segment, &usage};
	struct buf out = BUF_INIT;
	struct segment_refs refs = {0};
	enum record_op op;

	for (size_t i = 0; i < 3; i++) {
		clear();
		ck_assert_int_eq(buf_append(&values[0], "\xff\xff\xff", 3), 0);
		ck_assert_int_eq(buf_append(&values[1], "\x00\x00", 2), 0);
		ck_assert_int_eq(fold(keys[i], 2, RECORD_DELTA, true, &out, &op), -EBADMSG);
		ck_assert_int_eq(fold(keys[i], 1, RECORD_DELTA, true, &out, &op), -EBADMSG);
		buf_clear(&values[0]);
		ck_assert_int_eq(fold(keys[i], 1, RECORD_DELTA, true, &out, &op), -EBADMSG);
	}
	/* Kinds that have no deltas, and no kind at all. */
	segment_value(0, false, 1);
	ck_assert_int_eq(fold(&inode, 1, RECORD_DELTA, true, &out, &op), -EBADMSG);
	ck_assert_int_eq(fold(&next, 1, RECORD_DELTA, true, &out, &op), -EBADMSG);
	chunk.bytes[8] = 0x77;
	ck_assert_int_eq(fold(&chunk, 1, RECORD_DELTA, true, &out, &op), -EBADMSG);
	chunk.bytes[8] = KEY_CHUNK;
	struct record r = {.key = key_slice(&chunk), .op = RECORD_PUT, .value = SLICE("\x02", 1)};

	ck_assert_int_eq(data_fold.references(&r, 1, &refs), -EBADMSG);
	/* A put alone is taken as it is, whatever it says. */
	ck_assert_int_eq(fold(&inode, 1, RECORD_PUT, true, &out, &op), 0);
	ck_assert(op == RECORD_PUT && slice_eq(buf_slice(&out), buf_slice(&values[0])));
	segment_refs_done(&refs);
	buf_done(&out);
	done();
}
END_TEST

START_TEST(filter_prefix)
{
	struct key k = key_dirent(7, 0x1234567890abcdff, SLICE_STR("name")), inode = key_inode(7);
	uint8_t out[RECORD_KEY_MAX], want[17];

	ck_assert_uint_eq(data_fold.filter_prefix(key_slice(&k), out), 17);
	memcpy(want, k.bytes, 17);
	want[16] = 0x80;
	ck_assert_mem_eq(out, want, 17);
	ck_assert_uint_eq(data_fold.filter_prefix(key_slice(&inode), out), 0);
	ck_assert_uint_eq(data_fold.filter_prefix(SLICE("abc", 3), out), 0);
}
END_TEST

static TCase *make(void)
{
	TCase *t = tcase_create("fold");

	tcase_add_test(t, segments);
	tcase_add_test(t, usage_counter);
	tcase_add_test(t, chunks);
	tcase_add_test(t, references);
	tcase_add_test(t, bad_input);
	tcase_add_test(t, filter_prefix);
	return t;
}

int main(void)
{
	return run_suite(make, "data-fold");
}
