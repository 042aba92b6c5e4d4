/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claims, what an observer concludes from them, and the walk of T4: in virtual time. */
#include "tests/unit/epoch-fixture.h"

/* A segment without frames. */
static void put_segment(uint64_t epoch, uint64_t sequence)
{
	char key[LOG_KEY_MAX];
	struct segment *s;

	ck_assert_int_eq(segment_new(keys, epoch, sequence, NULL, &s, NULL), 0);
	ck_assert(segment_close(s));
	ck_assert_int_eq(segment_seal(s, SLICE(NULL, 0), NULL), 0);
	struct buf object = fixture_object(s);

	log_key(key, epoch, sequence);
	ck_assert(script_land(script, key, buf_slice(&object), false));
	buf_done(&object);
	segment_unref(s);
}

static void put_fence(uint64_t epoch, uint64_t sequence)
{
	struct buf object = BUF_INIT;
	char key[LOG_KEY_MAX];

	ck_assert_int_eq(fence_build(keys, epoch, sequence, &object, NULL), 0);
	log_key(key, epoch, sequence);
	ck_assert(script_land(script, key, buf_slice(&object), false));
	buf_done(&object);
}

/* 's', 'f', or '-' at a position. */
static char kind_at(uint64_t epoch, uint64_t sequence)
{
	enum log_object kind = LOG_ABSENT;
	struct segment_directory d = {0};
	struct journal j = {0};
	char key[LOG_KEY_MAX];

	log_key(key, epoch, sequence);
	const struct script_object *o = script_find(script, key);

	if (!o)
		return '-';
	ck_assert_int_eq(
		segment_parse(keys, epoch, sequence, buf_slice(&o->data), &kind, &d, &j, NULL), 0);
	segment_directory_done(&d);
	journal_done(&j);
	return kind == LOG_FENCE ? 'f' : 's';
}

static void check_log(uint64_t epoch, const char *want)
{
	for (uint64_t i = 0; want[i]; i++)
		ck_assert_msg(kind_at(epoch, i) == want[i],
			"position %llu: %c instead of %c in \"%s\"", (unsigned long long)i,
			kind_at(epoch, i), want[i], want);
}

