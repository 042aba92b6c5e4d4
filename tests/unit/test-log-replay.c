/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a log in order: where it stops, what it skips, what it refuses, what it costs. */
#include "core/log/replay.h"
#include "core/log/segment_format.h"
#include "core/store/stats.h"
#include "tests/unit/log-fixture.h"

#define EPOCH 4

static struct store *store;
static struct volume_keys *keys;
static uint64_t seen[256];
static size_t nseen;
static int answer; /* of the callback, at group `answer_at` */
static uint64_t answer_at;

static void setup(void)
{
	store = stats_new(fixture_store());
	keys = fixture_keys(store);
	nseen = 0;
	answer = 0;
}

static void teardown(void)
{
	keys_free(keys);
	store_close(store);
}

/* What the next segments list. */
static struct journal_segment listed[16];
static size_t nlisted;

static void put_object(uint64_t sequence, struct slice object)
{
	char key[LOG_KEY_MAX];

	log_key(key, EPOCH, sequence);
	ck_assert_int_eq(store_put(store, key, object, NULL), 0);
}

/* A segment at the position; with `group` > 0 it ends that group. `wrong_salt`: of the first one
 * listed. */
static void put_segment(uint64_t sequence, uint64_t group, uint64_t previous, bool wrong_salt)
{
	struct buf journal = BUF_INIT;
	struct segment *s;

	ck_assert_int_eq(segment_new(keys, EPOCH, sequence, NULL, &s, NULL), 0);
	fixture_append(keys, s, NULL, sequence, 1, NULL);
	listed[nlisted].sequence = sequence;
	memcpy(listed[nlisted++].salt, segment_salt(s), AEAD_SALT_BYTES);
	if (group > 0) {
		struct journal j = {.group = group,
			.previous = previous,
			.nsegments = nlisted,
			.segments = listed,
			.block = SLICE_STR("records")};

		listed[0].salt[0] ^= wrong_salt;
		ck_assert_int_eq(journal_encode(&j, &journal), 0);
		nlisted = 0;
	}
	ck_assert(segment_close(s));
	ck_assert_int_eq(segment_seal(s, buf_slice(&journal), NULL), 0);
	struct buf object = fixture_object(s);

	put_object(sequence, buf_slice(&object));
	buf_done(&object);
	buf_done(&journal);
	segment_unref(s);
}

/* Groups 1..n of 1, 2, 3, 1, ... segments. Returns the next position. */
static uint64_t put_groups(uint64_t n)
{
	uint64_t at = 0;

	nlisted = 0;
	for (uint64_t g = 1; g <= n; g++) {
		for (uint64_t i = 0; i < (g - 1) % 3; i++)
			put_segment(at++, 0, 0, false);
		put_segment(at++, g, g - 1, false);
	}
	return at;
}

static int on_group(
	void *arg, uint64_t epoch, uint64_t sequence, const struct journal *j, struct error *err)
{
	(void)arg;
	ck_assert_uint_eq(epoch, EPOCH);
	ck_assert_uint_eq(sequence, j->segments[j->nsegments - 1].sequence);
	ck_assert(slice_eq(j->block, SLICE_STR("records")));
	if (answer < 0 && j->group == answer_at)
		return error_set(err, answer, "as told");
	seen[nseen++] = j->group;
	return 0;
}

static int run(struct replay_state *st, uint64_t end, unsigned ahead, enum replay_stop *stop,
	struct error *err)
{
	const struct replay_ops ops = {.group = on_group};

	return replay_run(store, keys, st, end, ahead, &ops, stop, err);
}

static uint64_t gets(void)
{
	struct stats st;

	stats_snapshot(store, &st);
	return st.count[STORE_GET][STORE_CLASS_LOG].calls;
}

static const unsigned windows[] = {0, 1, 2, 7, 64};

START_TEST(in_order)
{
	struct replay_state st = {.epoch = EPOCH};
	enum replay_stop stop;
	uint64_t end = put_groups(40);

	ck_assert_int_eq(run(&st, end, windows[_i], &stop, NULL), 0);
	ck_assert_int_eq(stop, REPLAY_END);
	ck_assert_uint_eq(st.sequence, end);
	ck_assert_uint_eq(st.last_group, 40);
	ck_assert_uint_eq(nseen, 40);
	for (size_t i = 0; i < nseen; i++)
		ck_assert_uint_eq(seen[i], i + 1);
	/* A poll that finds nothing is one request. */
	uint64_t before = gets();

	ck_assert_int_eq(run(&st, UINT64_MAX, windows[_i], &stop, NULL), 0);
	ck_assert_int_eq(stop, REPLAY_MISSING);
	ck_assert_uint_eq(gets() - before, 1);
	/* In two runs, the second from the middle of a group. */
	st = (struct replay_state){.epoch = EPOCH};
	nseen = 0;
	ck_assert_int_eq(run(&st, 4, windows[_i], &stop, NULL), 0);
	ck_assert_uint_eq(st.last_group, 2);
	ck_assert_int_eq(run(&st, UINT64_MAX, windows[_i], &stop, NULL), 0);
	ck_assert_int_eq(stop, REPLAY_MISSING);
	ck_assert_uint_eq(nseen, 40);
	ck_assert_uint_eq(st.sequence, end);
}
END_TEST

