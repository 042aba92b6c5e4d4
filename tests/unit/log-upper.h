/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_LOG_UPPER_H
#define TESTS_UNIT_LOG_UPPER_H
/*
 * The layer above a log, for its tests: counts what each group holds, puts the count into the
 * journal, checks the order of calls; and a stack of stores that can be slow and fail. Mostly run
 * in the simulator, where time is virtual and a seed picks the interleaving.
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

static inline int upper_open(void *arg, struct group *g)
{
	ck_assert_ptr_eq(arg, u);
	ck_assert_uint_lt(g->number, GROUPS_MAX);
	g->payload = u;
	u->opened++;
	return 0;
}

/* Appends `n` frames to the group, as a sealer does it. */
static inline struct frame_place put_frames(struct group *g, unsigned n)
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

static inline int upper_close(void *arg, struct group *g, struct buf *journal)
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

static inline void upper_acked(void *arg, struct group *g)
{
	(void)arg;
	ck_assert_uint_eq(g->number, u->acked + 1); /* in order */
	ck_assert_uint_le(g->number, u->closed);
	u->acked = g->number;
	(void)log_replay_start(u->log, g->number);
}

static inline void upper_dropped(void *arg, struct group *g)
{
	(void)arg;
	ck_assert_uint_gt(g->number, u->acked);
	u->dropped++;
}

static inline void upper_fenced(void *arg)
{
	(void)arg;
	u->fenced++;
}

static inline int upper_owner(void *arg)
{
	(void)arg;
	u->asked++;
	return u->owner;
}

static inline void set_up(uint64_t latency_us, uint64_t memory)
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

static inline void clean_up(void)
{
	ck_assert_uint_eq(u->opened, u->acked + u->dropped);
	ck_assert_uint_eq(budget_used(u->budget, BUDGET_COMMIT), 0);
	budget_free(u->budget);
	keys_free(u->keys);
	store_close(u->store);
	free(u);
}

/* An operation that changes something; returns its group. */
static inline uint64_t change(void)
{
	struct group *g = group_join(u->log);
	uint64_t number = g->number;

	u->counted[number]++;
	group_leave(g, true);
	return number;
}

static inline uint64_t log_puts(void)
{
	struct stats st;

	stats_snapshot(u->stats, &st);
	return st.count[STORE_CREATE][STORE_CLASS_LOG].calls;
}

static inline bool stored(uint64_t sequence)
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

static inline int found_group(
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

static inline struct found replay_all(void)
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

#endif
