/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer's lease in virtual time: when it covers an answer, and when it has ended for good (L1,
 * L2, L4). */
#include "tests/unit/epoch-fixture.h"

static struct lease *lease;
static int fenced;

static void on_fenced(void *arg)
{
	(void)arg;
	fenced++;
}

static void start_lease(bool strict)
{
	const struct lease_options o = {.store = &script->store,
		.keys = keys,
		.epoch = 2,
		.ttl_ms = 30000,
		.beat_ms = 10000,
		.idle_ttl_ms = 180000,
		.idle_beat_ms = 60000,
		.strict = strict,
		.serve_after_ns = env_now_ns() + 20 * SECOND,
		.beats = 5,
		.fenced = on_fenced};

	fenced = 0;
	ck_assert_int_eq(lease_start(&o, &lease, NULL), 0);
}

static struct heartbeat stored_beat(void)
{
	struct heartbeat b;

	ck_assert_int_eq(heartbeat_read(&script->store, keys, 2, &b, NULL), 0);
	return b;
}

static bool outage;

static int outage_hook(void *arg, enum store_op op, const char *key, bool after)
{
	(void)arg;
	(void)op;
	(void)key;
	return outage && !after ? -EIO : 0;
}

/* How long lease_check took; its result. */
static int check_for(uint64_t *ret_ms)
{
	uint64_t begin = env_now_ns();
	int r = lease_check(lease);

	*ret_ms = (env_now_ns() - begin) / 1000000;
	return r;
}

static void heal_later(void *arg)
{
	env_sleep_ms(*(uint64_t *)arg);
	outage = false;
}

static void strict_main(void *arg)
{
	uint64_t took, later = 60000;
	struct thread t;

	(void)arg;
	set_up();
	ck_assert_int_eq(put_claim(2, "here", 1), 0);
	outage = false;
	script->hook = outage_hook;
	start_lease(true);
	ck_assert_int_eq(check_for(&took), 0); /* waits for the first renewal */
	env_sleep_ms(300000);
	ck_assert_int_eq(check_for(&took), 0);
	ck_assert_uint_lt(took, 2);
	ck_assert_uint_ge(stored_beat().counter, 5 + 29);
	ck_assert_uint_le(stored_beat().counter, 5 + 32);
	ck_assert(!lease_partitioned(lease));

	/* Cut off: covered for at most 27 s from the newest renewal, then nobody gets an answer
	 * until the store is back. */
	outage = true;
	env_sleep_ms(16000);
	ck_assert_int_eq(check_for(&took), 0);
	ck_assert_uint_lt(took, 2);
	env_sleep_ms(15000);
	ck_assert(lease_partitioned(lease));
	ck_assert_int_eq(thread_start(&t, "heal", heal_later, &later), 0);
	ck_assert_int_eq(check_for(&took), 0);
	ck_assert_uint_ge(took, 59000);
	ck_assert_uint_le(took, 61000);
	ck_assert(!lease_partitioned(lease));
	thread_join(&t);

	/* Idle: fewer requests, and the first answer after a while renews first. */
	lease_set_idle(lease, true);
	uint64_t lists = script->calls[STORE_LIST], puts_before = script->calls[STORE_PUT];

	env_sleep_ms(600000);
	ck_assert_uint_le(script->calls[STORE_LIST] - lists, 12);
	ck_assert_uint_le(script->calls[STORE_PUT] - puts_before, 12);
	env_sleep_ms(45000);
	lists = script->calls[STORE_LIST];
	ck_assert_int_eq(check_for(&took), 0);
	ck_assert_uint_le(script->calls[STORE_LIST] - lists, 2);
	ck_assert(!lease_partitioned(lease));
	lease_set_idle(lease, false);

	/* Shutdown while cut off. */
	outage = true;
	env_sleep_ms(40000);
	lease_cancel(lease);
	ck_assert_int_eq(check_for(&took), -ECANCELED);
	lease_stop(lease, false);
	ck_assert_int_eq(fenced, 0);
	clean_up();
}

START_TEST(strict_lease)
{
	sim_run(strict_main, NULL, (uint64_t)_i);
}
END_TEST

/* L2: from the sending of the request, not from its answer. */
static uint64_t slow_lists_ms;

static int slow_hook(void *arg, enum store_op op, const char *key, bool after)
{
	(void)arg;
	(void)key;
	if (op == STORE_LIST && after)
		env_sleep_ms(slow_lists_ms);
	return 0;
}

