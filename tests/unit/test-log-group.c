/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Groups and their way to the store: who is in which group, the order of acknowledgements, how many
 * PUTs commits cost, and what happens when the store is slow, fails, or holds somebody else's
 * bytes. Most tests run in the simulator, where time is virtual and a seed picks the interleaving;
 * one runs on real threads.
 */
#include "core/base/diag.h"
#include "core/log/log.h"
#include "core/log/replay.h"
#include "core/store/delay.h"
#include "core/store/fault.h"
#include "core/store/stats.h"
#include "tests/sim/env_sim.h"
#include "tests/unit/log-fixture.h"

#define EPOCH 3
#define GROUPS_MAX 4096

/* The layer above the log: counts what each group holds, and checks the order of calls. */
struct upper {
	struct log *log;
	struct store *store, *stats, *fault;
	struct volume_keys *keys;
	struct budget *budget;
	struct group_ops ops;
	struct log_options o;
	_Atomic uint64_t counted[GROUPS_MAX]; /* operations that changed something, by group */
	_Atomic uint64_t closed, acked, dropped, opened, frames;
	_Atomic int fenced;
	int owner, asked;	/* what still_owner answers, how often it was asked */
	unsigned seal_at_close; /* frames that close() appends */
	uint64_t number;	/* of the next frame */
	void (*before_close)(struct group *g);
};

static struct upper *u;

static int upper_open(void *arg, struct group *g)
{
	ck_assert_ptr_eq(arg, u);
	ck_assert_uint_lt(g->number, GROUPS_MAX);
	g->payload = u;
	u->opened++;
	return 0;
}

/* Appends `n` frames to the group, as a sealer does it. */
static struct frame_place put_frames(struct group *g, unsigned n)
{
	struct sealed_frame frames[16];
	struct frame_place places[16];
	struct segment *s;
	uint64_t first;
	size_t len, charge = n * frame_bound(FIXTURE_FRAME);

	ck_assert_int_eq(log_turn(u->log, g), 0);
	ck_assert_int_eq(budget_get(u->budget, BUDGET_COMMIT, charge), 0);
	ck_assert_int_eq(log_segment(u->log, g, n, n * FIXTURE_FRAME, &s, &first), 0);
	uint8_t *block = fixture_block(u->keys, s, first, u->number, n, frames, &len);

	u->number += n;
	u->frames += n;
	segment_append(s, first, n, frames, n, block, charge, places);
	segment_unref(s);
	return places[0];
}

static int upper_close(void *arg, struct group *g, struct buf *journal)
{
	(void)arg;
	ck_assert_uint_eq(g->users, 0);
	ck_assert_uint_eq(g->number, u->closed + 1);
	if (u->before_close)
		u->before_close(g);
	if (u->seal_at_close > 0)
		(void)put_frames(g, u->seal_at_close);
	u->closed = g->number;
	return buf_append_le64(journal, u->counted[g->number]);
}

static void upper_acked(void *arg, struct group *g)
{
	(void)arg;
	ck_assert_uint_eq(g->number, u->acked + 1); /* in order */
	ck_assert_uint_le(g->number, u->closed);
	u->acked = g->number;
	(void)log_replay_start(u->log, g->number);
}

static void upper_dropped(void *arg, struct group *g)
{
	(void)arg;
	ck_assert_uint_gt(g->number, u->acked);
	u->dropped++;
}

static void upper_fenced(void *arg)
{
	(void)arg;
	u->fenced++;
}

static int upper_owner(void *arg)
{
	(void)arg;
	u->asked++;
	return u->owner;
}

static void set_up(uint64_t latency_us, uint64_t memory)
{
	const struct delay_options delay = {.latency_us = latency_us, .seed = latency_us ? 7 : 0};

	u = calloc(1, sizeof(*u));
	u->fault = fault_new(fixture_store());
	u->stats = stats_new(latency_us ? delay_new(u->fault, &delay) : u->fault);
	u->store = u->stats;
	u->keys = fixture_keys(u->store);
	u->budget = budget_new(memory);
	u->ops = (struct group_ops){.open = upper_open,
		.close = upper_close,
		.acked = upper_acked,
		.dropped = upper_dropped,
		.arg = u};
	u->o = (struct log_options){.store = u->store,
		.keys = u->keys,
		.budget = u->budget,
		.ops = &u->ops,
		.epoch = EPOCH,
		.next_group = 1,
		.segment_bytes = SEGMENT_TARGET_BYTES,
		.flush_interval_ms = 5000,
		.quiet_ms = 1000,
		.fsync_timeout_ms = 600000,
		.uploads = 8,
		.fenced = upper_fenced,
		.still_owner = upper_owner};
	ck_assert_int_eq(log_open(&u->o, &u->log, NULL), 0);
}

