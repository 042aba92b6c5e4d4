/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ordered tree against a flag per key, with a summary of every subtree. */
#include "core/base/list.h"
#include "core/base/rng.h"
#include "core/base/treap.h"

#include <check.h>
#include <stdlib.h>

#define KEYS 300

struct member {
	struct treap_node node;
	unsigned key, weight, heaviest; /* of the subtree */
	bool in;
};

static struct member members[KEYS];

static struct member *member_of(const struct treap_node *n)
{
	return container_of(n, struct member, node);
}

static int compare(const struct treap_node *a, const struct treap_node *b)
{
	return (int)member_of(a)->key - (int)member_of(b)->key;
}

static unsigned heaviest_of(const struct treap_node *n)
{
	return n ? member_of(n)->heaviest : 0;
}

static void update(struct treap_node *n)
{
	struct member *m = member_of(n);
	unsigned l = heaviest_of(n->left), r = heaviest_of(n->right);

	m->heaviest = m->weight;
	if (l > m->heaviest)
		m->heaviest = l;
	if (r > m->heaviest)
		m->heaviest = r;
}

static const struct treap_ops ops = {.compare = compare, .update = update};

static int side(const struct treap_node *n, const void *arg)
{
	return (int)member_of(n)->key - (int)*(const unsigned *)arg;
}

/* Checks order, heap and summaries; returns how many there are and how deep it is. */
static unsigned check_tree(const struct treap_node *n, unsigned depth, unsigned *deepest)
{
	const struct member *m;
	unsigned want;

	if (!n)
		return 0;
	m = member_of(n);
	want = m->weight;
	ck_assert(m->in);
	if (depth > *deepest)
		*deepest = depth;
	for (int k = 0; k < 2; k++) {
		const struct treap_node *child = k ? n->right : n->left;

		if (!child)
			continue;
		ck_assert_uint_le(child->priority, n->priority);
		ck_assert((compare(child, n) > 0) == (k == 1));
		if (heaviest_of(child) > want)
			want = heaviest_of(child);
	}
	ck_assert_uint_eq(m->heaviest, want);
	return 1 + check_tree(n->left, depth + 1, deepest) +
	       check_tree(n->right, depth + 1, deepest);
}

static void check_first(struct treap_node *root, unsigned key)
{
	struct treap_node *n = treap_first(root, side, &key);

	while (key < KEYS && !members[key].in)
		key++;
	ck_assert_ptr_eq(n, key < KEYS ? &members[key].node : NULL);
}

START_TEST(test_random)
{
	struct rng rng = rng_of((uint64_t)_i);
	struct treap_node *root = NULL;
	unsigned count = 0;

	for (unsigned k = 0; k < KEYS; k++)
		members[k] =
			(struct member){.key = k, .weight = (unsigned)rng_below(&rng, 1000) + 1};
	for (int step = 0; step < 3000; step++) {
		/* Ordered runs too, which would make a list of an unbalanced tree. */
		unsigned k =
			(unsigned)(step % 1000 < 500 ? (uint64_t)step : rng_below(&rng, KEYS)) %
			KEYS;
		struct member *m = &members[k];
		unsigned deepest = 0;

		if (m->in)
			treap_remove(&root, &ops, &m->node);
		else
			treap_insert(&root, &ops, &m->node, (uint32_t)rng_next(&rng));
		m->in = !m->in;
		count += m->in ? 1u : -1u;
		if (step % 20)
			continue;
		ck_assert_uint_eq(check_tree(root, 1, &deepest), count);
		ck_assert_uint_lt(deepest, 40);
		check_first(root, (unsigned)rng_below(&rng, KEYS + 1));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base-treap");
	TCase *t = tcase_create("treap");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, test_random, 0, 4);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
