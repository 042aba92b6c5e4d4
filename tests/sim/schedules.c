/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/schedules.h"

#include "tests/sim/seeds.h"
#include "tests/sim/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 14
#define NAMES_MAX 64

/* Names of files that were acknowledged, for a witness. */
struct promised {
	char names[NAMES_MAX][16];
	const char *list[NAMES_MAX + 1];
	size_t n;
};

static const char *promise(struct promised *p, const char *prefix, unsigned n)
{
	expect(p->n < NAMES_MAX, "too many names");
	(void)snprintf(p->names[p->n], sizeof(p->names[0]), "%s%u", prefix, n);
	p->list[p->n] = p->names[p->n];
	return p->names[p->n++];
}

static struct actor *opened(const char *name)
{
	struct actor *a = actor_new(name);

	if (actor_do(a, act_open, NULL) < 0)
		sim_fail("%s cannot open the volume: %s", name, error_text(&a->error, a->result));
	return a;
}

static void put(struct actor *a, const char *file)
{
	int r = actor_do(a, act_put, file);

	if (r < 0)
		sim_fail("%s cannot make %s durable: %s", a->name, file, strerror(-r));
}

/* It does not learn from its lease that somebody has come after it. */
static void blind(struct actor *a)
{
	gate_rule(a, SIM_SEND, STORE_LIST, "writer/", SIM_FAIL)->after_only = true;
}

static const char *const f1_only[] = {"f1", NULL};
static const char *const f1_f2[] = {"f1", "f2", NULL};

/* ---- 1: the first PUT ---- */

static void own_bytes(void)
{
	stage_begin();
	struct actor *a = opened("writer");
	struct gate *g = gate_set(a, SIM_SEND, STORE_CREATE, "log/");

	g->closed = false;
	g->verdict = SIM_LOSE;
	put(a, "f1"); /* answered "exists" at the second attempt: its own bytes */
	expect(g->reached, "nothing was sent");
	put(a, "f2");
	actor_kill(a);
	(void)stage_expect(f1_f2);
}

static void foreign_fence(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *b;
	struct gate *g;

	put(a, "f1");
	blind(a);
	g = gate_set(a, SIM_SEND, STORE_CREATE, "log/");
	actor_send(a, act_put, "f2");
	gate_wait(g);
	b = opened("successor");
	gate_open(g);
	expect(actor_await(a) < 0, "a replaced writer took a fence for its own segment");
	actor_kill(b);
	(void)stage_expect(f1_only);
}

/* ---- 2: a hole ---- */

/* Three groups; the first one's object is on its way for ever. The fence of a candidate that died
 * lies in the hole. */
static void hole(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *second = actor_twin(a), *third = actor_twin(a), *c, *w;
	struct gate *g = gate_set(a, SIM_SEND, STORE_CREATE, "log/"), *manifest;
	struct promised p = {0};
	char key[STORE_KEY_MAX + 1];

	actor_send(a, act_put, "x1");
	gate_wait(g);
	strcpy(key, g->key);
	(void)gate_rule(a, SIM_SEND, STORE_CREATE, key, SIM_HOLD);
	g->verdict = SIM_HOLD;
	gate_open(g);
	actor_send(second, act_put, "x2");
	stage_sleep(500);
	actor_send(third, act_put, "x3");
	stage_sleep(2000);
	expect(a->result == 1, "what is not stored was acknowledged");
	if (second->result == 0)
		(void)promise(&p, "x", 2);
	if (third->result == 0)
		(void)promise(&p, "x", 3);
	actor_kill(a);
	c = actor_new("candidate");
	manifest = gate_set(c, SIM_SEND, STORE_CREATE, "manifest/");
	actor_send(c, act_open, NULL);
	gate_wait(manifest);
	actor_kill(c);
	w = stage_expect(p.list);
	/* Now it lands, too late. */
	for (size_t i = 0; i < sim_store_messages(stage_store()); i++)
		if (strcmp(sim_store_message(stage_store(), i)->key, key) == 0)
			(void)sim_store_land(stage_store(), i);
	put(w, "f1");
	actor_kill(w);
	w = stage_expect(f1_only);
	expect(actor_do(w, act_look, "x2") < 0,
		"a group that was never acknowledged has come back");
}

/* ---- 3: deaths ---- */