static void clean_up(void)
{
	ck_assert_uint_eq(u->opened, u->acked + u->dropped);
	ck_assert_uint_eq(budget_used(u->budget, BUDGET_COMMIT), 0);
	budget_free(u->budget);
	keys_free(u->keys);
	store_close(u->store);
	free(u);
}

/* An operation that changes something; returns its group. */
static uint64_t change(void)
{
	struct group *g = group_join(u->log);
	uint64_t number = g->number;

	u->counted[number]++;
	group_leave(g, true);
	return number;
}

static uint64_t log_puts(void)
{
	struct stats st;

	stats_snapshot(u->stats, &st);
	return st.count[STORE_CREATE][STORE_CLASS_LOG].calls;
}

static bool stored(uint64_t sequence)
{
	char key[LOG_KEY_MAX];
	uint8_t byte;
	size_t n;

	log_key(key, EPOCH, sequence);
	return store_get(u->store, key, 0, &byte, 1, &n, NULL, NULL) == 0;
}

/* What a successor finds: every group's count, in order, up to what was acknowledged. */
struct found {
	uint64_t groups;
	uint64_t total;
};

static int found_group(
	void *arg, uint64_t epoch, uint64_t sequence, const struct journal *j, struct error *err)
{
	struct found *f = arg;
	uint64_t count;

	(void)epoch;
	(void)sequence;
	(void)err;
	f->groups++;
	ck_assert_uint_eq(j->group, f->groups);
	ck_assert_uint_eq(j->previous, f->groups - 1);
	ck_assert_uint_eq(j->block.len, 8);
	memcpy(&count, j->block.data, 8);
	ck_assert_uint_eq(count, u->counted[j->group]);
	f->total += count;
	return 0;
}

