/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segments and fences: built, read from memory, stored, parsed; and whatever a store may make of
 * them. */
#include "core/base/bytes.h"
#include "core/base/crc.h"
#include "core/log/segment_format.h"
#include "core/store/stats.h"
#include "tests/unit/log-fixture.h"

static struct store *store;
static struct volume_keys *keys;
static struct budget *budget;

static void setup(void)
{
	store = fixture_store();
	keys = fixture_keys(store);
	budget = budget_new(64 << 20);
}

static void teardown(void)
{
	keys_free(keys);
	store_close(store);
	ck_assert_uint_eq(budget_used(budget, BUDGET_COMMIT), 0);
	budget_free(budget);
}

static struct segment *new_segment(uint64_t epoch, uint64_t sequence)
{
	struct segment *s = NULL;

	ck_assert_int_eq(segment_new(keys, epoch, sequence, budget, &s, NULL), 0);
	return s;
}

/* Three frames and, unless `block` is empty, a journal. */
static struct buf small_object(uint64_t epoch, uint64_t sequence, struct slice block)
{
	struct segment *s = new_segment(epoch, sequence);
	struct buf journal = block.len ? fixture_journal(s, 7, 6, block) : (struct buf)BUF_INIT;

	fixture_append(keys, s, budget, 100, 1, NULL);
	fixture_append(keys, s, budget, 101, 2, NULL);
	ck_assert(segment_close(s));
	ck_assert_int_eq(segment_seal(s, buf_slice(&journal), NULL), 0);
	struct buf object = fixture_object(s);

	buf_done(&journal);
	segment_unref(s);
	return object;
}

static int parse(uint64_t epoch, uint64_t sequence, struct slice object, enum log_object *kind)
{
	struct segment_directory d = {0};
	struct journal j = {0};
	int r = segment_parse(keys, epoch, sequence, object, kind, &d, &j, NULL);

	if (r == 0) {
		segment_directory_done(&d);
		journal_done(&j);
	}
	return r;
}

