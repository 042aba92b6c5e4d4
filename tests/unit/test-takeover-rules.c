/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The counterexamples 1 to 4 and 10 to 12 of the protocol's page, literally; followers; zombies;
 * and random schedules under a hostile store (SEEDS=n: more of them). Where the build can switch a
 * rule off (planted_bugs), that must show.
 */
#include "tests/unit/takeover-world.h"

/* ---- counterexamples, literally ---- */

static void commit_one(void *arg)
{
	(void)node_commit(arg);
}

/* 1 (W3): the reply of a PUT is lost; once with our own bytes there, once with a fence. */
static void counter1_main(void *arg)
{
	bool foreign = *(int *)arg;
	struct node *a = node_new("a", 0), *b = node_new("b", 0);

	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	if (!foreign) {
		a->lose_reply = true;
		ck_assert_int_eq(node_commit(a), 0);
		ck_assert_uint_eq(a->fenced, 0);
		ck_assert_uint_eq(world->acks, 6);
	} else {
		uint64_t acks = world->acks;

		/* Its PUT is under way while the successor fences the place. */
		node_hold(a, STORE_CREATE, "log/", false, 0);
		node_run(a, commit_one);
		node_await(a);
		node_run(b, commit_some);
		node_wait(b);
		ck_assert_int_eq(log_at(1, 5), 'f');
		a->gate.closed = false;
		node_wait(a);
		ck_assert_uint_eq(world->acks, acks + 5);
		ck_assert_int_ge((int)a->fenced, 1);
		ck_assert_int_eq(node_commit(b), 0);
		node_end(b, true);
	}
	node_end(a, false);
	world_close();
	free(a), free(b);
}

START_TEST(counterexample_1)
{
	sim_run(counter1_main, &_i, 1);
}
END_TEST

/* 2 (T3): P1 claims 2 and dies. P2 claims 3 and must fence and replay epoch 1. */
static void counter2_main(void *arg)
{
	struct node *a = node_new("a", 0), *p1 = node_new("p1", 0), *p2 = node_new("p2", 0);

	(void)arg;
	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	p1->left = 8; /* after its claim */
	node_run(p1, try_to_begin);
	node_wait(p1);
	ck_assert_int_lt(p1->result, 0);
	ck_assert_ptr_nonnull(script_find(world->script, "writer/0000000000000002"));
	ck_assert_int_eq(log_at(1, 5), '-');
	node_run(p2, commit_some);
	node_wait(p2);
	ck_assert_uint_eq(p2->t.claim.epoch, 3);
	ck_assert_uint_eq(p2->t.last_group, 5);
	ck_assert_int_eq(log_at(1, 5), 'f');
	ck_assert_int_eq(log_at(2, 0), 'f');
	ck_assert_int_eq(node_commit(a), -ESTALE);
	node_end(a, false);
	node_end(p2, true);
	world_close();
	free(a), free(p1), free(p2);
}

START_TEST(counterexample_2)
{
	sim_run(counter2_main, NULL, 1);
}
END_TEST

/* 3 (T4): P2 fenced the place that P1 had seen missing: P1 takes the fence for the end and does not
 * walk on. */
static void counter3_main(void *arg)
{
	struct node *a = node_new("a", 0), *p1 = node_new("p1", 0), *p2 = node_new("p2", 0);

	(void)arg;
	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	node_hold(p1, STORE_CREATE, "log/", false, 0);
	node_run(p1, whole_life);
	node_await(p1);
	node_hold(p2, STORE_CREATE, "manifest/", false, 0);
	node_run(p2, whole_life);
	node_await(p2); /* has fenced, not committed */
	ck_assert_int_eq(log_at(1, 5), 'f');
	node_hold(p1, STORE_CREATE, "manifest/", false, 0);
	env_sleep_ms(100);
	ck_assert_int_eq(log_at(1, 6), '-'); /* no second end */
	p2->gate.closed = false;
	node_wait(p2);
	ck_assert_int_eq(p2->result, 0);
	p1->gate.closed = false;
	node_wait(p1);
	ck_assert_int_eq(p1->result, -ESTALE);
	ck_assert_int_eq(log_at(1, 6), '-');
	node_end(a, false);
	world_close();
	free(a), free(p1), free(p2);
}