static struct found replay_all(void)
{
	struct found f = {0};
	const struct replay_ops ops = {.group = found_group, .arg = &f};
	struct replay_state st = {.epoch = EPOCH};
	enum replay_stop stop;
	struct error err = {0};
	int r = replay_run(u->store, u->keys, &st, UINT64_MAX, 8, &ops, &stop, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	ck_assert_int_eq(stop, REPLAY_MISSING);
	return f;
}

/* ---- many threads ---- */

#define WORKERS 6

struct worker {
	struct thread thread;
	uint64_t seed, done;
	unsigned operations;
};

static void work(void *arg)
{
	struct worker *w = arg;
	struct rng rng = rng_of(w->seed);

	for (unsigned i = 0; i < w->operations; i++) {
		uint64_t g = change();

		w->done++;
		switch (rng_below(&rng, 8)) {
		case 0:
			ck_assert_int_eq(log_wait(u->log, g, NULL), 0);
			ck_assert_uint_le(g, log_acked(u->log));
			ck_assert_uint_le(g, u->acked);
			break;
		case 1:
			log_close_group(u->log);
			break;
		case 2: {
			struct group *open = group_join(u->log);

			group_leave(open, false);
			break;
		}
		case 3:
			env_sleep_ms(rng_below(&rng, 3));
			break;
		default:
			break;
		}
	}
}

static void threads_main(void *arg)
{
	struct worker w[WORKERS] = {0};
	uint64_t seed = *(uint64_t *)arg, total = 0;

	set_up(1000, 8 << 20);
	u->seal_at_close = seed % 3;
	for (unsigned i = 0; i < WORKERS; i++) {
		w[i].seed = seed * 100 + i;
		w[i].operations = 60;
		ck_assert_int_eq(thread_start(&w[i].thread, "worker", work, &w[i]), 0);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		thread_join(&w[i].thread);
		total += w[i].done;
	}
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	struct found f = replay_all();

	ck_assert_uint_eq(f.total, total);
	ck_assert_uint_eq(f.groups, u->acked);
	ck_assert_uint_eq(u->dropped, 1); /* the last one, unchanged */
	clean_up();
}

START_TEST(threads_in_the_simulator)
{
	uint64_t seed = (uint64_t)_i;

	sim_run(threads_main, &seed, seed);
}
END_TEST

START_TEST(threads_for_real)
{
	uint64_t seed = 1;

	threads_main(&seed);
}
END_TEST

/* ---- what a commit costs ---- */

static void one_put_main(void *arg)
{
	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_int_eq(log_wait(u->log, log_open_group(u->log), NULL),
		0); /* nothing changed: nothing to do */
	ck_assert_uint_eq(log_puts(), 0);
	u->seal_at_close = 5;
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_uint_eq(log_puts(), 1);
	ck_assert_uint_eq(log_acked(u->log), 1);
	ck_assert_int_eq(log_wait(u->log, 1, NULL), 0);
	u->seal_at_close = 0; /* a journal alone */
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_uint_eq(log_puts(), 2);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(log_puts(), 2);
	ck_assert_uint_eq(replay_all().groups, 2);
	clean_up();
}

START_TEST(a_small_group_is_one_put)
{
	sim_run(one_put_main, NULL, 1);
}
END_TEST

#define CALLERS 48

static void sync_once(void *arg)
{
	uint64_t begin = env_now_ns();

	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	*(uint64_t *)arg = env_now_ns() - begin;
}

static void sharing_main(void *arg)
{
	struct thread t[CALLERS];
	uint64_t took[CALLERS];

	(void)arg;
	set_up(20000, 64 << 20);
	for (unsigned i = 0; i < CALLERS; i++)
		ck_assert_int_eq(thread_start(&t[i], "caller", sync_once, &took[i]), 0);
	for (unsigned i = 0; i < CALLERS; i++) {
		thread_join(&t[i]);
		/* At most: wait for a place in the pipeline, then one PUT of at most one and a half
		 * latencies. */
		ck_assert_uint_lt(took[i], 2 * 31000000ull);
	}
	ck_assert_uint_le(log_puts(), 8);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	clean_up();
}

START_TEST(concurrent_fsyncs_share)
{
	sim_run(sharing_main, NULL, (uint64_t)_i);
}
END_TEST

/* ---- timers ---- */

static void timers_main(void *arg)
{
	uint64_t begin;

	(void)arg;
	set_up(0, 64 << 20);
	env_sleep_ms(20000);
	ck_assert_uint_eq(log_puts(), 0); /* idle costs nothing */
	begin = env_now_ms();
	(void)change();
	while (log_acked(u->log) < 1)
		env_sleep_ms(10);
	ck_assert_uint_ge(env_now_ms() - begin, 990); /* a second of quiet */
	ck_assert_uint_le(env_now_ms() - begin, 1100);
	begin = env_now_ms();
	while (log_acked(u->log) < 2) {
		(void)change();
		env_sleep_ms(50); /* never quiet */
	}
	ck_assert_uint_ge(env_now_ms() - begin, 4900);
	ck_assert_uint_le(env_now_ms() - begin, 5200);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	clean_up();
}

START_TEST(quiet_and_interval)
{
	sim_run(timers_main, NULL, 1);
}
END_TEST

/* ---- segments ---- */

static void early_main(void *arg)
{
	(void)arg;
	set_up(0, 4 << 20); /* COMMIT 1 MiB: segments of 256 KiB */
	struct group *g = group_join(u->log);
	uint64_t number = g->number;
	struct frame_place first = {0}, last;
	struct segment *s;

	group_leave(g, true);
	for (unsigned i = 0; i < 40; i++) { /* about 640 KB that do not compress */
		last = put_frames(g, 16);
		if (i == 0)
			first = last;
	}
	ck_assert_uint_eq(first.sequence, 0);
	ck_assert_uint_eq(last.sequence, 2);
	env_sleep_ms(100);
	/* W7: early segments of a group that is still open; their bytes are let go. */
	ck_assert_uint_eq(log_open_group(u->log), number);
	ck_assert(stored(0) && stored(1) && !stored(2));
	ck_assert_ptr_null(log_find_segment(u->log, EPOCH, 0));
	ck_assert_ptr_null(log_find_segment(u->log, EPOCH, 3));
	ck_assert_ptr_null(log_find_segment(u->log, EPOCH + 1, 2));
	s = log_find_segment(u->log, EPOCH, 2);
	ck_assert_ptr_nonnull(s);
	struct slice sealed;
	uint32_t plain;

	ck_assert_int_eq(segment_frame(s, last.ordinal, &sealed, &plain), 0);
	ck_assert(fixture_opens(u->keys, segment_key(s), last.ordinal, 39 * 16, sealed));
	ck_assert_uint_lt(log_unsent(u->log), 300000);
	ck_assert_uint_eq(log_replay_start(u->log, number - 1), 0);

	struct segment *const *segments;

	ck_assert_uint_eq(group_segments(g, &segments), 3);
	ck_assert_uint_gt(segment_plain_total(segments[0]), 200000);
	/* Memory is short: the open segment goes, too. */
	log_pressure(u->log);
	env_sleep_ms(100);
	ck_assert(stored(2));
	/* A reader that holds the segment goes on with its bytes. */
	ck_assert(fixture_opens(u->keys, segment_key(s), last.ordinal, 39 * 16, sealed));
	segment_unref(s);

	ck_assert_int_eq(log_wait(u->log, number, NULL), 0);
	ck_assert_uint_eq(log_puts(), 4); /* the journal has a segment of its own */
	ck_assert_uint_eq(log_replay_start(u->log, number), 4);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(replay_all().groups, 1);
	clean_up();
}

START_TEST(full_segments_go_early)
{
	sim_run(early_main, NULL, 1);
}
END_TEST

/* A sealer of a later group waits until the journal before it is bound (W1). */
static bool turn_came;
static struct thread sealer;

static void seal_later(void *arg)
{
	struct group *g = arg;

	ck_assert_int_eq(log_turn(u->log, g), 0);
	turn_came = true;
	ck_assert_uint_eq(put_frames(g, 1).sequence, 1);
	group_leave(g, true);
}

static void while_closing(struct group *g)
{
	if (g->number > 1)
		return;
	struct group *later = group_join(u->log);

	ck_assert_uint_eq(later->number, 2);
	ck_assert_int_eq(thread_start(&sealer, "sealer", seal_later, later), 0);
	env_sleep_ms(1000);
	ck_assert(!turn_came);
	ck_assert_uint_eq(put_frames(g, 1).sequence, 0); /* the closing group still may */
}

static void turns_main(void *arg)
{
	(void)arg;
	turn_came = false;
	set_up(5000, 64 << 20);
	u->before_close = while_closing;
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	thread_join(&sealer);
	ck_assert(turn_came);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(log_puts(), 2);
	clean_up();
}

START_TEST(later_groups_wait_for_their_turn)
{
	sim_run(turns_main, NULL, (uint64_t)_i);
}
END_TEST

/* Little memory, many sealers: nobody waits for ever. */
static void seal_much(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 12; i++) {
		struct group *g = group_join(u->log);

		/* The group stays open: this thread is in it. Data does so through its dirty maps.
		 */
		(void)put_frames(g, 16);
		group_leave(g, true);
	}
}

