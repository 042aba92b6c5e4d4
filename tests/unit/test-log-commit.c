/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commits on a store that is slow, fails, loses replies, or holds somebody else's bytes (rules W3
 * to W5). */
#include "core/log/log_internal.h"
#include "tests/unit/log-upper.h"

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
	const int codes[] = {-EIO, -ETIMEDOUT};
	const struct fault_rule rule = {.kind = FAULT_ERROR,
		.ops = FAULT_OP(STORE_CREATE),
		.prefix = "log/",
		.count = FAULT_FOREVER,
		.code = codes[*(int *)arg]};
	struct error err = {0};

	set_up(0, 64 << 20);
	ck_assert_int_ge(fault_add(u->fault, &rule), 0);
	uint64_t g = change(), begin = env_now_ms();

	ck_assert_int_eq(log_refused(u->log), 0); /* an outage is waited for */

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
	ck_assert_uint_le(u->closed, GROUPS_IN_FLIGHT_MAX);
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

static void wait_for_room(void *arg)
{
	*(int *)arg = budget_get(u->budget, BUDGET_DIRTY, 100);
}

static void refused_main(void *arg)
{
	const int codes[] = {-ENOSPC, -EACCES}, code = codes[*(int *)arg];
	const struct fault_rule rule = {.kind = FAULT_ERROR,
		.ops = FAULT_OP(STORE_CREATE),
		.prefix = "log/",
		.count = FAULT_FOREVER,
		.code = code};
	uint64_t room = budget_limit(u->budget, BUDGET_DIRTY), begin;
	struct error err = {0};
	struct thread t;
	int told = 0;

	ck_assert(budget_try(u->budget, BUDGET_DIRTY, room));
	ck_assert_int_eq(thread_start(&t, "writer", wait_for_room, &told), 0);
	env_sleep_ms(1000);
	ck_assert_int_eq(told, 0);
	ck_assert_int_ge(fault_add(u->fault, &rule), 0);
	for (unsigned i = 0; i < GROUPS_IN_FLIGHT_MAX + 2; i++) {
		(void)change();
		log_close_group(u->log);
		env_sleep_ms(1);
	}
	/* Nobody waits for room any more, who waits for durability is told. */
	thread_join(&t);
	ck_assert_int_eq(told, code);
	ck_assert_int_eq(budget_get(u->budget, BUDGET_DIRTY, 100), code);
	ck_assert_int_eq(log_refused(u->log), code);
	begin = env_now_ms();
	ck_assert_int_eq(log_wait(u->log, change(), &err), code == -EACCES ? -EIO : -ENOSPC);
	ck_assert_uint_le(env_now_ms() - begin, 2000);
	ck_assert_ptr_nonnull(strstr(err.text, "the store refuses"));
	/* It goes on asking, with one of all these segments, once a second. */
	uint64_t calls = fault_calls(u->fault, STORE_CREATE);

	env_sleep_ms(60000);
	calls = fault_calls(u->fault, STORE_CREATE) - calls;
	ck_assert_uint_ge(calls, 55);
	ck_assert_uint_le(calls, 70);
	ck_assert_int_eq(log_refused(u->log), code);
	/* When it takes one all go on. */
	fault_clear(u->fault);
	env_sleep_ms(1500);
	ck_assert_int_eq(log_refused(u->log), 0);
	budget_put(u->budget, BUDGET_DIRTY, room);
	ck_assert_int_eq(budget_get(u->budget, BUDGET_DIRTY, 100), 0);
	budget_put(u->budget, BUDGET_DIRTY, 100);
	ck_assert_int_eq(log_wait(u->log, change(), NULL), 0);
}

static void refusal_main(void *arg)
{
	set_up(0, 64 << 20);
	refused_main(arg);
	ck_assert_int_eq(log_close(u->log, false, NULL), 0);
	ck_assert_uint_eq(replay_all().total, GROUPS_IN_FLIGHT_MAX + 4);
	clean_up();
}

START_TEST(a_store_that_refuses)
{
	sim_run(refusal_main, &_i, 1);
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

static TCase *cases(void)
{
	TCase *t = tcase_create("commit");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, acknowledged_in_order, 1, 6);
	tcase_add_test(t, own_bytes_are_a_success);
	tcase_add_loop_test(t, other_bytes_fence, 1, 6);
	tcase_add_loop_test(t, exists_and_gone, 0, 3);
	tcase_add_loop_test(t, an_outage_loses_nothing, 0, 2);
	tcase_add_loop_test(t, a_store_that_refuses, 0, 2);
	tcase_add_loop_test(t, abandoned, 1, 6);
	tcase_add_loop_test(t, fenced_from_outside, 1, 11);
	return t;
}

int main(void)
{
	diag_set_level(DIAG_ERROR);
	return run_suite(cases, "log commit");
}