static uint64_t close_log(uint64_t epoch, uint64_t from)
{
	uint64_t end = UINT64_MAX;
	struct error err = {0};
	int r = epoch_close_log(&script->store, keys, epoch, from, &end, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	return end;
}

/* ---- T4 ---- */

static const struct walk {
	const char *before;
	uint64_t from, end;
	const char *after;
} walks[] = {
	{"", 0, 0, "f"},
	{"ss", 0, 2, "ssf"},
	{"ss-s", 0, 2, "ssfs"},	   /* what lies above the gap does not count */
	{"ss-sf", 0, 2, "ssfsf"},  /* the lowest fence, although another one is higher */
	{"sf", 0, 1, "sf-"},	   /* somebody else's fence will do */
	{"sfsf", 0, 1, "sfsf"},	   /* the lowest of two */
	{"-f", 0, 0, "ff"},	   /* a stale candidate's fence above a gap */
	{"sfsss", 2, 5, "sfsssf"}, /* a misplaced fence below the replay start means nothing */
	{"---", 3, 3, "---f"},	   /* all collected */
	{"ssssssssss", 4, 10, "ssssssssssf"},
};

static void walk_main(void *arg)
{
	const struct walk *w = arg;

	set_up();
	for (uint64_t i = 0; w->before[i]; i++) {
		if (w->before[i] == 's')
			put_segment(5, i);
		if (w->before[i] == 'f')
			put_fence(5, i);
	}
	ck_assert_uint_eq(close_log(5, w->from), w->end);
	check_log(5, w->after);
	uint64_t creates = script->calls[STORE_CREATE];

	ck_assert_uint_eq(close_log(5, w->from), w->end); /* final */
	ck_assert_uint_eq(script->calls[STORE_CREATE], creates);
	clean_up();
}

START_TEST(fence_walk)
{
	struct walk w = walks[_i];

	sim_run(walk_main, &w, 1);
}
END_TEST

/* Counterexample 3 and T4: what arrives between the look and the fence. */
enum meanwhile {
	SEGMENT_LANDS,
	FENCE_LANDS,
	TWO_SEGMENTS_LAND,
	REPLY_LOST,
	NOTHING_DONE,
	LANDS_AND_NO_ANSWER
};

struct race {
	enum meanwhile what;
	unsigned times;
};

static int race_hook(void *arg, enum store_op op, const char *key, bool after)
{
	struct race *r = arg;

	if (op != STORE_CREATE || strncmp(key, "log/", 4) != 0 || r->times == 0)
		return 0;
	switch (r->what) {
	case SEGMENT_LANDS:
		if (!after)
			put_segment(5, 1 + (3 - r->times--));
		return 0;
	case FENCE_LANDS:
		if (!after) {
			put_fence(5, 1);
			r->times = 0;
		}
		return 0;
	case TWO_SEGMENTS_LAND:
		if (!after) {
			put_segment(5, 1);
			put_segment(5, 2);
			r->times = 0;
		}
		return 0;
	case REPLY_LOST:
		if (after)
			r->times--;
		return after ? -ETIMEDOUT : 0;
	case NOTHING_DONE:
		if (!after)
			r->times--;
		return after ? 0 : -ETIMEDOUT;
	case LANDS_AND_NO_ANSWER:
		if (!after) {
			put_segment(5, 1);
			r->times = 0;
			return -ETIMEDOUT;
		}
		return 0;
	}
	return 0;
}

static void race_main(void *arg)
{
	struct race *r = arg;
	static const uint64_t ends[] = {4, 1, 3, 1, 1, 2};
	static const char *const logs[] = {"ssssf", "sf", "sssf", "sf", "sf", "ssf"};

	set_up();
	put_segment(5, 0);
	script->hook = race_hook;
	script->arg = r;
	enum meanwhile what = r->what;

	ck_assert_uint_eq(close_log(5, 0), ends[what]);
	check_log(5, logs[what]);
	clean_up();
}

START_TEST(fence_race)
{
	struct race r = {.what = (enum meanwhile)_i, .times = 3};

	sim_run(race_main, &r, 1);
}
END_TEST

/* Two candidates and a writer whose PUTs land whenever they like: one end, and it is the lowest
 * fence. */
static uint64_t ends[3];

static void candidate(void *arg)
{
	ends[(uintptr_t)arg] = close_log(5, 0);
}

static void late_writer(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i < 6; i++) {
		env->sleep_ns(rng_below(sim_rng(), 3000000));
		if (kind_at(5, i) == '-')
			put_segment(5, i);
	}
}

