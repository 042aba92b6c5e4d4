/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Take-over: in order; interrupted at every request; two candidates at once, the older one asleep
 * at each of its requests.
 */
#include "tests/unit/takeover-world.h"

/* ---- in order ---- */

static struct node *live_and_release(const char *name)
{
	struct node *n = node_new(name, 0);

	node_run(n, whole_life);
	node_wait(n);
	return n;
}

static void order_main(void *arg)
{
	(void)arg;
	world_open(0);
	struct node *a = live_and_release("a"), *b = node_new("b", 0);

	ck_assert_int_eq(a->result, 0);
	ck_assert_uint_eq(a->t.claim.epoch, 1);
	ck_assert_uint_eq(a->t.serve_after_ns, 0); /* nobody was before */
	ck_assert_uint_eq(world->acks, 5);

	/* A release lets the next one in at once; the journals of the first are replayed. */
	b->force = false;
	node_run(b, commit_some);
	node_wait(b);
	ck_assert_int_eq(b->result, 0);
	ck_assert_uint_eq(b->t.claim.epoch, 2);
	ck_assert_uint_eq(b->t.serve_after_ns, 0);
	ck_assert_uint_eq(b->t.last_group, 5);
	ck_assert_uint_eq(b->t.manifest->nends, 1);
	ck_assert_uint_eq(b->t.manifest->ends[0].sequence, 5);
	ck_assert_int_eq(log_at(1, 5), 'f');
	ck_assert_uint_eq(b->t.manifest->replay.epoch, 1);
	ck_assert_uint_eq(b->t.manifest->njobs, 1); /* a's job is closed */
	ck_assert_uint_eq(b->t.manifest->jobs[0].id, b->t.writer.job);
	ck_assert_uint_eq(world->acks, 10);

	/* Somebody is there: refused without a single write. */
	struct node *c = node_new("c", 0);

	c->force = false;
	node_run(c, commit_some);
	node_wait(c);
	ck_assert_int_eq(c->result, -EBUSY);
	ck_assert_uint_eq(c->writes, 0);
	ck_assert_uint_eq(c->holder.epoch, 2);
	ck_assert_str_eq(c->holder.host, "b");
	ck_assert_ptr_nonnull(strstr(c->err.text, "b"));

	/* By force: it waits as L3 demands. */
	struct node *d = node_new("d", 0);

	node_run(d, whole_life);
	node_wait(d);
	ck_assert_int_eq(d->result, 0);
	ck_assert_uint_gt(d->t.serve_after_ns, 0);
	ck_assert_int_ge((int)b->fenced, 1);
	ck_assert_int_eq(node_commit(b), -ESTALE);
	node_end(b, true);
	world_close();
	free(a), free(b), free(c), free(d);
}

START_TEST(in_order)
{
	sim_run(order_main, NULL, (uint64_t)_i);
}
END_TEST

/* A holder that is closing is waited for. */
static void close_slowly(void *arg)
{
	struct node *n = arg;

	commit_some(n);
	lease_closing(n->lease);
	env_sleep_ms(20000);
	node_end(n, true);
}

static void closing_main(void *arg)
{
	struct node *a = node_new("a", 0), *b = node_new("b", 0), *c = node_new("c", 0);

	(void)arg;
	world_open(0);
	node_run(a, close_slowly);
	env_sleep_ms(2000);
	c->force = b->force = false;
	c->patience_ms = 5000;
	b->patience_ms = 60000;
	node_run(b, whole_life);
	node_run(c, whole_life);
	node_wait(c);
	ck_assert_int_eq(c->result, -EBUSY);
	ck_assert_uint_eq(c->writes, 0);
	node_wait(b);
	ck_assert_int_eq(b->result, 0);
	node_wait(a);
	ck_assert_uint_eq(world->acks, 10);
	world_close();
	free(a), free(b), free(c);
}

START_TEST(closing_holder)
{
	sim_run(closing_main, NULL, 1);
}
END_TEST

/* A predecessor of this host that is provably dead counts as released (L3). */
static bool everybody_is_gone(int64_t pid, uint64_t started)
{
	(void)pid;
	(void)started;
	return true;
}

static void die(struct node *n)
{
	n->dead = true;
	node_end(n, false);
}

static void local_main(void *arg)
{
	struct node *a = node_new("host", 0), *b = node_new("host", 0);

	(void)arg;
	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	die(a);
	b->force = false;
	b->me.is_gone = everybody_is_gone;
	node_run(b, whole_life);
	node_wait(b);
	ck_assert_int_eq(b->result, 0);
	ck_assert_uint_eq(b->t.serve_after_ns, 0);
	world_close();
	free(a), free(b);
}