static void pressed(void *arg, enum budget_class c)
{
	(void)arg;
	if (c == BUDGET_COMMIT)
		log_pressure(u->log);
}

static void tight_main(void *arg)
{
	struct thread t[4];

	(void)arg;
	set_up(2000, 1 << 20); /* COMMIT 256 KiB, blocks of 16 KB, segments of 64 KiB */
	const struct budget_pressure p = {.full = pressed};

	budget_set_pressure(u->budget, &p);
	u->seal_at_close = 16;
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(thread_start(&t[i], "sealer", seal_much, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		thread_join(&t[i]);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_le(budget_peak(u->budget, BUDGET_COMMIT), 512 << 10);
	clean_up();
}

START_TEST(little_memory)
{
	sim_run(tight_main, NULL, (uint64_t)_i);
}
END_TEST

/* ---- stores that fail ---- */

static const char first_segment[] = "log/0000000000000003/0000000000000000";

static void order_main(void *arg)
{
	const struct fault_rule rule = {.kind = FAULT_ERROR,
		.ops = FAULT_OP(STORE_CREATE),
		.prefix = first_segment,
		.count = 4};

	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_int_ge(fault_add(u->fault, &rule), 0);
	uint64_t a = change();

	log_close_group(u->log);
	env_sleep_ms(10);
	uint64_t b = change();

	log_close_group(u->log);
	env_sleep_ms(20);
	/* W4: the second group's position is stored, the first one's is not. */
	ck_assert_uint_eq(a + 1, b);
	ck_assert(!stored(0) && stored(1));
	ck_assert_uint_eq(log_acked(u->log), 0);
	ck_assert_int_eq(log_wait(u->log, b, NULL), 0);
	ck_assert(stored(0));
	ck_assert_uint_eq(log_acked(u->log), b);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(replay_all().groups, 2);
	clean_up();
}

START_TEST(acknowledged_in_order)
{
	sim_run(order_main, NULL, (uint64_t)_i);
}
END_TEST

/* Counterexample 1: the reply is lost, the attempt after it is answered "exists". */
static void lost_reply_main(void *arg)
{
	const struct fault_rule rule = {
		.kind = FAULT_LOST_REPLY, .ops = FAULT_OP(STORE_CREATE), .prefix = "log/"};

	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_int_ge(fault_add(u->fault, &rule), 0);
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_int_eq(u->fenced, 0);
	ck_assert_uint_eq(log_puts(), 2);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(replay_all().groups, 1);
	clean_up();
}

START_TEST(own_bytes_are_a_success)
{
	sim_run(lost_reply_main, NULL, 1);
}
END_TEST

/* The same with a successor's fence in the place. */
static void fence_main(void *arg)
{
	struct buf fence = BUF_INIT;
	struct slice part;

	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_int_eq(fence_build(u->keys, EPOCH, 1, &fence, NULL), 0);
	part = buf_slice(&fence);
	ck_assert_int_eq(
		store_create(u->store, "log/0000000000000003/0000000000000001", &part, 1, NULL), 0);
	uint64_t before = log_puts(), g = change();

	ck_assert_int_eq(log_wait(u->log, g, NULL), -ESTALE);
	ck_assert(log_fenced(u->log));
	env_sleep_ms(1); /* waiters may wake before the volume is told */
	ck_assert_int_eq(u->fenced, 1);
	ck_assert_int_eq(log_wait(u->log, 1, NULL), 0); /* what was durable is */
	/* W5: nothing more is sent; operations still find a group. */
	ck_assert_uint_eq(log_puts(), before + 1);
	ck_assert_int_eq(log_wait(u->log, change(), NULL), -ESTALE);
	env_sleep_ms(10000);
	ck_assert_uint_eq(log_puts(), before + 1);
	ck_assert_uint_eq(u->dropped, 1);
	ck_assert_int_eq(log_close(u->log, false, NULL), -ESTALE);
	ck_assert_uint_eq(u->dropped, 2);
	ck_assert_int_eq(u->fenced, 1);
	buf_done(&fence);
	clean_up();
}

START_TEST(other_bytes_fence)
{
	sim_run(fence_main, NULL, (uint64_t)_i);
}
END_TEST

/* "Exists", and at the read-back nothing is there: the manifest tells (W3). */
static void gone_main(void *arg)
{
	int owner = *(int *)arg;
	const struct fault_rule exists = {.kind = FAULT_ERROR,
		.ops = FAULT_OP(STORE_CREATE),
		.prefix = "log/",
		.code = -EEXIST};

	set_up(0, 64 << 20);
	u->owner = owner;
	ck_assert_int_ge(fault_add(u->fault, &exists), 0);
	uint64_t g = change();

	if (owner == -EIO) {
		log_close_group(u->log);
		env_sleep_ms(5000);
		ck_assert_int_gt(u->asked, 2);
		ck_assert_uint_eq(log_puts(), 1); /* not before somebody has answered */
		u->owner = 0;
	}
	ck_assert_int_eq(log_wait(u->log, g, NULL), owner == -ESTALE ? -ESTALE : 0);
	ck_assert_int_ge(u->asked, 1);
	env_sleep_ms(1);
	ck_assert_int_eq(u->fenced, owner == -ESTALE);
	ck_assert_uint_eq(log_puts(), owner == -ESTALE ? 1 : 2);
	ck_assert_int_eq(log_close(u->log, false, NULL), owner == -ESTALE ? -ESTALE : 0);
	clean_up();
}

START_TEST(exists_and_gone)
{
	const int owners[] = {0, -ESTALE, -EIO};
	int owner = owners[_i];

	sim_run(gone_main, &owner, 1);
}
END_TEST

static void outage_main(void *arg)
{
	const int codes[] = {-EIO, -EACCES, -ENOSPC, -ETIMEDOUT};
	const struct fault_rule rule = {.kind = FAULT_ERROR,
		.ops = FAULT_OP(STORE_CREATE),
		.prefix = "log/",
		.count = FAULT_FOREVER,
		.code = codes[*(int *)arg]};
	struct error err = {0};

	set_up(0, 64 << 20);
	ck_assert_int_ge(fault_add(u->fault, &rule), 0);
	uint64_t g = change(), begin = env_now_ms();

	ck_assert_int_eq(log_wait(u->log, g, &err), -EIO);
	ck_assert_uint_ge(env_now_ms() - begin, 600000);
	ck_assert_uint_lt(log_puts(), 100); /* it was not hammered */
	ck_assert_int_eq(u->fenced, 0);
	/* Nothing is lost; and groups do not pile up without bound. */
	for (unsigned i = 0; i < 20; i++) {
		(void)change();
		log_close_group(u->log);
		env_sleep_ms(100);
	}
	ck_assert_uint_le(u->closed, 4);
	fault_clear(u->fault);
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(replay_all().total, 22);
	clean_up();
}

START_TEST(an_outage_loses_nothing)
{
	sim_run(outage_main, &_i, 1);
}
END_TEST

static void abandon_main(void *arg)
{
	const struct fault_rule rule = {.kind = FAULT_ERROR,
		.ops = FAULT_OP(STORE_CREATE),
		.prefix = "log/",
		.count = FAULT_FOREVER};

	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_int_ge(fault_add(u->fault, &rule), 0);
	u->seal_at_close = 3;
	(void)change();
	log_close_group(u->log);
	env_sleep_ms(3000);
	ck_assert_int_eq(log_close(u->log, true, NULL), -ECANCELED);
	ck_assert_uint_eq(u->dropped, 2);
	clean_up();

	set_up(0, 64 << 20);
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
	ck_assert_int_eq(log_close(u->log, true, NULL), 0); /* nothing was given up */
	clean_up();
}

START_TEST(abandoned)
{
	sim_run(abandon_main, NULL, (uint64_t)_i);
}
END_TEST

/* log_fence from outside, while threads wait and seal. */
static void wait_fenced(void *arg)
{
	(void)arg;
	ck_assert_int_eq(log_wait(u->log, change(), NULL), -ESTALE);
}

static void fence_outside_main(void *arg)
{
	struct thread t[3];

	(void)arg;
	set_up(50000, 64 << 20);
	u->seal_at_close = 1;
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(thread_start(&t[i], "caller", wait_fenced, NULL), 0);
	env_sleep_ms(5);
	log_fence(u->log);
	log_fence(u->log);
	for (unsigned i = 0; i < 3; i++)
		thread_join(&t[i]);
	ck_assert_int_eq(u->fenced, 0); /* who says so knows it */
	ck_assert_int_eq(log_close(u->log, false, NULL), -ESTALE);
	clean_up();
}

START_TEST(fenced_from_outside)
{
	sim_run(fence_outside_main, NULL, (uint64_t)_i);
}
END_TEST

/* ---- numbers ---- */

static void numbers_main(void *arg)
{
	struct log_stats st;

	(void)arg;
	set_up(0, 64 << 20);
	ck_assert_uint_eq(log_replay_start(u->log, 0), 0);
	for (unsigned i = 1; i <= 10; i++) {
		ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
		ck_assert_uint_eq(log_acked(u->log), i);
		ck_assert_uint_eq(log_closed(u->log), i);
		ck_assert_uint_eq(log_open_group(u->log), i + 1);
	}
	ck_assert_uint_eq(log_replay_start(u->log, 10), 10);
	log_stats(u->log, &st);
	ck_assert_uint_eq(st.commits, 10);
	ck_assert_uint_eq(st.segments, 10);
	ck_assert_uint_eq(st.next_sequence, 10);
	ck_assert_uint_eq(st.unsent_bytes, 0);
	ck_assert_uint_eq(log_unsent_bound(u->log), 16 << 20);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	clean_up();
}

START_TEST(numbers)
{
	sim_run(numbers_main, NULL, 1);
}
END_TEST

/* 100 MB/s for a while: the bound follows. */
static void bandwidth_main(void *arg)
{
	const struct delay_options link = {.latency_us = 1000, .link_bytes_per_s = 200 << 20};
	uint8_t *noise = malloc(8 << 20);
	struct rng rng = rng_of(5);

	(void)arg;
	set_up(0, 512 << 20);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	u->store = u->stats = stats_new(delay_new(u->store, &link));
	u->o.store = u->store;
	u->o.epoch = EPOCH + 1;
	u->opened = u->dropped = 0;
	ck_assert_int_eq(log_open(&u->o, &u->log, NULL), 0);
	for (size_t i = 0; i < 8 << 20; i += 8) {
		uint64_t v = rng_next(&rng);

		memcpy(noise + i, &v, 8);
	}
	for (unsigned i = 0; i < 12; i++) {
		struct group *g = group_join(u->log);
		struct sealed_frame f = {
			.sealed_len = 8 << 20, .inode = 1, .plain_len = FRAME_PLAIN_MAX};
		uint8_t *block = malloc(8 << 20);
		struct segment *s;
		uint64_t first;

		memcpy(block, noise, 8 << 20);
		ck_assert_int_eq(budget_get(u->budget, BUDGET_COMMIT, 8 << 20), 0);
		ck_assert_int_eq(log_segment(u->log, g, 1, FRAME_PLAIN_MAX, &s, &first), 0);
		segment_append(s, first, 1, &f, 1, block, 8 << 20, NULL);
		segment_unref(s);
		group_leave(g, true);
	}
	ck_assert_int_eq(log_wait(u->log, log_open_group(u->log), NULL), 0);
	ck_assert_uint_gt(log_unsent_bound(u->log), 40 << 20);
	ck_assert_uint_lt(log_unsent_bound(u->log), 60 << 20);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	free(noise);
	clean_up();
}

START_TEST(bandwidth)
{
	sim_run(bandwidth_main, NULL, 1);
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("group");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, threads_in_the_simulator, 1, 25);
	tcase_add_test(t, a_small_group_is_one_put);
	tcase_add_loop_test(t, concurrent_fsyncs_share, 1, 6);
	tcase_add_test(t, quiet_and_interval);
	tcase_add_test(t, full_segments_go_early);
	tcase_add_loop_test(t, later_groups_wait_for_their_turn, 1, 6);
	tcase_add_loop_test(t, little_memory, 1, 11);
	tcase_add_loop_test(t, acknowledged_in_order, 1, 6);
	tcase_add_test(t, own_bytes_are_a_success);
	tcase_add_loop_test(t, other_bytes_fence, 1, 6);
	tcase_add_loop_test(t, exists_and_gone, 0, 3);
	tcase_add_loop_test(t, an_outage_loses_nothing, 0, 4);
	tcase_add_loop_test(t, abandoned, 1, 6);
	tcase_add_loop_test(t, fenced_from_outside, 1, 11);
	tcase_add_test(t, numbers);
	tcase_add_test(t, bandwidth);
	return t;
}

/* On its own, so that ThreadSanitizer can run it without the simulator's fibres
 * (CK_RUN_CASE=threads). */
static TCase *real_cases(void)
{
	TCase *t = tcase_create("threads");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, threads_for_real);
	return t;
}

int main(void)
{
	diag_set_level(DIAG_ERROR);
	int simulated = run_suite(cases, "log group");

	return run_suite(real_cases, "log group, threads") == EXIT_SUCCESS ? simulated
									   : EXIT_FAILURE;
}