START_TEST(counterexample_3)
{
	sim_run(counter3_main, NULL, 1);
}
END_TEST

/*
 * 4 (T6): P1 reads manifest 1, sends a fence for the place where the slow writer's segment is about
 * to land. It lands, is acknowledged, flushed, collected; then the fence lands. The end that P1
 * believes in must be thrown away.
 */
static void counter4_main(void *arg)
{
	struct node *a = node_new("a", 0), *p1 = node_new("p1", 0);

	(void)arg;
	world_open(0);
	node_run(a, just_begin);
	node_wait(a);
	node_hold(p1, STORE_CREATE, "log/", false, 0);
	node_run(p1, commit_some);
	node_await(p1);
	ck_assert_int_eq(log_at(1, 0), '-');
	/* The writer has not seen the claim yet: its lease ends soon, its commits still count. */
	ck_assert_int_eq(log_fenced(a->log), false);
	ck_assert_int_eq(node_commit(a), 0);
	ck_assert_int_eq(log_at(1, 0), 's');
	ck_assert_int_eq(node_flush(a), 0);
	ck_assert_int_eq(node_collect(a), 0);
	ck_assert_int_eq(log_at(1, 0), '-');
	uint64_t acks = world->acks;

	p1->gate.closed = false;
	node_wait(p1); /* node_begin checks that it has everything */
	ck_assert_msg(p1->result == 0, "%s", p1->err.text);
	ck_assert_uint_eq(world->acks, acks + 5);
	ck_assert_int_eq(log_at(1, 0), 'f'); /* means nothing */
	ck_assert_int_eq(log_at(1, 2), 'f');
	uint64_t end = 0;

	ck_assert(manifest_end(p1->t.manifest, 1, &end));
	ck_assert_uint_eq(end, 2);
	ck_assert_int_eq(node_commit(a), -ESTALE);
	node_end(a, false);
	node_end(p1, true);
	world_close();
	free(a), free(p1);
}

START_TEST(counterexample_4)
{
	sim_run(counter4_main, NULL, 1);
}
END_TEST

/* 10 (L1 to L3): a heartbeat lands after the claim; the old writer's lease is not renewed by it,
 * and the successor waits. */
static uint64_t read_until_ns;

static void keep_reading(void *arg)
{
	struct node *n = arg;

	while (sim_now_ns() < read_until_ns) {
		node_read(n);
		if (lease_check(n->lease) < 0)
			return;
		env_sleep_ms(20);
	}
}

static void counter10_main(void *arg)
{
	int ppm = *(int *)arg ? -50000 : 50000;
	struct node *a = node_new("a", ppm), *b = node_new("b", -ppm);

	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	/* Its heartbeat is under way, and its renewals take for ever. */
	read_until_ns = sim_now_ns() + 20 * SECOND_NS;
	node_run(a, keep_reading);
	node_hold(a, STORE_LIST, "writer/", true, 0);
	node_await(a);
	uint64_t claimed = sim_now_ns();

	node_run(b, commit_some);
	env_sleep_ms(1000);
	a->gate.closed = false;
	node_wait(b); /* acknowledged five numbers that a does not have */
	ck_assert_int_eq(b->result, 0);
	ck_assert_uint_ge(sim_now_ns() - claimed, (uint64_t)NODE_TTL_MS * 940000);
	node_wait(a);
	ck_assert_int_eq(lease_check(a->lease), -ESTALE);
	node_end(a, false);
	node_end(b, true);
	world_close();
	free(a), free(b);
}

START_TEST(counterexample_10)
{
	sim_run(counter10_main, &_i, 1);
}
END_TEST