START_TEST(dead_predecessor_here)
{
	sim_run(local_main, NULL, 1);
}
END_TEST

/* W8: what the end of an epoch cut off does not hold the replay start back. */
static void cut_off_main(void *arg)
{
	struct node *a = node_new("a", 0), *b = node_new("b", 0);

	(void)arg;
	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	ck_assert_int_eq(node_flush(a), 0);
	/* An early segment of a group whose journal never comes. */
	struct group *g = group_join(a->log);
	struct segment *s;
	uint64_t first;

	ck_assert_int_eq(log_segment(a->log, g, 1, 10, &s, &first), 0);
	ck_assert_uint_eq(segment_sequence(s), 6);
	segment_append(s, first, 1, NULL, 0, NULL, 0, NULL);
	ck_assert(segment_close(s));
	ck_assert_int_eq(segment_seal(s, SLICE(NULL, 0), NULL), 0);
	struct buf object = fixture_object(s);

	ck_assert(script_land(
		world->script, "log/0000000000000001/0000000000000006", buf_slice(&object), false));
	buf_done(&object);
	segment_unref(s);
	group_leave(g, false);
	die(a);
	node_run(b, whole_life);
	node_wait(b);
	ck_assert_int_eq(b->result, 0);
	ck_assert_uint_eq(b->t.last_group, 6);
	ck_assert_int_eq(log_at(1, 7), 'f');
	/* b's manifest, before its first flush. */
	struct manifest *m;

	ck_assert_int_eq(manifest_read(&world->script->store, world->keys, &m, NULL), 0);
	ck_assert_uint_eq(m->replay.epoch, 2);
	ck_assert_uint_eq(m->replay.sequence, 0);
	uint64_t end = 0;

	ck_assert(manifest_end(m, 1, &end));
	ck_assert_uint_eq(end, 7);
	manifest_unref(m);
	world_close();
	free(a), free(b);
}

START_TEST(cut_off_group)
{
	sim_run(cut_off_main, NULL, 1);
}
END_TEST

/* Damage is told from a race (T5). */
static void damage_main(void *arg)
{
	struct node *a = node_new("a", 0), *b = node_new("b", 0), *c = node_new("c", 0);

	(void)arg;
	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	die(a);
	node_run(b, commit_some);
	node_wait(b);
	die(b);
	/* Below the end that b recorded, and not in the tables. */
	script_remove(world->script, "log/0000000000000001/0000000000000002");
	node_run(c, commit_some);
	node_wait(c);
	ck_assert_int_eq(c->result, -EBADMSG);
	ck_assert_ptr_nonnull(strstr(c->err.text, "1/2"));
	world_close();
	free(a), free(b), free(c);
}

START_TEST(damage)
{
	sim_run(damage_main, NULL, 1);
}
END_TEST

/* ---- interrupted at every request (schedule 3) ---- */

struct interrupt {
	uint64_t at;
	bool after;
	bool done; /* it did not need so many requests */
};

static void interrupt_main(void *arg)
{
	struct interrupt *in = arg;
	struct node *a = node_new("a", 0), *b = node_new("b", 0), *c = node_new("c", 0);

	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	if (in->at % 2)
		ck_assert_int_eq(node_flush(a), 0);
	ck_assert_int_eq(node_commit(a), 0);
	b->left = in->at;
	b->after_last = in->after;
	node_run(b, try_to_begin);
	node_wait(b);
	in->done = b->result == 0 && b->requests < in->at;
	/* The old writer may still be there, and go on as long as nobody fenced it. */
	(void)node_commit(a);
	node_run(c, whole_life);
	node_wait(c);
	ck_assert_msg(c->result == 0, "%s", c->err.text);
	ck_assert_int_eq(node_commit(a), -ESTALE);
	node_end(a, false);
	world_close();
	free(a), free(b), free(c);
}

START_TEST(killed_at_every_request)
{
	for (uint64_t at = 1;; at++) {
		struct interrupt before = {.at = at}, after = {.at = at, .after = true};

		sim_run(interrupt_main, &before, at);
		sim_run(interrupt_main, &after, at);
		if (before.done && after.done)
			break;
		ck_assert_uint_lt(at, 200);
	}
}
END_TEST

/* ---- two candidates, the older one asleep at each of its requests (schedule 4) ---- */

