/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/oracle.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX
#define REPORT_OPS 40

struct event {
	struct op op;
	int expected;
	uint64_t begun, ended; /* ticks */
};

struct domain {
	struct tree *base, *now;
	uint64_t base_n; /* operations in `base` */
	struct event *events;
	uint64_t *hashes; /* of the prefix of each length */
	uint64_t n, cap, pinned;
};

struct oracle {
	struct domain domains[ORACLE_DOMAINS];
	uint64_t tick, total;
};

static void *need(void *p)
{
	if (!p)
		abort(); /* a harness without memory proves nothing */
	return p;
}

struct oracle *oracle_new(void)
{
	struct oracle *o = need(calloc(1, sizeof(*o)));

	for (unsigned i = 0; i < ORACLE_DOMAINS; i++) {
		struct domain *d = &o->domains[i];

		d->base = tree_new();
		d->now = tree_new();
		d->cap = 64;
		d->events = need(calloc(d->cap, sizeof(*d->events)));
		d->hashes = need(calloc(d->cap + 1, sizeof(*d->hashes)));
		d->hashes[0] = tree_hash(d->now);
	}
	return o;
}

void oracle_free(struct oracle *o)
{
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++) {
		tree_free(o->domains[i].base);
		tree_free(o->domains[i].now);
		free(o->domains[i].events);
		free(o->domains[i].hashes);
	}
	free(o);
}

uint64_t oracle_begin(struct oracle *o, unsigned domain, const struct op *op, int *ret_expected)
{
	struct domain *d = &o->domains[domain];

	if (d->n == d->cap) {
		d->cap *= 2;
		d->events = need(reallocarray(d->events, d->cap, sizeof(*d->events)));
		d->hashes = need(reallocarray(d->hashes, d->cap + 1, sizeof(*d->hashes)));
	}
	struct event *e = &d->events[d->n];

	*e = (struct event){.op = *op, .begun = ++o->tick, .ended = NEVER};
	e->expected = *ret_expected = tree_apply(d->now, op, d->n);
	d->hashes[d->n + 1] = e->expected < 0 ? d->hashes[d->n] : tree_hash(d->now);
	o->total++;
	return d->n++;
}

void oracle_end(struct oracle *o, unsigned domain, uint64_t index)
{
	assert(index < o->domains[domain].n);
	o->domains[domain].events[index].ended = ++o->tick;
}

struct tree *oracle_tree(struct oracle *o, unsigned domain)
{
	return o->domains[domain].now;
}

void oracle_returned(const struct oracle *o, struct oracle_cut *ret)
{
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++) {
		const struct domain *d = &o->domains[i];

		ret->n[i] = d->n && d->events[d->n - 1].ended == NEVER ? d->n - 1 : d->n;
	}
}

uint64_t oracle_total(const struct oracle *o)
{
	return o->total;
}

void oracle_pin(struct oracle *o, unsigned domain, uint64_t n)
{
	struct domain *d = &o->domains[domain];

	assert(n <= d->n);
	if (n > d->pinned)
		d->pinned = n;
}

void oracle_pin_all(struct oracle *o, const struct oracle_cut *c)
{
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++)
		oracle_pin(o, i, c->n[i]);
}

void oracle_pinned(const struct oracle *o, struct oracle_cut *ret)
{
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++)
		ret->n[i] = o->domains[i].pinned;
}

/* ---- looking for a cut ---- */

struct search {
	struct oracle *o;
	uint64_t hash[ORACLE_DOMAINS];
	struct oracle_cut floor, cut;
};

/* Whether the last operation inside of a's prefix came after the return of the first one outside of
 * b's. */
static bool contradicts(const struct domain *a, uint64_t na, const struct domain *b, uint64_t nb)
{
	return na > 0 && nb < b->n && b->events[nb].ended < a->events[na - 1].begun;
}

static bool fits(const struct search *s, unsigned domain, uint64_t n)
{
	const struct domain *d = s->o->domains;

	for (unsigned i = 0; i < domain; i++)
		if (contradicts(&d[i], s->cut.n[i], &d[domain], n) ||
			contradicts(&d[domain], n, &d[i], s->cut.n[i]))
			return false;
	return true;
}

static bool find(struct search *s, unsigned domain)
{
	const struct domain *d = &s->o->domains[domain];

	if (domain == ORACLE_DOMAINS)
		return true;
	for (uint64_t n = d->n + 1; n-- > s->floor.n[domain];) {
		if (d->hashes[n] != s->hash[domain] || !fits(s, domain, n))
			continue;
		s->cut.n[domain] = n;
		if (find(s, domain + 1))
			return true;
	}
	return false;
}