/* ---- followers ---- */

struct reader {
	struct node *node;
	struct follower *f;
};

static struct follower *follow(struct node *n)
{
	const struct follower_options o = {.store = &n->store,
		.keys = world->keys,
		.index = index_options_of(&n->store, n->budget)};
	struct follower *f = NULL;
	struct error err = {0};
	int r = follower_open(&o, &f, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	return f;
}

/* A poll sees everything that was acknowledged before it began; what it shows stays. */
static int poll_once(struct follower *f, uint64_t *ret_group)
{
	bool *need = malloc(sizeof(world->need));

	memcpy(need, world->need, sizeof(world->need));
	int r = follower_poll(f, ret_group, NULL);

	if (r == 0)
		(void)check_numbers(follower_index(f), need, "the follower");
	for (uint64_t i = 1; r == 0 && i < world->next; i++)
		if (!world->need[i] && has_number(follower_index(f), i) == 1)
			world->need[i] = true;
	free(need);
	return r;
}

/* 11 (R4): what the reader waits for is acknowledged, flushed and collected. And followers in
 * general, across epochs. */
static void counter11_main(void *arg)
{
	struct node *a = node_new("a", 0), *b = node_new("b", 0), *r = node_new("r", 0);
	uint64_t group = 0;

	(void)arg;
	world_open(0);
	r->budget = budget_new(16 << 20);
	struct follower *f = follow(r);

	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 0);
	node_run(a, commit_some);
	node_wait(a);
	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 5);
	ck_assert_int_eq(node_commit(a), 0);
	ck_assert_int_eq(node_flush(a), 0);
	ck_assert_int_eq(node_collect(a), 0);
	ck_assert_int_eq(log_at(1, 5), '-');
	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 7);
	ck_assert_int_eq(node_commit(a), 0);
	node_run(b, commit_some);
	node_wait(b);
	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 13);
	ck_assert_uint_eq(r->writes, 0);
	node_end(a, false);
	node_end(b, true);
	follower_close(f);
	budget_free(r->budget);
	world_close();
	free(a), free(b), free(r);
}

START_TEST(counterexample_11)
{
	sim_run(counter11_main, NULL, 1);
}
END_TEST

/* 12 (R2): as 4; the reader that waits at the collected place meets the misplaced fence and must
 * not go to the next log. */
static void counter12_main(void *arg)
{
	struct node *a = node_new("a", 0), *p1 = node_new("p1", 0), *r = node_new("r", 0);
	uint64_t group = 0;

	(void)arg;
	world_open(0);
	r->budget = budget_new(16 << 20);
	node_run(a, commit_some);
	node_wait(a);
	struct follower *f = follow(r);

	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 5); /* it waits at 1/5 */
	node_hold(p1, STORE_CREATE, "log/", false, 0);
	node_run(p1, commit_some);
	node_await(p1);
	ck_assert_int_eq(node_commit(a), 0);
	ck_assert_int_eq(node_flush(a), 0);
	ck_assert_int_eq(node_collect(a), 0);
	node_hold(p1, STORE_LIST, "manifest/", false,
		0); /* releases the fence, holds what comes next */
	env_sleep_ms(50);
	ck_assert_int_eq(log_at(1, 5), 'f');
	ck_assert_int_eq(
		node_commit(a), 0); /* the writer is not fenced by a fence in a collected place */
	ck_assert_int_eq(log_at(1, 7), 's');
	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 8);
	p1->gate.closed = false;
	node_wait(p1);
	ck_assert_int_eq(p1->result, 0);
	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 13);
	node_end(a, false);
	node_end(p1, true);
	follower_close(f);
	budget_free(r->budget);
	world_close();
	free(a), free(p1), free(r);
}

START_TEST(counterexample_12)
{
	sim_run(counter12_main, NULL, 1);
}
END_TEST