static void deaths(void)
{
	struct promised p = {0};
	unsigned survived = 0;

	stage_begin();
	for (unsigned k = 1; k <= ROUNDS_MAX && survived < 2; k++) {
		struct actor *a = opened("writer"), *b = actor_new("heir");

		put(a, promise(&p, "f", k));
		actor_kill(a);
		b->link->kill_after = k;
		b->link->kill_late = true;
		actor_send(b, act_open, NULL);
		survived += actor_survives(b);
		actor_kill(b);
		actor_kill(stage_expect(p.list));
	}
	expect(survived, "a take-over takes more writes than this schedule knows");
}

/* ---- 4: two candidates ---- */

static void two_candidates(void)
{
	struct promised p = {0};

	stage_begin();
	for (unsigned k = 0; k < 24; k++) {
		struct actor *a = opened("writer"), *b = actor_new("elder"), *c;
		struct gate *g;
		const char *last;

		put(a, promise(&p, "f", k));
		actor_kill(a);
		g = gate_set(b, SIM_SEND, STORE_OPS, "");
		g->skip = k;
		actor_send(b, act_open, NULL);
		while (!g->reached && b->result == 1)
			stage_sleep(1);
		c = opened("younger");
		put(c, promise(&p, "c", k));
		gate_remove(g);
		(void)actor_await(b);
		expect(!b->open || b->epoch > c->epoch || g->skip,
			"a candidate serves that a later one had overtaken");
		last = promise(&p, "d", k);
		if (actor_do(c, act_put, last) < 0) {
			p.n--;
			p.list[p.n] = NULL;
			expect(b->open, "the one who serves was disturbed by one who does not");
		}
		actor_kill(b);
		actor_kill(c);
		actor_kill(stage_expect(p.list));
		p.n = 0;
		memset(p.list, 0, sizeof(p.list));
		if (g->skip)
			break; /* it has opened before it came so far */
	}
}

/* ---- 5: counterexamples ---- */

/* The writer goes on at the place where a candidate is about to put its fence; the place is flushed
 * and collected. */
static void collect_place(struct actor *a, const char *key)
{
	put(a, "f2");
	expect(sim_store_has(stage_store(), key, NULL), "the place was not used");
	expect(actor_do(a, act_tables, NULL) == 0, "no flush");
	expect(actor_do(a, act_sweep, NULL) == 0, "no sweep");
	expect(!sim_store_has(stage_store(), key, NULL), "the place was not collected");
}

/* 4: ends survive a conflict. 6: the same, asleep before it lists. */
static void misplaced_fence_at(enum store_op op)
{
	stage_begin();
	struct actor *a = opened("writer"), *b = actor_new("candidate"), *w;
	char key[STORE_KEY_MAX + 1];
	struct promised p = {0};
	struct gate *g;

	if (op == STORE_LIST)
		put(a, promise(&p, "f", 1));
	blind(a);
	g = gate_set(b, SIM_SEND, op, "log/");
	actor_send(b, act_open, NULL);
	gate_wait(g);
	(void)snprintf(key, sizeof(key), "log/%016x/%016zx", 1,
		sim_store_count(stage_store(), "log/0000000000000001/"));
	if (op == STORE_CREATE)
		strcpy(key, g->key);
	collect_place(a, key);
	(void)promise(&p, "f", 2);
	gate_open(g);
	if (actor_await(b) < 0)
		sim_fail("the candidate gave up: %s", error_text(&b->error, b->result));
	if (actor_do(a, act_put, "f3") == 0)
		(void)promise(&p, "f", 3);
	actor_kill(a);
	actor_kill(b);
	w = stage_expect(p.list);
	actor_kill(w);
}

static void misplaced_fence(void)
{
	misplaced_fence_at(STORE_CREATE);
}

static void asleep_before_list(void)
{
	misplaced_fence_at(STORE_LIST);
}

/* 8: a segment whose live bytes are zero, needed for its journal. */
static void empty_segment(void)
{
	stage_begin();
	struct actor *a = opened("writer");

	put(a, "f1");
	put(a, "f2");
	expect(actor_do(a, act_sweep, NULL) == 0, "no sweep");
	actor_kill(a);
	(void)stage_expect(f1_f2);
}

/* 8, with a reference: its bytes are overwritten durably, but the tables still name it. */
static void empty_counter(void)
{
	stage_begin();
	struct actor *a = opened("writer");

	put(a, "big1");
	expect(actor_do(a, act_tables, NULL) == 0, "no flush");
	expect(actor_do(a, act_unlink, "big1") == 0, "no unlink");
	put(a, "f1");
	expect(actor_do(a, act_sweep, NULL) == 0, "no sweep");
	actor_kill(a);
	(void)stage_expect(f1_only);
}