START_TEST(builds_and_parses)
{
	struct segment *s = new_segment(3, 9);
	struct sealed_frame late[2];
	struct frame_place places[4];
	uint64_t first;
	size_t len;

	/* Reserved first and appended last, so that the frames do not lie in the order of their
	 * ordinals. */
	ck_assert_int_eq(segment_reserve(s, 2, 2 * FIXTURE_FRAME, &first), 0);
	ck_assert_uint_eq(first, 0);
	fixture_append(keys, s, budget, 12, 2, places + 2);
	/* A sealer that failed. */
	uint64_t dead;

	ck_assert_int_eq(segment_reserve(s, 1, 10, &dead), 0);
	ck_assert_uint_eq(dead, 4);
	segment_append(s, dead, 1, NULL, 0, NULL, 0, NULL);
	ck_assert(!segment_close(s));
	ck_assert_int_eq(segment_reserve(s, 1, 10, &dead), -ENOSPC);
	uint8_t *block = fixture_block(keys, s, first, 10, 2, late, &len);

	budget_force(budget, BUDGET_COMMIT, len);
	segment_append(s, first, 2, late, 2, block, len, places);
	ck_assert_uint_gt(places[0].offset, places[3].offset);
	ck_assert_uint_eq(segment_plain_total(s), 4 * FIXTURE_FRAME);

	uint8_t records[] = "sorted records";
	struct buf journal = fixture_journal(s, 5, 4, SLICE(records, sizeof(records)));

	ck_assert_int_eq(segment_seal(s, buf_slice(&journal), NULL), 0);
	struct buf object = fixture_object(s);
	struct segment_directory d;
	struct journal j;
	enum log_object kind;

	ck_assert_int_eq(segment_parse(keys, 3, 9, buf_slice(&object), &kind, &d, &j, NULL), 0);
	ck_assert_int_eq(kind, LOG_SEGMENT);
	ck_assert_uint_eq(d.n, 5);
	ck_assert_uint_eq(d.frames[4].sealed_len, 0);
	for (unsigned i = 0; i < 4; i++) {
		struct slice memory;
		uint32_t plain;

		ck_assert_uint_eq(d.frames[i].inode, 10 + i);
		ck_assert_uint_eq(d.frames[i].file_offset, (10 + i) * FIXTURE_FRAME);
		ck_assert_uint_eq(d.frames[i].plain_len, FIXTURE_FRAME);
		ck_assert_uint_eq(places[i].offset, d.frames[i].offset);
		ck_assert_uint_eq(places[i].ordinal, i);
		ck_assert_int_eq(segment_frame(s, i, &memory, &plain), 0);
		ck_assert_uint_eq(plain, FIXTURE_FRAME);
		ck_assert(slice_eq(
			memory, SLICE(object.data + places[i].offset, places[i].sealed_len)));
		ck_assert(fixture_opens(keys, segment_key(s), i, 10 + i, memory));
	}
	struct slice none;
	uint32_t plain;

	ck_assert_int_eq(segment_frame(s, 4, &none, &plain), -ENOENT);
	ck_assert_int_eq(segment_frame(s, 5, &none, &plain), -ENOENT);
	ck_assert_uint_eq(j.group, 5);
	ck_assert_uint_eq(j.previous, 4);
	ck_assert_int_eq(j.time_ns, -5);
	ck_assert_uint_eq(j.nsegments, 1);
	ck_assert_uint_eq(j.segments[0].sequence, 9);
	ck_assert(memcmp(j.segments[0].salt, segment_salt(s), AEAD_SALT_BYTES) == 0);
	ck_assert(slice_eq(j.block, SLICE(records, sizeof(records))));
	segment_directory_done(&d);
	journal_done(&j);
	buf_done(&journal);
	buf_done(&object);
	segment_unref(s);
}
END_TEST

/* Offsets of the frames of small_object, which no sealed part of the log covers. */
static void frame_range(struct slice object, size_t *ret_first, size_t *ret_end)
{
	struct segment_footer f;

	ck_assert_int_eq(
		segment_footer_decode(SLICE(object.data + object.len - FOOTER_BYTES, FOOTER_BYTES),
			object.len, &f, NULL),
		0);
	*ret_first = HEADER_BYTES;
	*ret_end = (size_t)f.directory;
}

static int tail_of(struct slice object, enum log_object *kind)
{
	char key[LOG_KEY_MAX];
	bool has_journal = false;
	struct journal j;

	log_key(key, 3, 9);
	ck_assert_int_eq(store_put(store, key, object, NULL), 0);
	int r = segment_read_tail(store, keys, 3, 9, NULL, kind, &has_journal, &j, NULL, NULL);

	if (r == 0 && has_journal)
		journal_done(&j);
	return r;
}

START_TEST(every_flip_of_a_segment)
{
	struct buf object = small_object(3, 9, _i ? SLICE_STR("journal") : SLICE(NULL, 0));
	size_t first, end;
	enum log_object kind;

	frame_range(buf_slice(&object), &first, &end);
	ck_assert_int_eq(parse(3, 9, buf_slice(&object), &kind), 0);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), 0);
	for (size_t at = 0; at < object.len; at++)
		for (unsigned bit = 0; bit < 8; bit += 3) {
			object.data[at] ^= (uint8_t)(1u << bit);
			int want = at >= first && at < end ? 0 : -EBADMSG;

			ck_assert_msg(
				parse(3, 9, buf_slice(&object), &kind) == want, "byte %zu", at);
			/* The tail of a group's end proves the journal, not the directory that
			 * nobody reads. */
			if (want == 0 || at < first || _i == 0)
				ck_assert_msg(
					tail_of(buf_slice(&object), &kind) == want, "byte %zu", at);
			object.data[at] ^= (uint8_t)(1u << bit);
		}
	for (size_t len = 0; len < object.len; len++) {
		ck_assert_msg(
			parse(3, 9, SLICE(object.data, len), &kind) == -EBADMSG, "length %zu", len);
		if (len > 0)
			ck_assert_msg(tail_of(SLICE(object.data, len), &kind) == -EBADMSG,
				"length %zu", len);
	}
	ck_assert_int_eq(buf_append_u8(&object, 0), 0);
	ck_assert_int_eq(parse(3, 9, buf_slice(&object), &kind), -EBADMSG);
	buf_done(&object);
}
END_TEST