static void slow_main(void *arg)
{
	uint64_t took;

	(void)arg;
	set_up();
	ck_assert_int_eq(put_claim(2, "here", 1), 0);
	slow_lists_ms = 20000;
	script->hook = slow_hook;
	start_lease(true);
	ck_assert_int_eq(check_for(&took), 0);
	ck_assert_uint_ge(took, 19900);
	slow_lists_ms = 40000; /* each answer comes too late to be worth anything */
	env_sleep_ms(41000);
	lease_cancel(lease);
	ck_assert_int_eq(check_for(&took), -ECANCELED);
	lease_stop(lease, false);
	clean_up();
}

START_TEST(runs_from_the_sending)
{
	sim_run(slow_main, NULL, 1);
}
END_TEST

static void lose_main(void *arg)
{
	uint64_t took;
	bool strict = *(bool *)arg;

	set_up();
	ck_assert_int_eq(put_claim(2, "here", 1), 0);
	outage = false;
	script->hook = outage_hook;
	start_lease(strict);
	env_sleep_ms(1000);
	ck_assert_int_eq(check_for(&took), 0);
	if (!strict) { /* "available": an outage stops no answer */
		outage = true;
		env_sleep_ms(100000);
		ck_assert_int_eq(check_for(&took), 0);
		ck_assert_uint_lt(took, 2);
		ck_assert(lease_partitioned(lease));
		outage = false;
	}
	ck_assert_int_eq(put_claim(3, "there", 9), 0);
	put_beat(
		2, 999, HEARTBEAT_ALIVE, false); /* L1: a late copy of a heartbeat renews nothing */
	env_sleep_ms(11000);
	ck_assert_int_eq(check_for(&took), -ESTALE);
	ck_assert_int_eq(fenced, 1);
	uint64_t writes = script->calls[STORE_PUT];

	env_sleep_ms(100000);
	ck_assert_int_eq(lease_check(lease), -ESTALE); /* for good */
	lease_stop(lease, true);
	ck_assert_uint_eq(script->calls[STORE_PUT], writes); /* W5: no release either */
	ck_assert_int_eq(fenced, 1);
	clean_up();
}

START_TEST(newer_claim_ends_it)
{
	bool strict = _i;

	sim_run(lose_main, &strict, 1);
}
END_TEST

static void release_main(void *arg)
{
	uint64_t wait_ms = *(int *)arg ? 25000 : 5000;

	set_up();
	ck_assert_int_eq(put_claim(2, "here", 1), 0);
	script->hook = NULL;
	start_lease(true);
	env_sleep_ms(wait_ms);
	ck_assert_int_eq(stored_beat().state, HEARTBEAT_ALIVE);
	lease_closing(lease);
	env_sleep_ms(1000);
	ck_assert_int_eq(stored_beat().state, HEARTBEAT_CLOSING);
	lease_stop(lease, true);
	ck_assert_int_eq(stored_beat().state, HEARTBEAT_RELEASED);
	/* Before its own wait was over it does not vouch for its predecessors. */
	ck_assert_int_eq(stored_beat().served, wait_ms > 20000);
	clean_up();
}

START_TEST(release)
{
	sim_run(release_main, &_i, 1);
}
END_TEST

/* Schedule 12: frozen past the lease with an answer in hand. */
static int frozen_result;
static uint64_t frozen_at_ns, thawed_ns;

static void frozen_process(void *arg)
{
	(void)arg;
	start_lease(true);
	env_sleep_ms(1000);
	ck_assert_int_eq(lease_check(lease), 0);
	frozen_at_ns = sim_now_ns();
	sim_process_pause(sim_process_current());
	thawed_ns = sim_now_ns();
	frozen_result = lease_check(lease);
	lease_stop(lease, false);
}

static void freeze_main(void *arg)
{
	struct sim_process *p = sim_process_new("frozen", *(int *)arg ? 50000 : -50000);

	set_up();
	frozen_result = 1;
	ck_assert_int_eq(put_claim(2, "here", 1), 0);
	sim_process_start(p, "frozen", frozen_process, NULL);
	env_sleep_ms(5000);
	ck_assert_int_eq(put_claim(3, "there", 9), 0);
	env_sleep_ms(30000);
	sim_process_resume(p);
	ck_assert(sim_process_wait(p));
	ck_assert_uint_gt(thawed_ns - frozen_at_ns, 33 * SECOND);
	ck_assert_int_eq(frozen_result, -ESTALE);
	clean_up();
}

START_TEST(frozen_past_its_lease)
{
	sim_run(freeze_main, &_i, (uint64_t)_i + 1);
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("lease");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, strict_lease, 1, 4);
	tcase_add_test(t, runs_from_the_sending);
	tcase_add_loop_test(t, newer_claim_ends_it, 0, 2);
	tcase_add_loop_test(t, release, 0, 2);
	tcase_add_loop_test(t, frozen_past_its_lease, 0, 2);
	return t;
}

int main(void)
{
	diag_set_level(DIAG_ERROR);
	return run_suite(cases, "log lease");
}
