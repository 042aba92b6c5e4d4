/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What to merge next, as a table of cases: a tree is written as text, and so is the choice. */
#include "core/index/compact_pick.h"
#include "core/index/index.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLES_MAX 32
#define LEVEL1 1000 /* bytes */

/*
 * Levels are separated by "/", tables by spaces: first-last, then flags: ! blocked, # heavy, digits
 * = size / 100 (1). The choice: "from: tables > tables" with "move" or "bottom"; "-" nothing;
 * "blocked".
 */
static const struct {
	const char *what, *tree, *want;
} cases[] = {
	{"an empty tree", "", "-"},
	{"level 0 below its trigger", "a-z a-z a-z", "-"},
	{"level 0 at its trigger, with all that overlaps", "a-f c-k a-b e-f / a-c d-e k-m p-q",
		"0: 0+4 > 0+3 bottom"},
	{"nothing below: bottom", "a-z a-z a-z a-z", "0: 0+4 > 0+0 bottom"},
	{"something deeper overlaps: not bottom", "a-d a-d a-d a-d / a-b / c-e", "0: 0+4 > 0+1"},
	{"something deeper that does not overlap", "a-d a-d a-d a-d / a-b / x-y",
		"0: 0+4 > 0+1 bottom"},
	{"what level 1 adds to the range counts for the bottom", "c-d c-d c-d c-d / a-c d-g / f-h",
		"0: 0+4 > 0+2"},
	{"a table that ends where the next begins overlaps", "c-d c-d c-d c-d / a-c d-g",
		"0: 0+4 > 0+2 bottom"},
	{"the oldest overlaps nothing: moves", "a-b a-b a-b x-y / c-d", "0: 3+1 > 1+0 move bottom"},
	{"the oldest is below newer ones: no move", "a-b a-b a-b a-b / c-d", "0: 0+4 > 0+0 bottom"},
	{"the oldest overlaps level 1: no move", "a-b a-b a-b c-y / c-d", "0: 0+4 > 0+1 bottom"},
	{"a blocked table may move", "a-b a-b a-b x-y! / c-d", "0: 3+1 > 1+0 move bottom"},
	{"only the oldest run that is not blocked", "a-b a-b! a-b a-b", "0: 2+2 > 0+0 bottom"},
	{"the oldest is blocked", "a-b a-b a-b a-b!", "blocked"},
	{"what level 0 needs of level 1 is blocked", "a-b a-b a-b a-b / a-b!", "blocked"},
	{"what level 1 has elsewhere is blocked", "a-b a-b a-b a-b / c-d!", "0: 0+4 > 0+0 bottom"},
	{"level 1 within its target", " / a-b5 c-d5", "-"},
	{"level 1 too large: the cheapest", " / a-b6 c-d6 / a-b9 c-d3", "1: 1+1 > 1+1 bottom"},
	{"level 1 too large: a move costs nothing", " / a-b6 c-d6 / a-b9 e-f3",
		"1: 1+1 > 1+0 move bottom"},
	{"the cheapest is blocked: the next", " / a-b6 c-d6! / a-b9 c-d3", "1: 0+1 > 0+1 bottom"},
	{"blocked below", " / a-b6 c-d6 / a-b9! c-d3!", "blocked"},
	{"a blocked table moves", " / a-b6 c-d6! / a-b9", "1: 1+1 > 1+0 move bottom"},
	{"level 2 may be ten times as large", " / a-b9 / a-c80", "-"},
	{"level 2 too large", " / a-b5 / a-c60 d-e60 / a-z9", "2: 0+1 > 0+1 bottom"},
	{"the fullest level first", "a-b a-b a-b a-b / a-b9 c-d9 e-f9 / a-b",
		"1: 1+1 > 1+0 move bottom"},
	{"level 0 fuller", "a-b a-b a-b a-b a-b a-b a-b a-b / a-b9 c-d9 / a-b", "0: 0+8 > 0+1"},
	{"the fullest is blocked: the next fullest", "a-b a-b a-b a-b / a-b9! c-d9! / a-d",
		"blocked"},
	{"the fullest is blocked, another is not", "x-y x-y x-y x-y / a-b9! c-d9! / a-d",
		"0: 0+4 > 2+0 bottom"},
	{"heavy in level 1, above data", " / a-b1# / a-b", "1: 0+1 > 0+1 bottom"},
	{"heavy in level 1, above data two levels down", " / a-b1# / c-d / a-b",
		"1: 0+1 > 0+0 move"},
	{"heavy at the bottom stays", " / a-b1# / c-d", "-"},
	{"heavy before a full level", " / a-b9 c-d9 e-f1# / e-f9", "1: 2+1 > 0+1 bottom"},
	{"heavy after a level 0 that stops flushes",
		"a-b a-b a-b a-b a-b a-b a-b a-b a-b a-b a-b a-b / e-f1# / e-f9",
		"0: 0+12 > 0+0 bottom"},
	{"heavy in level 0 does not wait for the trigger", "a-b1# / a-c", "0: 0+1 > 0+1 bottom"},
	{"heavy in level 0 over an older one there", "a-b1# a-c", "0: 0+2 > 0+0 bottom"},
	{"heavy in level 0 over nothing", "a-b1# c-d / e-f", "-"},
	{"heavy but blocked", " / a-b1#! / a-b", "blocked"},
	{"the last level is never a source", " / / / / / / a-b99 c-d99", "-"},
	{"level 5 into the last", " / / / / / a-b1# / a-b", "5: 0+1 > 0+1 bottom"},
};