/* R1, schedule 2: a later position lands, an earlier one does not. What lies behind the gap was
 * never acknowledged. */
static void gap_main(void *arg)
{
	struct node *a = node_new("a", 0), *b = node_new("b", 0), *r = node_new("r", 0);
	uint64_t group = 0;

	(void)arg;
	world_open(0);
	r->budget = budget_new(16 << 20);
	node_run(a, commit_some);
	node_wait(a);
	struct follower *f = follow(r);

	node_hold(a, STORE_CREATE, "log/0000000000000001/0000000000000005", false, 0);
	ck_assert_uint_eq(node_add(a), 6);
	log_close_group(a->log);
	node_await(a);
	ck_assert_uint_eq(node_add(a), 7);
	log_close_group(a->log);
	env_sleep_ms(50);
	ck_assert_int_eq(log_at(1, 5), '-');
	ck_assert_int_eq(log_at(1, 6), 's');
	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 5);
	ck_assert_int_eq(has_number(follower_index(f), 7), 0);
	ck_assert_uint_eq(world->acks, 5);

	/* The successor fences the gap; then the missing one arrives too late, and the other is
	 * garbage (D8). */
	node_run(b, commit_some);
	node_wait(b);
	ck_assert_int_eq(b->result, 0);
	ck_assert_uint_eq(b->t.last_group, 5);
	ck_assert_int_eq(log_at(1, 5), 'f');
	ck_assert_int_eq(log_at(1, 6), 's');
	a->gate.closed = false;
	env_sleep_ms(50);
	ck_assert_int_ge((int)a->fenced, 1);
	ck_assert_uint_eq(world->acks, 10);
	ck_assert_int_eq(poll_once(f, &group), 0);
	ck_assert_uint_eq(group, 10);
	ck_assert_int_eq(has_number(follower_index(f), 7), 0);
	ck_assert_int_eq(node_collect(b), 0);
	ck_assert_int_eq(log_at(1, 6), '-');
	ck_assert_int_eq(log_at(1, 5), 'f');
	node_end(a, false);
	node_end(b, true);
	follower_close(f);
	budget_free(r->budget);
	world_close();
	free(a), free(b), free(r);
}

START_TEST(gap_in_the_log)
{
	sim_run(gap_main, NULL, 1);
}
END_TEST

/* ---- random schedules ---- */

#define WRITERS 6

static bool stop_all;

static void act(struct node *n)
{
	unsigned what = (unsigned)rng_below(sim_rng(), 16);

	if (what < 5)
		(void)node_commit(n);
	else if (what < 9)
		(void)node_add(n);
	else if (what < 11)
		(void)node_flush(n);
	else if (what < 12)
		(void)node_collect(n);
	else if (what < 14)
		node_read(n);
	else
		env_sleep_ms(rng_below(sim_rng(), 300));
}

static void random_writer(void *arg)
{
	struct node *n = arg;

	env_sleep_ms(rng_below(sim_rng(), 25000));
	if (stop_all || node_begin(n) < 0)
		return;
	for (unsigned i = 0; i < 60 && !n->dead && !log_fenced(n->log) && !stop_all; i++)
		act(n);
	node_read(n);
	node_end(n, !n->dead && rng_chance(sim_rng(), 1, 3));
}

static void random_reader(void *arg)
{
	struct node *n = arg;

	n->budget = budget_new(16 << 20);
	struct follower *f = follow(n);

	while (!stop_all) {
		int r = poll_once(f, NULL);

		ck_assert_msg(r == 0, "poll: %d", r);
		env_sleep_ms(rng_below(sim_rng(), 500));
	}
	follower_close(f);
	budget_free(n->budget);
}

static void random_late(void *arg)
{
	(void)arg;
	while (!stop_all) {
		env_sleep_ms(rng_below(sim_rng(), 200));
		world_land_late();
	}
}