START_TEST(every_flip_of_a_fence)
{
	struct buf object = BUF_INIT;
	enum log_object kind;

	ck_assert_int_eq(fence_build(keys, 3, 9, &object, NULL), 0);
	ck_assert_uint_eq(object.len, FENCE_BYTES);
	ck_assert_int_eq(parse(3, 9, buf_slice(&object), &kind), 0);
	ck_assert_int_eq(kind, LOG_FENCE);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), 0);
	ck_assert_int_eq(kind, LOG_FENCE);
	for (size_t at = 0; at < object.len; at++) {
		object.data[at] ^= 0x10;
		ck_assert_msg(parse(3, 9, buf_slice(&object), &kind) == -EBADMSG, "byte %zu", at);
		ck_assert_msg(tail_of(buf_slice(&object), &kind) == -EBADMSG, "byte %zu", at);
		object.data[at] ^= 0x10;
	}
	for (size_t len = 1; len < object.len; len++) {
		ck_assert_msg(
			parse(3, 9, SLICE(object.data, len), &kind) == -EBADMSG, "length %zu", len);
		ck_assert_msg(
			tail_of(SLICE(object.data, len), &kind) == -EBADMSG, "length %zu", len);
	}
	ck_assert_int_eq(buf_append_u8(&object, 0), 0);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), -EBADMSG);
	buf_done(&object);
}
END_TEST

/* The same bytes under another name are another thing. */
START_TEST(bound_to_its_place)
{
	struct buf object = small_object(3, 9, SLICE_STR("journal"));
	struct store *elsewhere = fixture_store();
	struct volume_keys *others = fixture_keys(elsewhere);
	enum log_object kind;
	uint8_t salt[AEAD_SALT_BYTES] = {1};
	bool has_journal;
	struct journal j;

	ck_assert_int_eq(parse(3, 10, buf_slice(&object), &kind), -EBADMSG);
	ck_assert_int_eq(parse(4, 9, buf_slice(&object), &kind), -EBADMSG);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), 0);
	ck_assert_int_eq(
		segment_read_tail(store, keys, 3, 9, salt, &kind, &has_journal, &j, NULL, NULL),
		-EBADMSG);
	ck_assert_int_eq(
		segment_read_tail(store, others, 3, 9, NULL, &kind, &has_journal, &j, NULL, NULL),
		-EBADMSG);
	ck_assert_int_eq(
		segment_read_tail(store, keys, 3, 11, NULL, &kind, &has_journal, &j, NULL, NULL),
		0);
	ck_assert_int_eq(kind, LOG_ABSENT);
	keys_free(others);
	store_close(elsewhere);
	buf_done(&object);
}
END_TEST