static struct tree *state_at(const struct domain *d, uint64_t n)
{
	struct tree *t = tree_copy(d->base);

	for (uint64_t i = d->base_n; i < n; i++)
		(void)tree_apply(t, &d->events[i].op, i); /* as it did before */
	return t;
}

/* Files of the same name and other bytes. */
static void report_bytes(const struct node *a, const struct node *b, const char *name)
{
	uint64_t from = 0, to;

	for (size_t i = 0; i < a->nentries; i++)
		for (size_t k = 0; k < b->nentries; k++)
			if (strcmp(a->entries[i].name, b->entries[k].name) == 0)
				report_bytes(
					a->entries[i].node, b->entries[k].node, a->entries[i].name);
	if (a->type == NODE_DIR || b->type == NODE_DIR)
		return;
	to = a->size < b->size ? a->size : b->size;
	while (from < to && a->data[from] == b->data[from])
		from++;
	while (to > from && a->data[to - 1] == b->data[to - 1])
		to--;
	if (from < to)
		fprintf(stderr, "  %s differs in [%llu, %llu): seen %02x, expected %02x\n", name,
			(unsigned long long)from, (unsigned long long)to, a->data[from],
			b->data[from]);
}

static void report(struct oracle *o, unsigned i, struct tree *seen, uint64_t floor)
{
	const struct domain *d = &o->domains[i];
	uint64_t from = floor > REPORT_OPS / 4 ? floor - REPORT_OPS / 4 : 0;
	char line[3 * TREE_PATH_MAX];

	fprintf(stderr,
		"domain %u: the volume looks like no prefix of %llu..%llu operations (base %llu)\n",
		i, (unsigned long long)floor, (unsigned long long)d->n,
		(unsigned long long)d->base_n);
	for (uint64_t n = 0; n < floor; n++)
		if (d->hashes[n] == tree_hash(seen)) {
			fprintf(stderr, "  it looks like the prefix of %llu\n",
				(unsigned long long)n);
			break;
		}
	tree_print(seen, "seen");
	if (floor >= d->base_n) {
		struct tree *t = state_at(d, floor);

		tree_print(t, "the least that was promised");
		tree_free(t);
		tree_print(d->now, "the latest");
		fprintf(stderr, "  compared with the latest:\n");
		report_bytes(seen->root, d->now->root, "");
	}
	for (uint64_t n = from; n < d->n && n < from + REPORT_OPS; n++) {
		op_print(&d->events[n].op, line, sizeof(line));
		fprintf(stderr, "  %llu [%llu, %lld] %s = %d\n", (unsigned long long)n,
			(unsigned long long)d->events[n].begun, (long long)d->events[n].ended, line,
			d->events[n].expected);
	}
}

bool oracle_match(struct oracle *o, struct tree *const trees[ORACLE_DOMAINS],
	const struct oracle_cut *floor, struct oracle_cut *ret, struct oracle_cut *lowest,
	struct oracle_cut *highest, bool quiet)
{
	struct search s = {.o = o, .floor = *floor};
	bool all = true;

	for (unsigned i = 0; i < ORACLE_DOMAINS; i++) {
		const struct domain *d = &o->domains[i];
		bool any = false;

		s.hash[i] = tree_hash(trees[i]);
		for (uint64_t n = floor->n[i]; n <= d->n; n++) {
			if (d->hashes[n] != s.hash[i])
				continue;
			if (lowest && !any)
				lowest->n[i] = n;
			if (highest)
				highest->n[i] = n;
			any = true;
		}
		if (!any && !quiet)
			report(o, i, trees[i], floor->n[i]);
		all = all && any;
	}
	if (!all)
		return false;
	if (!find(&s, 0)) {
		if (!quiet)
			fprintf(stderr,
				"each domain shows a prefix, but together they are no cut\n");
		return false;
	}
	*ret = s.cut;
	return true;
}

void oracle_restart(struct oracle *o, const struct oracle_cut *c)
{
	for (unsigned i = 0; i < ORACLE_DOMAINS; i++) {
		struct domain *d = &o->domains[i];
		struct tree *t = state_at(d, c->n[i]);

		assert(c->n[i] >= d->base_n && c->n[i] >= d->pinned);
		tree_free(d->base);
		tree_free(d->now);
		d->base = t;
		d->now = tree_copy(t);
		d->n = d->base_n = c->n[i];
	}
}
