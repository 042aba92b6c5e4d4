/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flush, merge, sweep, pins and reopening against a naive model, at random: what every pinned view
 * and the newest one show, what is booked for each segment against a scan of all versions, and
 * which objects are left.
 */
#include "tests/model/maintain-world.h"

/* ---- random histories ---- */

/* Makes one of the next requests fail, or lose its reply. */
static void plan_fault(struct world *w)
{
	struct fault_rule rule = {
		.kind = rng_chance(&w->rng, 1, 2) ? FAULT_ERROR : FAULT_LOST_REPLY,
		.nth = 1 + rng_below(&w->rng, 12)};

	if (rule.kind == FAULT_LOST_REPLY)
		rule.ops = FAULT_WRITES | FAULT_OP(STORE_DELETE);
	fault_clear(w->store);
	if (rng_chance(&w->rng, 1, 5))
		ck_assert_int_ge(fault_add(w->store, &rule), 0);
}

static void random_maintenance(struct world *w, unsigned what)
{
	struct error err = {0};
	bool blocked;
	int r = 0;

	plan_fault(w);
	if (what < 45)
		r = flush_now(w, &err);
	else if (what < 85)
		r = index_merge(w->ix, w->settled, &blocked, &err);
	else
		r = index_sweep(w->ix, 1 + (unsigned)rng_below(&w->rng, 10), &err);
	/* Whatever failed left everything as it was: the views say so. */
	ck_assert_msg(r >= 0 || r == -EIO || r == -ETIMEDOUT, "%u: %s", what, error_text(&err, r));
	fault_clear(w->store);
}

struct held_scan {
	struct index_scan *scan;
	uint64_t view;
};

/* Scans go on over what was there when they were opened, whatever is merged and swept meanwhile. */
static void hold_scan(struct world *w, struct held_scan *h)
{
	if (h->scan) {
		check_scan(w, h->view, h->scan);
		index_scan_close(h->scan);
		h->scan = NULL;
	} else if (w->group > 0) {
		h->view = w->group;
		h->scan = open_scan(w, h->view);
	}
}

static void random_step(struct world *w, struct held_scan *held)
{
	unsigned what = (unsigned)rng_below(&w->rng, 100);

	if (what < 50)
		random_group(w);
	else if (what < 75)
		random_maintenance(w, (unsigned)rng_below(&w->rng, 100));
	else if (what < 80)
		settle(w);
	else if (what < 85)
		pin_or_unpin(w);
	else if (what < 90)
		hold_scan(w, held);
	else if (what < 92 && !held->scan)
		reopen(w);
	else if (what < 95)
		check_views(w);
	else if (what < 97)
		check_references(w);
}

static void random_history(uint64_t seed, unsigned steps)
{
	struct world w;
	struct held_scan held = {0};
	struct error err = {0};

	world_open(&w, seed);
	for (unsigned i = 0; i < steps; i++)
		random_step(&w, &held);
	if (held.scan)
		hold_scan(&w, &held);
	check_views(&w);
	check_references(&w);
	ck_assert_int_eq(flush_now(&w, &err), 0);
	merge_until_done(&w);
	check_views(&w);
	check_references(&w);
	check_swept(&w);
	reopen(&w);
	check_views(&w);
	check_references(&w);
	world_close(&w);
}

#define HISTORIES 6
#define STEPS 250

START_TEST(random_histories)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)_i + 1;

	if (text && _i > 0)
		return;
	printf("SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	random_history(seed, STEPS);
}
END_TEST

START_TEST(fresh_history)
{
	struct rng rng = fixture_rng();

	random_history(rng_next(&rng), STEPS);
}
END_TEST

static TCase *cases(void)
{
	TCase *t = tcase_create("random");

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, random_histories, 0, HISTORIES);
	tcase_add_test(t, fresh_history);
	return t;
}

int main(void)
{
	return run_suite(cases, "maintain");
}