/* A journal of `len` bytes survives; and a footer that hides one of its parts is noticed. */
static void check_journal_of(size_t len, uint32_t want_parts)
{
	struct segment *s = new_segment(3, 9);
	uint8_t *records = malloc(len);
	struct segment_footer f;
	enum log_object kind;
	bool has_journal;
	struct journal j;

	fixture_plain(len, records, len < 4096 ? len : 4096);
	memset(records + 4096, 0x5a, len - 4096);
	/* The head of the journal counts, too. */
	struct buf empty = fixture_journal(s, 2, 1, SLICE(NULL, 0));
	struct buf journal = fixture_journal(s, 2, 1, SLICE(records, len - empty.len));

	ck_assert(segment_close(s));
	ck_assert_int_eq(segment_seal(s, buf_slice(&journal), NULL), 0);
	struct buf object = fixture_object(s);
	uint8_t *footer = object.data + object.len - FOOTER_BYTES;

	ck_assert_int_eq(
		segment_footer_decode(SLICE(footer, FOOTER_BYTES), object.len, &f, NULL), 0);
	ck_assert_uint_eq(f.journal_parts, want_parts);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), 0);
	ck_assert_int_eq(segment_read_tail(store, keys, 3, 9, segment_salt(s), &kind, &has_journal,
				 &j, NULL, NULL),
		0);
	ck_assert(has_journal && slice_eq(j.block, SLICE(records, len - empty.len)));
	journal_done(&j);
	if (want_parts > 1) {
		/* Cut the last part off and tell so in the footer. */
		const uint8_t *part = object.data + f.journal;

		for (uint32_t i = 1; i < f.journal_parts; i++)
			part += 4 + get_le32(part);
		struct segment_footer cut = f;

		cut.journal_parts--;
		cut.journal_len = (uint32_t)(part - (object.data + f.journal));
		cut.size = f.journal + cut.journal_len + FOOTER_BYTES;
		segment_footer_encode(&cut, object.data + f.journal + cut.journal_len);
		ck_assert_int_eq(
			parse(3, 9, SLICE(object.data, (size_t)cut.size), &kind), -EBADMSG);
	}
	buf_done(&object);
	buf_done(&journal);
	buf_done(&empty);
	free(records);
	segment_unref(s);
}

START_TEST(journal_in_parts)
{
	check_journal_of(JOURNAL_PART_MAX - 1, 1);
	check_journal_of(JOURNAL_PART_MAX, 2);
	check_journal_of(JOURNAL_PART_MAX + 1, 2);
	check_journal_of(2 * JOURNAL_PART_MAX, 3);
}
END_TEST

/* One GET where the object is small, one more for the header, one more for a long journal. */
START_TEST(requests_of_a_tail_read)
{
	struct stats before, after;
	enum log_object kind;
	struct segment *s;
	struct buf object = small_object(3, 9, SLICE_STR("journal"));

	store = stats_new(store);
	stats_snapshot(store, &before);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), 0);
	stats_snapshot(store, &after);
	ck_assert_uint_eq(
		stats_sum(&after, STORE_GET).calls - stats_sum(&before, STORE_GET).calls, 1);
	buf_done(&object);

	s = new_segment(3, 9);
	for (unsigned i = 0; i < 20; i++)
		fixture_append(keys, s, budget, 16 * i, 16, NULL);
	ck_assert(segment_close(s));
	ck_assert_int_eq(segment_seal(s, SLICE(NULL, 0), NULL), 0);
	object = fixture_object(s);
	ck_assert_uint_gt(object.len, SEGMENT_TAIL_READ);
	stats_snapshot(store, &before);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), 0);
	stats_snapshot(store, &after);
	ck_assert_uint_eq(
		stats_sum(&after, STORE_GET).calls - stats_sum(&before, STORE_GET).calls, 2);
	buf_done(&object);
	segment_unref(s);

	uint8_t *noise = malloc(100000);

	fixture_plain(1, noise, 100000);
	object = small_object(3, 9, SLICE(noise, 100000));
	stats_snapshot(store, &before);
	ck_assert_int_eq(tail_of(buf_slice(&object), &kind), 0);
	stats_snapshot(store, &after);
	ck_assert_uint_eq(
		stats_sum(&after, STORE_GET).calls - stats_sum(&before, STORE_GET).calls, 3);
	buf_done(&object);
	free(noise);
}
END_TEST