static struct actor *follower(void)
{
	struct actor *r = actor_new("follower");

	r->read_only = true;
	if (actor_do(r, act_open, NULL) < 0)
		sim_fail("a follower cannot open: %s", error_text(&r->error, r->result));
	return r;
}

static void sees(struct actor *r, const char *file)
{
	if (actor_do(r, act_poll, NULL) < 0)
		sim_fail("a poll failed: %s", error_text(&r->error, r->result));
	if (actor_do(r, act_look, file) < 0)
		sim_fail(
			"a follower does not see %s, which was acknowledged before its poll", file);
}

/* 11: a follower waits at a place that is filled, flushed and collected. */
static void nothing_new(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *r;

	put(a, "f1");
	r = follower();
	put(a, "f2");
	expect(actor_do(a, act_tables, NULL) == 0, "no flush");
	expect(actor_do(a, act_sweep, NULL) == 0, "no sweep");
	sees(r, "f2");
	put(a, "f3");
	sees(r, "f3");
}

/* 12: a fence that a stale candidate put into a collected place, where a follower waits. */
static void trusted_fence(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *b = actor_new("candidate"), *r;
	struct gate *g;

	put(a, "f1");
	r = follower();
	blind(a);
	g = gate_set(b, SIM_SEND, STORE_CREATE, "log/");
	actor_send(b, act_open, NULL);
	gate_wait(g);
	collect_place(a, g->key);
	/* The fence lands, and its sender sleeps on. */
	struct gate *reply = gate_set(b, SIM_REPLY, STORE_CREATE, "log/");

	gate_open(g);
	gate_wait(reply);
	put(a, "f3");
	sees(r, "f3");
	gate_open(reply);
}

/* ---- 7, 8: manifests ---- */

/* Somebody else's harmless edit, and the clean-up of what lies below. */
static int add_job(void *arg, struct manifest *m, struct error *err)
{
	uint64_t id;

	(void)arg;
	(void)err;
	return manifest_add_job(m, false, m->epoch ? m->epoch : 1, &id);
}

static int act_foreign_commit(struct actor *a)
{
	const struct manifest_edit e = {.apply = add_job};

	return manifest_commit(stage_raw(a), stage_keys(), &e, NULL, &a->error);
}

static void clean_manifests(void)
{
	struct manifest *m = stage_manifest();
	char key[STORE_KEY_MAX + 1];

	for (uint64_t n = 1; n < m->number; n++) {
		(void)snprintf(key, sizeof(key), "manifest/%016llx", (unsigned long long)n);
		sim_store_delete(stage_store(), key);
	}
	manifest_unref(m);
}

static void commits(struct actor *k, unsigned n)
{
	while (n--)
		expect(actor_do(k, act_foreign_commit, NULL) == 0, "no commit");
	clean_manifests();
}

/* 7: asleep between create and LIST, while others commit and its number is cleaned away. */
static void asleep_after_create(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *k = actor_new("committer");
	struct gate *g;

	put(a, "big1");
	put(a, "f1");
	g = gate_set(a, SIM_REPLY, STORE_CREATE, "manifest/");
	actor_send(a, act_tables, NULL);
	gate_wait(g);
	commits(k, 3);
	gate_open(g);
	expect(actor_await(a) == 0, "the flush did not come to an end");
	expect(actor_do(a, act_look, "big1") == 0, "the writer has lost a file");
	put(a, "f2");
	expect(actor_do(a, act_tables, NULL) == 0, "no second flush");
	actor_kill(a);
	(void)stage_expect(f1_f2);
}

/* An edit by which one knows whether it counts: a pin of its own name. */
static int add_pin(void *arg, struct manifest *m, struct error *err)
{
	const struct actor *a = arg;
	struct manifest_pin *pins = reallocarray(m->pins, m->npins + 1, sizeof(*pins));

	(void)err;
	if (!pins)
		return -ENOMEM;
	m->pins = pins;
	for (size_t i = 0; i < m->npins; i++)
		if (strcmp(pins[i].name, a->name) == 0)
			return -EALREADY;
	memset(&pins[m->npins], 0, sizeof(*pins));
	pins[m->npins].id = m->npins + 1;
	pins[m->npins].group = m->last_group;
	(void)snprintf(pins[m->npins].name, sizeof(pins->name), "%s", a->name);
	m->npins++;
	m->pin_generation++;
	return 0;
}