struct tree {
	struct compact_table tables[MANIFEST_LEVELS][TABLES_MAX];
	struct compact_state s;
};

static void parse(const char *text, struct tree *t)
{
	unsigned level = 0;

	*t = (struct tree){.s.level1_bytes = LEVEL1};
	for (const char *p = text; *p; p++) {
		struct compact_table *x = &t->tables[level][t->s.n[level]];

		if (*p == '/')
			level++;
		if (*p == '/' || *p == ' ')
			continue;
		ck_assert(p[1] == '-');
		*x = (struct compact_table){.first = SLICE(p, 1), .last = SLICE(p + 2, 1)};
		for (p += 3; *p && *p != ' '; p++) {
			if (*p >= '0' && *p <= '9')
				x->size = x->size * 10 + 100 * (uint64_t)(*p - '0');
			x->blocked |= *p == '!';
			x->heavy |= *p == '#';
		}
		if (x->size == 0)
			x->size = 100;
		t->s.n[level]++;
		p--;
	}
	for (unsigned l = 0; l < MANIFEST_LEVELS; l++)
		t->s.levels[l] = t->tables[l];
}

START_TEST(picks)
{
	struct tree t;
	struct compact_choice c = {0};
	bool blocked = false;
	char got[64] = "-";

	parse(cases[_i].tree, &t);
	if (compact_pick(&t.s, &c, &blocked)) {
		snprintf(got, sizeof got, "%u: %zu+%zu > %zu+%zu%s%s", c.from, c.from_first,
			c.from_n, c.to_first, c.to_n, c.move ? " move" : "",
			c.bottom ? " bottom" : "");
		ck_assert_uint_eq(c.to, c.from + 1);
	} else if (blocked) {
		snprintf(got, sizeof got, "blocked");
	}
	ck_assert_msg(strcmp(got, cases[_i].want) == 0, "%s (%s): %s instead of %s", cases[_i].what,
		cases[_i].tree, got, cases[_i].want);
}
END_TEST

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

static size_t count(const struct tree *t)
{
	size_t n = 0;

	for (unsigned l = 0; l < MANIFEST_LEVELS; l++)
		n += t->s.n[l];
	return n;
}

/* What a merge would leave: one table over all inputs. Gives the number of tables. */
static void carry_out(struct tree *t, const struct compact_choice *c)
{
	struct compact_table *from = t->tables[c->from], *to = t->tables[c->to],
			     made = from[c->from_first];

	made.heavy = false;
	made.blocked = false;
	for (size_t i = 0; i < c->from_n + c->to_n; i++) {
		const struct compact_table *x =
			i < c->from_n ? &from[c->from_first + i] : &to[c->to_first + i - c->from_n];

		ck_assert(c->move || !x->blocked);
		if (slice_cmp(x->first, made.first) < 0)
			made.first = x->first;
		if (slice_cmp(x->last, made.last) > 0)
			made.last = x->last;
		made.size = made.size < x->size ? x->size : made.size;
	}
	memmove(&from[c->from_first], &from[c->from_first + c->from_n],
		(t->s.n[c->from] - c->from_first - c->from_n) * sizeof *from);
	t->s.n[c->from] -= c->from_n;
	memmove(&to[c->to_first + 1], &to[c->to_first + c->to_n],
		(t->s.n[c->to] - c->to_first - c->to_n) * sizeof *to);
	to[c->to_first] = made;
	t->s.n[c->to] += 1 - c->to_n;
}

static void check_sorted(const struct tree *t)
{
	for (unsigned l = 1; l < MANIFEST_LEVELS; l++)
		for (size_t i = 1; i < t->s.n[l]; i++)
			ck_assert(slice_cmp(t->tables[l][i - 1].last, t->tables[l][i].first) < 0);
}

/* From any tree, carrying out what is picked keeps levels sorted and comes to an end. */
START_TEST(comes_to_an_end)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	uint64_t seed = (uint64_t)_i + 1;
	struct tree t = {.s.level1_bytes = 300};
	struct compact_choice c;
	bool blocked;
	unsigned steps = 0;

	for (int i = 0; i < 8; i++) {
		uint64_t a = next_random(&seed) % 26, b = next_random(&seed) % 26;

		t.tables[0][i] =
			(struct compact_table){.first = SLICE(letters + (a < b ? a : b), 1),
				.last = SLICE(letters + (a < b ? b : a), 1),
				.size = 100 + next_random(&seed) % 900,
				.heavy = next_random(&seed) % 4 == 0};
	}
	t.s.n[0] = 8;
	for (unsigned l = 0; l < MANIFEST_LEVELS; l++)
		t.s.levels[l] = t.tables[l];
	while (compact_pick(&t.s, &c, &blocked)) {
		carry_out(&t, &c);
		check_sorted(&t);
		ck_assert_uint_lt(++steps, 200);
	}
	ck_assert(!blocked);
	ck_assert_uint_lt(t.s.n[0], COMPACT_LEVEL0_TABLES);
	ck_assert_uint_gt(count(&t), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compact-pick");
	TCase *t = tcase_create("compact-pick");

	tcase_add_loop_test(t, picks, 0, sizeof cases / sizeof cases[0]);
	tcase_add_loop_test(t, comes_to_an_end, 0, 50);
	suite_add_tcase(suite, t);
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