static void candidates_main(void *arg)
{
	struct thread t[4];

	(void)arg;
	set_up();
	script->jitter_us = 2000;
	put_segment(5, 0);
	for (uintptr_t i = 0; i < 3; i++)
		ck_assert_int_eq(thread_start(&t[i], "candidate", candidate, (void *)i), 0);
	ck_assert_int_eq(thread_start(&t[3], "writer", late_writer, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		thread_join(&t[i]);
	ck_assert_uint_eq(ends[0], ends[1]);
	ck_assert_uint_eq(ends[0], ends[2]);
	for (uint64_t i = 0; i < ends[0]; i++)
		ck_assert_int_eq(kind_at(5, i), 's');
	ck_assert_int_eq(kind_at(5, ends[0]), 'f');
	clean_up();
}

START_TEST(candidates_agree)
{
	sim_run(candidates_main, NULL, (uint64_t)_i);
}
END_TEST

static void garbage_main(void *arg)
{
	uint64_t end;

	(void)arg;
	set_up();
	ck_assert(script_land(script, "log/0000000000000005/0000000000000000",
		SLICE_STR("no fence, no segment"), false));
	/* Its size says segment: replay will find out. One that says fence is looked at. */
	ck_assert_uint_eq(close_log(5, 0), 1);
	uint8_t bytes[FENCE_BYTES] = {1};

	ck_assert(script_land(script, "log/0000000000000006/0000000000000000",
		SLICE(bytes, sizeof(bytes)), false));
	ck_assert_int_eq(epoch_close_log(&script->store, keys, 6, 0, &end, NULL), -EBADMSG);
	clean_up();
}

START_TEST(garbage_is_damage)
{
	sim_run(garbage_main, NULL, 1);
}
END_TEST

/* D8 and T8. */
static void sweep_main(void *arg)
{
	(void)arg;
	set_up();
	for (uint64_t i = 0; i < 8; i++)
		if (i != 3 && i != 6)
			put_segment(5, i);
	put_fence(5, 3);
	put_fence(5, 6);
	put_segment(6, 5);
	ck_assert_int_eq(epoch_sweep_log(&script->store, 5, 3, 2, NULL), 2);
	ck_assert_int_eq(epoch_sweep_log(&script->store, 5, 3, 100, NULL), 1);
	ck_assert_int_eq(epoch_sweep_log(&script->store, 5, 3, 100, NULL), 0);
	check_log(5, "sssf--f-");
	ck_assert_int_eq(kind_at(6, 5), 's');
	put_segment(5, 4); /* a late copy */
	ck_assert_int_eq(epoch_sweep_log(&script->store, 5, 3, 100, NULL), 1);
	clean_up();
}

START_TEST(sweep_above_the_end)
{
	sim_run(sweep_main, NULL, 1);
}
END_TEST

/* ---- claims ---- */

static int lose_one(void *arg, enum store_op op, const char *key, bool after)
{
	unsigned *left = arg;

	(void)key;
	if (op != STORE_CREATE || !after || *left == 0)
		return 0;
	--*left;
	return -ETIMEDOUT;
}

static void claims_main(void *arg)
{
	struct claim c = claim_of(0x1234, "host", 4242), got;
	struct heartbeat beat;
	unsigned lose = 2;

	(void)arg;
	set_up();
	ck_assert_int_eq(claim_newest(&script->store, keys, &got, &beat, NULL), 0);
	ck_assert_uint_eq(got.epoch, 0);
	script->hook = lose_one;
	script->arg = &lose;
	ck_assert_int_eq(
		claim_create(&script->store, keys, &c, NULL), 0); /* T1: exists, and it is mine */
	ck_assert_uint_eq(lose, 0);
	ck_assert_int_eq(claim_create(&script->store, keys, &c, NULL),
		-EEXIST); /* another object, another salt */
	ck_assert_int_eq(put_claim(3, "other", 1), 0);
	put_beat(0x1234, 9, HEARTBEAT_CLOSING, false);
	put_beat(0x1235, 9, HEARTBEAT_ALIVE, false); /* a heartbeat is no claim */
	ck_assert_int_eq(claim_newest(&script->store, keys, &got, &beat, NULL), 0);
	ck_assert_uint_eq(got.epoch, 0x1234);
	ck_assert(memcmp(got.term, c.term, sizeof(c.term)) == 0);
	ck_assert(memcmp(got.holder, c.holder, sizeof(c.holder)) == 0);
	ck_assert_str_eq(got.host, "host");
	ck_assert_str_eq(got.boot_id, "boot");
	ck_assert_str_eq(got.since, c.since);
	ck_assert_str_eq(got.endpoint, "/run/x");
	ck_assert_int_eq(got.pid, 4242);
	ck_assert_uint_eq(got.started, 77);
	ck_assert(!got.exclusive);
	ck_assert_int_eq(beat.state, HEARTBEAT_CLOSING);
	ck_assert_uint_eq(beat.counter, 9);
	ck_assert_uint_eq(beat.silence_ms, 30000);

	struct script_object *o = script_find(script, "writer/0000000000001234");

	for (size_t at = 0; at < o->data.len; at++) {
		o->data.data[at] ^= 4;
		ck_assert_msg(claim_open(keys, 0x1234, buf_slice(&o->data), &got, NULL) == -EBADMSG,
			"byte %zu", at);
		o->data.data[at] ^= 4;
	}
	for (size_t len = 0; len < o->data.len; len++)
		ck_assert_int_eq(
			claim_open(keys, 0x1234, SLICE(o->data.data, len), &got, NULL), -EBADMSG);
	/* A heartbeat that is not authentic says nothing, and keeps nobody out. */
	o = script_find(script, "writer/0000000000001234.alive");
	for (size_t at = 0; at < o->data.len; at++) {
		o->data.data[at] ^= 4;
		ck_assert_int_eq(heartbeat_read(&script->store, keys, 0x1234, &beat, NULL), 0);
		ck_assert_msg(beat.state == HEARTBEAT_NONE, "byte %zu", at);
		o->data.data[at] ^= 4;
	}
	clean_up();
}

START_TEST(claims)
{
	sim_run(claims_main, NULL, 1);
}
END_TEST

/* ---- observing ---- */

static enum holder_state observe(uint64_t patience_ms, uint64_t *ret_took_ms)
{
	struct identity me = identity("here", 1);
	uint64_t begin = env_now_ms();
	enum holder_state state;
	struct claim c;

	ck_assert_int_eq(
		claim_observe(&script->store, keys, &me, patience_ms, &c, &state, NULL), 0);
	*ret_took_ms = env_now_ms() - begin;
	return state;
}

static bool beating;
static enum heartbeat_state beat_state;

static void beat_main(void *arg)
{
	uint64_t interval_ms = *(uint64_t *)arg;

	for (uint64_t n = 10; beating; n++) {
		put_beat(2, n, beat_state, false);
		env_sleep_ms(interval_ms);
	}
}

static void observe_main(void *arg)
{
	uint64_t took, interval = 10000;
	struct thread t;

	(void)arg;
	set_up();
	uint64_t writes = script->calls[STORE_CREATE] + script->calls[STORE_PUT];

	ck_assert_int_eq(observe(60000, &took), HOLDER_NONE); /* no claim */
	ck_assert_uint_lt(took, 10);
	ck_assert_uint_eq(script->calls[STORE_CREATE] + script->calls[STORE_PUT], writes);

	/* Another machine: alive as soon as it moves. */
	ck_assert_int_eq(put_claim(2, "there", 5), 0);
	beating = true;
	beat_state = HEARTBEAT_ALIVE;
	ck_assert_int_eq(thread_start(&t, "beat", beat_main, &interval), 0);
	ck_assert_int_eq(observe(0, &took), HOLDER_ALIVE);
	ck_assert_uint_lt(took, 10);
	ck_assert_int_eq(observe(60000, &took), HOLDER_ALIVE);
	ck_assert_uint_le(took, 11100);
	/* Closing: waited for, as long as we like. */
	beat_state = HEARTBEAT_CLOSING;
	env_sleep_ms(11000);
	ck_assert_int_eq(observe(60000, &took), HOLDER_CLOSING);
	ck_assert_uint_ge(took, 60000);
	beat_state = HEARTBEAT_RELEASED;
	ck_assert_int_eq(observe(60000, &took), HOLDER_NONE);
	ck_assert_uint_le(took, 11100);
	beating = false;
	thread_join(&t);
	put_beat(2, 1000, HEARTBEAT_CLOSING, false);
	ck_assert_int_eq(observe(60000, &took), HOLDER_SILENT); /* it died while it was closing */
	ck_assert_uint_ge(took, 30000);

	/* Silent: as long as it said itself. */
	put_beat(2, 1001, HEARTBEAT_ALIVE, false);
	ck_assert_int_eq(observe(29000, &took), HOLDER_ALIVE);
	ck_assert_int_eq(observe(60000, &took), HOLDER_SILENT);
	ck_assert_uint_ge(took, 30000);
	ck_assert_uint_le(took, 31100);
	const struct heartbeat idle = {
		.counter = 1002, .state = HEARTBEAT_ALIVE, .silence_ms = 180000};

	ck_assert_int_eq(heartbeat_put(&script->store, keys, 2, &idle, NULL), 0);
	ck_assert_int_eq(observe(179000, &took), HOLDER_ALIVE);
	ck_assert_int_eq(observe(200000, &took), HOLDER_SILENT);
	/* A claim whose owner died at once. */
	ck_assert_int_eq(put_claim(3, "there", 5), 0);
	ck_assert_int_eq(observe(60000, &took), HOLDER_SILENT);
	ck_assert_uint_ge(took, 30000);

	/* This machine: the process itself tells. */
	ck_assert_int_eq(put_claim(4, "here", 5), 0);
	put_beat(4, 1, HEARTBEAT_ALIVE, false);
	ck_assert_int_eq(observe(60000, &took), HOLDER_ALIVE);
	ck_assert_uint_lt(took, 10);
	dead_pid = 5;
	ck_assert_int_eq(observe(60000, &took), HOLDER_NONE);
	clean_up();
}

START_TEST(observing)
{
	sim_run(observe_main, NULL, 1);
}
END_TEST

/* L3: who may serve at once. Claims 1, 2, 3 as letters: d dead here, a alive, r released having
 * served, g gave up. */
static const struct over {
	const char *claims;
	bool over;
} overs[] = {
	{"", true},
	{"d", true},
	{"r", true},
	{"a", false},
	{"ddd", true},
	{"ard", true},
	{"adr", true},
	{"add", false}, /* the dead one may have died before it had waited for its predecessor */
	{"agd", false},
	{"agr", true},
	{"ag", false},
	{"rg", true},
	{"dg", true},
	{"da", false},
	{"ra", false},
	{"a-d", false},
};

static void over_main(void *arg)
{
	const struct over *o = arg;
	struct identity me = identity("here", 1);
	bool over;

	set_up();
	dead_pid = 5;
	for (uint64_t i = 0; o->claims[i]; i++) {
		char c = o->claims[i];

		if (c == '-')
			continue;
		ck_assert_int_eq(
			put_claim(i + 1, c == 'd' ? "here" : "there", c == 'd' ? 5 : 6), 0);
		put_beat(i + 1, 4, c == 'r' || c == 'g' ? HEARTBEAT_RELEASED : HEARTBEAT_ALIVE,
			c == 'r');
	}
	ck_assert_int_eq(claims_all_over(&script->store, keys, &me, 9, &over, NULL), 0);
	ck_assert_msg(over == o->over, "\"%s\"", o->claims);
	clean_up();
}

START_TEST(all_over)
{
	struct over o = overs[_i];

	sim_run(over_main, &o, 1);
}
END_TEST

START_TEST(this_process)
{
	struct identity me, again;

	identity_of_process(&me);
	identity_of_process(&again);
	ck_assert_str_eq(me.boot_id, again.boot_id);
	ck_assert_uint_gt(me.started, 0);
	ck_assert(!me.is_gone(me.pid, me.started));
	ck_assert(me.is_gone(me.pid, me.started + 1)); /* the number was given to another process */
	ck_assert(!me.is_gone(0, 1));
	ck_assert(!me.is_gone(INT64_MAX, 1)); /* cannot be known */
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	siginfo_t info;

	ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	ck_assert(me.is_gone(child, 1)); /* a zombie */
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(me.is_gone(child, 1));
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("epoch");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, fence_walk, 0, COUNT(walks));
	tcase_add_loop_test(t, fence_race, 0, 6);
	tcase_add_loop_test(t, candidates_agree, 1, 31);
	tcase_add_test(t, garbage_is_damage);
	tcase_add_test(t, sweep_above_the_end);
	tcase_add_test(t, claims);
	tcase_add_test(t, observing);
	tcase_add_loop_test(t, all_over, 0, COUNT(overs));
	tcase_add_test(t, this_process);
	return t;
}

int main(void)
{
	diag_set_level(DIAG_ERROR);
	return run_suite(cases, "log epoch");
}