START_TEST(skips_what_is_in_the_tables)
{
	struct replay_state st = {.epoch = EPOCH, .last_group = 25};
	enum replay_stop stop;

	(void)put_groups(40);
	ck_assert_int_eq(run(&st, UINT64_MAX, 8, &stop, NULL), 0);
	ck_assert_uint_eq(nseen, 15);
	ck_assert_uint_eq(seen[0], 26);
	ck_assert_uint_eq(st.last_group, 40);
}
END_TEST

START_TEST(stops_at_a_gap_and_at_a_fence)
{
	struct replay_state st = {.epoch = EPOCH};
	struct buf fence = BUF_INIT;
	char key[LOG_KEY_MAX];
	enum replay_stop stop;
	uint64_t end = put_groups(20);

	log_key(key, EPOCH, 10);
	ck_assert_int_eq(store_delete(store, key, NULL), 0);
	ck_assert_int_eq(run(&st, end, 16, &stop, NULL), 0);
	ck_assert_int_eq(stop, REPLAY_MISSING);
	ck_assert_uint_eq(st.sequence, 10);
	ck_assert_uint_eq(st.last_group, 5); /* group 6 is at 9 to 11: complete groups only */
	ck_assert_int_eq(run(&st, UINT64_MAX, 16, &stop, NULL), 0);
	ck_assert_int_eq(stop, REPLAY_MISSING);
	ck_assert_int_eq(fence_build(keys, EPOCH, 10, &fence, NULL), 0);
	put_object(10, buf_slice(&fence));
	ck_assert_int_eq(run(&st, UINT64_MAX, 16, &stop, NULL), 0);
	ck_assert_int_eq(stop, REPLAY_FENCE);
	ck_assert_int_eq(run(&st, end, 16, &stop, NULL), 0);
	ck_assert_int_eq(stop, REPLAY_MISSING); /* below a known end it belongs to nobody */
	ck_assert_uint_eq(st.sequence, 10);
	buf_done(&fence);
}
END_TEST

START_TEST(refuses)
{
	struct replay_state st = {.epoch = EPOCH};
	struct error err = {0};
	enum replay_stop stop;
	uint64_t at = put_groups(6);

	switch (_i) {
	case 0: /* a group that does not follow the one before */
		put_segment(at, 8, 7, false);
		break;
	case 1: /* a group that lists another segment than lies there */
		put_segment(at, 0, 0, false);
		put_segment(at + 1, 7, 6, true);
		break;
	case 2: /* and one that leaves a position out, and lists one that is nobody's */
		listed[nlisted++] = (struct journal_segment){.sequence = at - 1};
		put_segment(at, 7, 6, false);
		break;
	case 3: /* what is no object at all */
		put_object(at, SLICE_STR("garbage"));
		break;
	default:
		put_object(at, SLICE(NULL, 0));
		break;
	}
	ck_assert_int_eq(run(&st, UINT64_MAX, 4, &stop, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "log/0000000000000004/"));
	ck_assert_uint_eq(st.last_group, 6);
}
END_TEST

/* The journal must end with the segment that holds it. */
START_TEST(journal_of_another_segment)
{
	struct segment *a, *b;
	enum log_object kind;
	bool has_journal;
	struct journal j;

	ck_assert_int_eq(segment_new(keys, EPOCH, 0, NULL, &a, NULL), 0);
	ck_assert_int_eq(segment_new(keys, EPOCH, _i ? 0 : 1, NULL, &b, NULL), 0);
	struct buf journal = fixture_journal(b, 1, 0, SLICE_STR("records"));

	ck_assert(segment_close(a));
	ck_assert_int_eq(segment_seal(a, buf_slice(&journal), NULL), 0);
	struct buf object = fixture_object(a);

	put_object(0, buf_slice(&object));
	ck_assert_int_eq(
		segment_read_tail(store, keys, EPOCH, 0, NULL, &kind, &has_journal, &j, NULL, NULL),
		-EBADMSG);
	buf_done(&object);
	buf_done(&journal);
	segment_unref(a);
	segment_unref(b);
}
END_TEST

START_TEST(the_caller_may_stop_it)
{
	struct replay_state st = {.epoch = EPOCH};
	struct error err = {0};
	enum replay_stop stop;

	(void)put_groups(20);
	answer = -ENOMEM;
	answer_at = 9;
	ck_assert_int_eq(run(&st, UINT64_MAX, 16, &stop, &err), -ENOMEM);
	ck_assert_str_eq(err.text, "as told");
	ck_assert_uint_eq(st.last_group, 8);
	answer = 0;
	ck_assert_int_eq(run(&st, UINT64_MAX, 16, &stop, &err), 0); /* it goes on where it stood */
	ck_assert_uint_eq(st.last_group, 20);
	ck_assert_uint_eq(nseen, 20);
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("replay");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, in_order, 0, 5);
	tcase_add_test(t, skips_what_is_in_the_tables);
	tcase_add_test(t, stops_at_a_gap_and_at_a_fence);
	tcase_add_loop_test(t, refuses, 0, 5);
	tcase_add_loop_test(t, journal_of_another_segment, 0, 2);
	tcase_add_test(t, the_caller_may_stop_it);
	return t;
}

int main(void)
{
	return run_suite(cases, "log replay");
}