static int act_pin(struct actor *a)
{
	const struct manifest_edit e = {.apply = add_pin, .arg = a};

	return manifest_commit(stage_raw(a), stage_keys(), &e, NULL, &a->error);
}

static bool has_pin(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->npins; i++)
		if (strcmp(m->pins[i].name, name) == 0)
			return true;
	return false;
}

static uint64_t read_number;
static bool read_false;

static int act_read_manifest(struct actor *a)
{
	struct manifest *m;
	int r = manifest_read(stage_raw(a), stage_keys(), &m, &a->error);

	if (r == 0) {
		read_number = m->number;
		read_false = has_pin(m, "sleeper");
		manifest_unref(m);
	}
	return r;
}

/* 8: asleep before its create until its number has been cleaned away; a reader between LIST and
 * GET. */
static void false_manifest(bool with_reader)
{
	stage_begin();
	struct actor *sleeper = actor_new("sleeper"), *k = actor_new("committer"),
		     *r = actor_new("reader");
	struct gate *create = gate_set(sleeper, SIM_SEND, STORE_CREATE, "manifest/"), *get, *list;
	struct manifest *m;

	actor_send(sleeper, act_pin, NULL);
	gate_wait(create);
	expect(actor_do(k, act_foreign_commit, NULL) == 0, "no commit");
	get = gate_set(r, SIM_SEND, STORE_GET, create->key);
	if (with_reader) {
		actor_send(r, act_read_manifest, NULL);
		gate_wait(get);
	}
	commits(k, 2);
	list = gate_set(sleeper, SIM_SEND, STORE_LIST, "manifest/");
	gate_open(create);
	if (with_reader) {
		while (!sim_store_has(stage_store(), create->key, NULL))
			stage_sleep(1);
		gate_open(get);
		expect(actor_await(r) == 0, "the manifest cannot be read");
		expect(!read_false, "a reader took a false manifest for the newest");
	}
	gate_open(list);
	gate_remove(list);
	expect(actor_await(sleeper) == 0, "the commit did not come to an end");
	m = stage_manifest();
	expect(has_pin(m, "sleeper"), "a commit counted that is not in the history");
	manifest_unref(m);
}

static void false_manifest_commit(void)
{
	false_manifest(false);
}

static void false_manifest_read(void)
{
	false_manifest(true);
}

/* ---- 9: deletion of tables ---- */

/* A flush has uploaded its tables and sleeps before the commit, while the collector sweeps. */
static void swept_upload(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *sweeper = actor_twin(a);
	struct gate *g;

	put(a, "big1");
	put(a, "f1");
	g = gate_set(a, SIM_SEND, STORE_CREATE, "manifest/");
	actor_send(a, act_tables, NULL);
	gate_wait(g);
	expect(actor_do(sweeper, act_sweep, NULL) == 0, "no sweep");
	gate_open(g);
	expect(actor_await(a) == 0, "no flush");
	actor_kill(a);
	(void)stage_expect(f1_only);
}

static int cancel_job(void *arg, struct manifest *m, struct error *err)
{
	(void)arg;
	(void)err;
	while (m->njobs)
		manifest_close_job(m, m->jobs[0].id);
	return 0;
}

static int act_cancel(struct actor *a)
{
	const struct manifest_edit e = {.apply = cancel_job};

	return manifest_commit(stage_raw(a), stage_keys(), &e, NULL, &a->error);
}

/* Its tables are uploaded; its job is cancelled, the tables swept; it wakes and commits. The sweep
 * is that of a collector elsewhere: it deletes what rule D4(b) allows. */
static void cancelled_job(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *k = actor_new("canceller");
	struct gate *g;
	const char *name;

	put(a, "f1");
	g = gate_set(a, SIM_SEND, STORE_CREATE, "manifest/");
	actor_send(a, act_tables, NULL);
	gate_wait(g);
	expect(actor_do(k, act_cancel, NULL) == 0, "no commit");
	while ((name = sim_store_name(stage_store(), "table/", 0)))
		sim_store_delete(stage_store(), name);
	gate_open(g);
	(void)actor_await(a); /* refused */
	actor_kill(a);
	(void)stage_expect(f1_only);
}