START_TEST(decoders_take_any_bytes)
{
	struct rng rng = fixture_rng();
	struct segment *s = new_segment(1, 0);
	struct buf journal = fixture_journal(s, 7, 6, SLICE_STR("records"));
	uint8_t raw[256];

	for (unsigned round = 0; round < 20000; round++) {
		size_t len = rng_below(&rng, sizeof(raw));
		struct segment_directory d;
		struct journal j;

		for (size_t i = 0; i < len; i++)
			raw[i] = (uint8_t)(rng_chance(&rng, 1, 2) ? rng_below(&rng, 4)
								  : rng_below(&rng, 256));
		if (rng_chance(&rng, 1, 2)) { /* nearly right */
			len = journal.len;
			memcpy(raw, journal.data, len);
			raw[rng_below(&rng, len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
		}
		if (journal_decode(SLICE(raw, len), &j, NULL) == 0)
			journal_done(&j);
		raw[0] = DIRECTORY_VERSION;
		if (segment_directory_decode(SLICE(raw, len), 1 << 20, &d, NULL) == 0)
			segment_directory_done(&d);
	}
	for (size_t len = 0; len < journal.len - strlen("records"); len++) {
		struct journal j;

		ck_assert_int_eq(journal_decode(SLICE(journal.data, len), &j, NULL), -EBADMSG);
	}
	buf_done(&journal);
	segment_unref(s);
}
END_TEST

START_TEST(directory_bounds)
{
	struct segment_directory_entry e = {
		.offset = 96, .inode = 1, .sealed_len = 100, .plain_len = 80};
	struct segment_directory d = {.n = 1, .frames = &e}, out;
	const struct {
		uint64_t offset;
		uint32_t sealed_len, plain_len;
		int want;
	} cases[] = {
		{96, 100, 80, 0},
		{95, 100, 80, -EBADMSG},
		{900, 100, 80, 0},
		{901, 100, 80, -EBADMSG},
		{UINT64_MAX, 100, 80, -EBADMSG},
		{96, 100, 0, -EBADMSG},
		{96, 100, FRAME_PLAIN_MAX, 0},
		{96, 100, FRAME_PLAIN_MAX + 1, -EBADMSG},
		{96, UINT32_MAX, 80, -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf plain = BUF_INIT;

		e.offset = cases[i].offset;
		e.sealed_len = cases[i].sealed_len;
		e.plain_len = cases[i].plain_len;
		ck_assert_int_eq(segment_directory_encode(&d, &plain), 0);
		int r = segment_directory_decode(buf_slice(&plain), 1000, &out, NULL);

		ck_assert_msg(r == cases[i].want, "case %zu: %d", i, r);
		if (r == 0)
			segment_directory_done(&out);
		buf_done(&plain);
	}
}
END_TEST

START_TEST(names)
{
	char key[LOG_KEY_MAX];
	uint64_t e, s;

	log_key(key, 0xab, 0x123);
	ck_assert_str_eq(key, "log/00000000000000ab/0000000000000123");
	ck_assert(log_key_parse(key, &e, &s) && e == 0xab && s == 0x123);
	ck_assert(!log_key_parse("log/00000000000000ab/000000000000012", &e, &s));
	ck_assert(!log_key_parse("log/00000000000000ab/000000000000012G", &e, &s));
	ck_assert(!log_key_parse("lox/00000000000000ab/0000000000000123", &e, &s));
	ck_assert(!log_key_parse("", &e, &s));
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("segment");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, builds_and_parses);
	tcase_add_loop_test(t, every_flip_of_a_segment, 0, 2);
	tcase_add_test(t, every_flip_of_a_fence);
	tcase_add_test(t, bound_to_its_place);
	tcase_add_test(t, journal_in_parts);
	tcase_add_test(t, requests_of_a_tail_read);
	tcase_add_test(t, decoders_take_any_bytes);
	tcase_add_test(t, directory_bounds);
	tcase_add_test(t, names);
	return t;
}

int main(void)
{
	return run_suite(cases, "log segment");
}