static const struct hold {
	enum store_op op;
	const char *prefix;
	bool after;
	unsigned skip;
} holds[] = {
	{STORE_LIST, "writer/", false, 0},
	{STORE_LIST, "writer/", true, 0},
	{STORE_CREATE, "writer/", false, 0},
	{STORE_CREATE, "writer/", true, 0},
	{STORE_PUT, "writer/", true, 0},
	{STORE_LIST, "manifest/", false, 0},
	{STORE_LIST, "manifest/", true, 0},
	{STORE_GET, "manifest/", true, 0},
	{STORE_LIST, "manifest/", true, 1},
	{STORE_LIST, "log/", false, 0},
	{STORE_LIST, "log/", true, 0},
	{STORE_GET, "log/", true, 0},
	{STORE_CREATE, "log/", false, 0},
	{STORE_CREATE, "log/", true, 0},
	{STORE_GET, "log/", true, 3},
	{STORE_LIST, "manifest/", false, 2},
	{STORE_LIST, "manifest/", true, 2},
	{STORE_CREATE, "manifest/", false, 0},
	{STORE_CREATE, "manifest/", true, 0},
	{STORE_LIST, "manifest/", true, 4},
};

static void two_main(void *arg)
{
	const struct hold *h = arg;
	struct node *a = node_new("a", 0), *b = node_new("b", 0), *c = node_new("c", 0);
	bool before_claim = h->op == STORE_LIST && strcmp(h->prefix, "writer/") == 0;

	world_open(0);
	node_run(a, commit_some);
	node_wait(a);
	node_hold(b, h->op, h->prefix, h->after, h->skip);
	node_run(b, whole_life);
	node_await(b);
	node_run(c, commit_some);
	node_wait(c);
	ck_assert_msg(c->result == 0, "%s", c->err.text);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(node_commit(c), 0);
	ck_assert_int_eq(node_flush(c), 0);
	ck_assert_int_eq(node_collect(c), 0);
	ck_assert_int_eq(node_commit(c), 0);
	uint64_t epoch = c->t.claim.epoch, creates = b->log_creates;

	b->gate.closed = false;
	if (!before_claim &&
		!(h->op == STORE_CREATE && strcmp(h->prefix, "writer/") == 0 && !h->after)) {
		/* T2, T6: it finds a newer epoch, and had written nothing under its own. */
		node_wait(b);
		bool counted = h->op == STORE_LIST &&
			       h->skip == 4; /* its manifest counted before it slept */

		ck_assert_msg(
			b->result == (counted ? 0 : -ESTALE), "%d %s", b->result, b->err.text);
		ck_assert_uint_lt(b->log_creates - creates, 3);
		ck_assert_int_eq(log_at(2, 0), epoch == 3 ? 'f' : log_at(2, 0));
		ck_assert_int_eq(node_commit(c), 0);
		ck_assert_uint_eq(c->fenced, 0);
		node_end(c, true);
	} else {
		/* It had not claimed yet: it is forced on c, in order. */
		node_wait(b);
		if (b->result == 0)
			ck_assert_int_eq(node_commit(c), -ESTALE);
		else
			ck_assert_int_eq(b->result, -ESTALE);
		node_end(c, false);
	}
	ck_assert_int_eq(node_commit(a), -ESTALE);
	node_end(a, false);
	world_close();
	free(a), free(b), free(c);
}

START_TEST(older_candidate_asleep)
{
	struct hold h = holds[_i];

	sim_run(two_main, &h, 1);
}
END_TEST

#ifdef PLANTED_BUGS
START_TEST(noticed)
{
	const struct broken t2 = {.rule = PLANTED_RULE_T2, .schedule = two_main, .arg = &holds[4]};

	check_noticed(&t2, NULL);
}
END_TEST
#endif

static TCase *cases(void)
{
	TCase *t = tcase_create("takeover");

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, in_order, 1, 4);
	tcase_add_test(t, closing_holder);
	tcase_add_test(t, dead_predecessor_here);
	tcase_add_test(t, cut_off_group);
	tcase_add_test(t, damage);
	tcase_add_test(t, killed_at_every_request);
	tcase_add_loop_test(t, older_candidate_asleep, 0, COUNT(holds));
#ifdef PLANTED_BUGS
	tcase_add_test(t, noticed);
#endif
	return t;
}

int main(void)
{
	diag_set_level(DIAG_ERROR);
	return run_suite(cases, "takeover");
}