/* ---- 10: early segments ---- */

static void early_segment_then(bool with_journal)
{
	static const char *const big[] = {"big3", "big4", "big5"};

	stage_begin();
	struct actor *a = opened("writer"), *second = actor_twin(a);
	struct promised p = {0};
	struct gate *g;

	put(a, "f1");
	(void)actor_do(a, act_close_memtable, NULL); /* the open group goes with it */
	put(a, "f2");
	expect(actor_do(a, act_close_memtable, NULL) == 0, "nothing to flush");
	/* Its early segments are stored, the rest sleeps; the group before is flushed. */
	g = gate_set(a, SIM_SEND, STORE_CREATE, "log/");
	g->skip = 1;
	for (unsigned i = 3; i < 6; i++)
		expect(actor_do(second, act_write, big[i - 3]) == 0, "no write");
	actor_send(second, act_put, "big2");
	gate_wait(g);
	stage_sleep(1000);
	expect(actor_do(a, act_flush_memtable, NULL) == 0, "no flush");
	expect(actor_do(a, act_sweep, NULL) == 0, "no sweep");
	(void)promise(&p, "f", 1);
	(void)promise(&p, "f", 2);
	if (with_journal) {
		gate_open(g);
		expect(actor_await(second) == 0, "no commit");
		for (unsigned i = 2; i < 6; i++)
			(void)promise(&p, "big", i);
	}
	actor_kill(a);
	(void)stage_expect(p.list);
}

static void early_segment(void)
{
	early_segment_then(true);
}

static void early_segment_cut_off(void)
{
	early_segment_then(false);
}

/* ---- a writer that flushes after it was replaced ---- */

static void zombie_flush(void)
{
	stage_begin();
	struct actor *a = opened("writer"), *b;
	struct gate *g;
	static const char *const files[] = {"big1", "f2", NULL};

	put(a, "big1");
	blind(a);
	g = gate_set(a, SIM_SEND, STORE_CREATE, "manifest/");
	actor_send(a, act_tables, NULL);
	gate_wait(g);
	b = opened("successor");
	gate_open(g);
	expect(actor_await(a) < 0, "a replaced writer flushed");
	put(b, "f2");
	expect(actor_do(b, act_tables, NULL) == 0, "no flush");
	actor_kill(b);
	(void)stage_expect(files);
}

/* ---- 12: leases ---- */

static void frozen_writer(void)
{
	stage_begin();
	struct actor *a = actor_new("writer"), *b = actor_new("successor");

	a->strict = b->strict = true;
	expect(actor_do(a, act_open, NULL) == 0, "cannot open");
	put(a, "f1");
	sim_process_pause(a->process);
	stage_sleep(10000);
	expect(actor_do(b, act_open, NULL) == 0, "cannot take over");
	put(b, "f2");
	sim_process_resume(a->process);
	expect(actor_do(a, act_look, "f1") < 0, "a writer that was frozen past its lease answered");
}

/* It is awake, but its requests are slow: a lease counts from their sending, and the successor
 * waits. */
static void hasty_successor(void)
{
	stage_begin();
	struct actor *a = actor_new("writer"), *b = actor_new("successor");

	a->strict = b->strict = true;
	expect(actor_do(a, act_open, NULL) == 0, "cannot open");
	put(a, "f1");
	stage_sleep(1100); /* its lease is fresh */
	a->link->hang = true;
	expect(actor_do(b, act_open, NULL) == 0, "cannot take over");
	put(b, "f2");
	actor_send(a, act_look, "f1");
	stage_sleep(100);
	expect(a->result != 0, "a successor served while the writer's lease ran");
}

/* ---- bytes ---- */

/* A group's early segment is replaced by one of another history: same place, same keys, other salt.
 */
struct kept {
	char *key;
	uint8_t *data;
	size_t len;
};

/* The first large object of the log. */
static const char *large_segment(struct slice *ret)
{
	const char *name;

	for (size_t i = 0; (name = sim_store_name(stage_store(), "log/", i)); i++)
		if (sim_store_has(stage_store(), name, ret) && ret->len > 40000)
			return name;
	sim_fail("no large segment");
}