/* Processes that sleep at any time, longer than any lease. */
static void random_sleep(struct node **nodes, unsigned count)
{
	struct node *n = nodes[rng_below(sim_rng(), count)];

	sim_process_pause(n->process);
	env_sleep_ms(rng_below(sim_rng(), 8000));
	sim_process_resume(n->process);
}

static void random_main(void *arg)
{
	struct node *nodes[WRITERS], *reader = node_new("reader", 0), *last = node_new("last", 0);
	static const char *const names[WRITERS] = {"n0", "n1", "n2", "n3", "n4", "n5"};
	struct thread late;

	(void)arg;
	world_open(4000);
	world->chaos = true;
	stop_all = false;
	for (unsigned i = 0; i < WRITERS; i++) {
		nodes[i] = node_new(names[i], (int)rng_below(sim_rng(), 80001) - 40000);
		if (rng_chance(sim_rng(), 1, 3)) {
			nodes[i]->left = 1 + rng_below(sim_rng(), 150);
			nodes[i]->after_last = rng_chance(sim_rng(), 1, 2);
		}
		node_run(nodes[i], random_writer);
	}
	node_run(reader, random_reader);
	ck_assert_int_eq(thread_start(&late, "late", random_late, NULL), 0);
	for (unsigned i = 0; i < 8; i++) {
		env_sleep_ms(rng_below(sim_rng(), 3000));
		random_sleep(nodes, WRITERS);
	}
	env_sleep_ms(20000);
	stop_all = true;
	for (unsigned i = 0; i < WRITERS; i++)
		node_wait(nodes[i]);
	node_wait(reader);
	thread_join(&late);
	/* A take-over is never stuck, and everything is there. */
	world->ended = true;
	node_run(last, whole_life);
	node_wait(last);
	ck_assert_msg(last->result == 0, "%s", last->err.text);
	for (unsigned i = 0; i < WRITERS; i++)
		free(nodes[i]);
	free(reader), free(last);
	world_close();
}

START_TEST(random_schedules)
{
	sim_run(random_main, NULL, (uint64_t)_i);
}
END_TEST

#ifdef PLANTED_BUGS
static const struct broken broken[] = {
	{.rule = PLANTED_SKIP_FENCE},
	{.rule = PLANTED_ACK_OUT_OF_ORDER, .schedule = gap_main},
	{.rule = PLANTED_RULE_W3},
	{.rule = PLANTED_RULE_W4, .schedule = gap_main},
	{.rule = PLANTED_RULE_W7},
	{.rule = PLANTED_RULE_T3, .schedule = counter2_main},
	{.rule = PLANTED_RULE_T4},
	{.rule = PLANTED_RULE_T6, .schedule = counter4_main},
	{.rule = PLANTED_RULE_L2},
	{.rule = PLANTED_RULE_L3},
	{.rule = PLANTED_RULE_R1, .schedule = gap_main},
	{.rule = PLANTED_RULE_R2, .schedule = counter12_main},
	{.rule = PLANTED_RULE_R4},
};

START_TEST(noticed)
{
	check_noticed(&broken[_i], random_main);
}
END_TEST
#endif

static TCase *cases(void)
{
	TCase *t = tcase_create("rules");
	const char *more = getenv("SEEDS");

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, counterexample_1, 0, 2);
	tcase_add_test(t, counterexample_2);
	tcase_add_test(t, counterexample_3);
	tcase_add_test(t, counterexample_4);
	tcase_add_loop_test(t, counterexample_10, 0, 2);
	tcase_add_test(t, counterexample_11);
	tcase_add_test(t, counterexample_12);
	tcase_add_test(t, gap_in_the_log);
	tcase_add_loop_test(t, random_schedules, 1, more ? atoi(more) + 1 : 21);
#ifdef PLANTED_BUGS
	tcase_add_loop_test(t, noticed, 0, COUNT(broken));
#endif
	return t;
}

int main(void)
{
	diag_set_level(DIAG_ERROR);
	return run_suite(cases, "takeover rules");
}