static void foreign_segment(void)
{
	struct kept kept[32];
	size_t n = 0;
	struct slice body, other = {0};
	const char *name;

	stage_begin();
	for (size_t i = 0; i < 32 && (name = sim_store_name(stage_store(), "", i)); i++, n++) {
		(void)sim_store_has(stage_store(), name, &body);
		kept[i].key = strdup(name);
		kept[i].len = body.len;
		kept[i].data = malloc(body.len);
		memcpy(kept[i].data, body.data, body.len);
	}
	struct actor *a = opened("writer");

	expect(actor_do(a, act_write, "big3") == 0 && actor_do(a, act_write, "big4") == 0,
		"no write");
	put(a, "big1");
	char *place = strdup(large_segment(&other));

	actor_kill(a);
	sim_store_settle(stage_store());
	while ((name = sim_store_name(stage_store(), "", 0)))
		sim_store_delete(stage_store(), name);
	for (size_t i = 0; i < n; i++)
		sim_store_force(stage_store(), kept[i].key, SLICE(kept[i].data, kept[i].len));
	sim_store_forget(stage_store());
	a = opened("writer-again");
	expect(actor_do(a, act_write, "big3") == 0 && actor_do(a, act_write, "big4") == 0,
		"no write");
	put(a, "big2");
	actor_kill(a);
	sim_store_settle(stage_store());
	expect(strcmp(large_segment(&body), place) == 0, "the histories differ too much");
	sim_store_force(stage_store(), place, other);
	free(place);
	a = actor_new("reader");
	expect(actor_do(a, act_open, NULL) == -EBADMSG, "a foreign segment was replayed");
}

/* ---- the list ---- */

const struct schedule schedules[] = {
	{"1-own-bytes", own_bytes, {0}},
	{"1-foreign-fence", foreign_fence, {PLANTED_RULE_W3}},
	{"2-hole", hole, {PLANTED_RULE_W4, PLANTED_RULE_T4, PLANTED_ACK_OUT_OF_ORDER}},
	{"3-deaths", deaths, {PLANTED_RULE_T3}},
	{"4-two-candidates", two_candidates, {PLANTED_RULE_T2}},
	{"5.4-misplaced-fence", misplaced_fence, {PLANTED_RULE_T6}},
	{"5.8-empty-segment", empty_segment, {PLANTED_RULE_D7}},
	{"5.8-empty-counter", empty_counter, {0}},
	{"5.11-nothing-new", nothing_new, {PLANTED_RULE_R4}},
	{"5.12-trusted-fence", trusted_fence, {PLANTED_RULE_R2}},
	{"6-asleep-before-list", asleep_before_list, {0}},
	{"7-asleep-after-create", asleep_after_create, {PLANTED_RULE_M3}},
	{"8-false-manifest-commit", false_manifest_commit, {PLANTED_RULE_M2}},
	{"8-false-manifest-read", false_manifest_read, {PLANTED_RULE_M1}},
	{"9-swept-upload", swept_upload, {PLANTED_RULE_D4}},
	{"9-cancelled-job", cancelled_job, {PLANTED_RULE_D2}},
	{"10-early-segment", early_segment, {PLANTED_RULE_W7}},
	{"10-early-cut-off", early_segment_cut_off, {0}},
	{"zombie-flush", zombie_flush, {PLANTED_RULE_W6}},
	{"12-frozen-writer", frozen_writer, {PLANTED_RULE_L2}},
	{"12-hasty-successor", hasty_successor, {PLANTED_RULE_L3}},
	{"foreign-segment", foreign_segment, {PLANTED_FOREIGN_SEGMENT}},
};
const size_t schedules_count = sizeof(schedules) / sizeof(*schedules);

static void run_main(void *arg)
{
	((const struct schedule *)arg)->run();
	stage_end();
}

static const struct schedule *running;

static void run_job(const struct seed_job *j)
{
	sim_run(run_main, (void *)(uintptr_t)running, j->seed);
}

bool schedule_passes(const struct schedule *s, enum planted broken, bool quiet)
{
	struct seed_job j = {
		.seed = 1, .bug = broken, .quiet = quiet, .run = run_job, .seconds = 60};

	running = s;
	return seed_run(&j);
}

static bool names(const struct schedule *s, enum planted rule)
{
	for (size_t k = 0; k < 4; k++)
		if (s->rules[k] == rule)
			return true;
	return false;
}

const struct schedule *schedule_red(enum planted rule)
{
	for (size_t i = 0; i < schedules_count; i++)
		if (names(&schedules[i], rule) && !schedule_passes(&schedules[i], rule, true))
			return &schedules[i];
	return NULL;
}
