/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commits of manifests under a hostile store (commit-store.h): random schedules of compactors,
 * writers, a take-over, readers and collectors; and, step by step, the counterexamples for which
 * rules M1 to M4 exist. Where the build can switch a rule off, its absence must show.
 */
#include "tests/unit/commit-store.h"

#include "core/base/planted.h"
#include "core/seal/envelope.h"

#include <signal.h>

static struct volume_keys *keys;

/* ---- edits: as in rules M3 and D2 ---- */

enum kind { MERGE, FLUSH, TAKE_OVER, ADD_JOB, CLOSE_JOB };

struct edit {
	enum kind kind;
	uint64_t job, counter; /* output of MERGE and FLUSH */
	uint64_t epoch;
	uint64_t from;	/* FLUSH: sequence of the replay start */
	uint64_t given; /* ADD_JOB, TAKE_OVER: the number that this edit got */
	bool blind;	/* as if there were no rule M3 */
};

static const struct table_id input_a = {1, 0}, input_b = {1, 1};

static int add_output(struct manifest *m, unsigned level, struct table_id id)
{
	struct table_meta t = {.id = id, .size = 1};
	int r;

	ck_assert_int_eq(buf_append_be64(&t.first, id.job * 1000 + id.counter), 0);
	ck_assert_int_eq(buf_append_be64(&t.last, id.job * 1000 + id.counter), 0);
	r = manifest_add_table(m, level, &t);
	buf_done(&t.first);
	buf_done(&t.last);
	return r;
}

static int apply_merge(const struct edit *e, struct manifest *m, struct error *err)
{
	const struct table_id out = {e->job, e->counter};

	if (manifest_find_table(m, out, NULL))
		return -EALREADY;
	if (!manifest_find_job(m, e->job) || !manifest_find_table(m, input_a, NULL) ||
		!manifest_find_table(m, input_b, NULL))
		return error_set(err, -EAGAIN, "job closed or inputs gone");
	ck_assert_int_eq(manifest_retire_table(m, input_a), 0);
	ck_assert_int_eq(manifest_retire_table(m, input_b), 0);
	manifest_close_job(m, e->job);
	return add_output(m, 1, out);
}

static int apply_flush(const struct edit *e, struct manifest *m, struct error *err)
{
	if (m->epoch != e->epoch)
		return error_set(err, -ESTALE, "epoch %llu", (unsigned long long)m->epoch);
	if (m->replay.sequence != e->from && !e->blind)
		return m->replay.sequence > e->from ? -EALREADY : -EAGAIN;
	m->replay.sequence = e->from + 1;
	return add_output(m, 0, (struct table_id){e->job, e->counter});
}

static int apply_take_over(struct edit *e, struct manifest *m, struct error *err)
{
	if (m->epoch >= e->epoch)
		return m->epoch == e->epoch ? -EALREADY : error_set(err, -ESTALE, "epoch");
	m->epoch = e->epoch;
	for (size_t i = m->njobs; i-- > 0;)
		if (m->jobs[i].writer)
			manifest_close_job(m, m->jobs[i].id);
	return manifest_add_job(m, true, e->epoch, &e->given);
}

static int apply(void *arg, struct manifest *m, struct error *err)
{
	struct edit *e = arg;

	switch (e->kind) {
	case MERGE:
		return apply_merge(e, m, err);
	case FLUSH:
		return apply_flush(e, m, err);
	case TAKE_OVER:
		return apply_take_over(e, m, err);
	case ADD_JOB:
		return manifest_add_job(m, false, m->epoch, &e->given);
	case CLOSE_JOB:
		if (!manifest_find_job(m, e->job))
			return -EALREADY;
		manifest_close_job(m, e->job);
		return 0;
	}
	return -EINVAL;
}

static int commit(struct edit *e, struct manifest **ret)
{
	const struct manifest_edit edit = {.apply = apply, .arg = e};
	struct error err = {0};
	int r = manifest_commit(&hub->store, keys, &edit, ret, &err);

	ck_assert_int_eq(r, err.code);
	return r;
}

static int upload(uint64_t job, uint64_t counter)
{
	struct slice body = SLICE_STR("a table, as far as this test goes");
	char key[64];
	int r;

	snprintf(key, sizeof key, "table/%016llx%016llx", (unsigned long long)job,
		(unsigned long long)counter);
	do {
		r = store_create(&hub->store, key, &body, 1, NULL);
	} while (r == -ETIMEDOUT || r == -EAGAIN);
	return r;
}

/* What M2 says: who believes that its edit counts is right. */
static void believe(const struct manifest *m)
{
	if (m->number > hub->top ||
		memcmp(m->digest, hub->truth[m->number]->digest, DIGEST_BYTES) != 0)
		sim_fail("believes in manifest %llu, which is not in the history",
			(unsigned long long)m->number);
}

/* ---- the beginning of all histories: manifest 1, then 2 with two tables of job 1 and the writer's
 * job 2 ---- */

static int apply_begin(void *arg, struct manifest *m, struct error *err)
{
	uint64_t job;

	(void)arg;
	(void)err;
	if (m->next_job > 1)
		return -EALREADY;
	ck_assert_int_eq(manifest_add_job(m, false, 0, &job), 0);
	manifest_close_job(m, job);
	ck_assert_int_eq(manifest_add_job(m, true, 1, &job), 0);
	ck_assert_uint_eq(job, 2);
	m->epoch = 1;
	ck_assert_int_eq(add_output(m, 1, input_a), 0);
	return add_output(m, 1, input_b);
}

static void begin(void)
{
	const struct manifest_edit edit = {.apply = apply_begin};
	bool chaos = hub->chaos;

	hub->chaos = false;
	ck_assert_int_eq(keys_create(&hub->store, &cheap, &keys, NULL), 0);
	hub->keys = keys;
	ck_assert_int_eq(upload(1, 0), 0);
	ck_assert_int_eq(upload(1, 1), 0);
	ck_assert_int_eq(manifest_create_first(&hub->store, keys, NULL), 0);
	ck_assert_int_eq(manifest_commit(&hub->store, keys, &edit, NULL, NULL), 0);
	ck_assert_uint_eq(hub->top, 2);
	hub->chaos = chaos;
}

static void end(void)
{
	hub->keys = NULL;
	keys_free(keys);
	keys = NULL;
	hub_close();
}

/* ---- random schedules ---- */

static bool stop; /* of collector, canceller and reader */

static void compactor(void *arg)
{
	struct edit add = {.kind = ADD_JOB}, merge = {.kind = MERGE};
	struct manifest *m = NULL;
	int r;

	(void)arg;
	/* Not idempotent: an unclear registration costs a number, nothing else. */
	r = commit(&add, NULL);
	if (r < 0)
		return;
	merge.job = add.given;
	r = upload(merge.job, 0);
	if (r == 0)
		r = commit(&merge, &m);
	if (r == 0) {
		believe(m);
		if (hub_times_added((struct table_id){merge.job, 0}) != 1)
			sim_fail("a merge that counts is not in the history");
	} else if (r == -EAGAIN && hub_times_added((struct table_id){merge.job, 0}) != 0) {
		sim_fail("a merge that was given up is in the history");
	}
	manifest_unref(m);
}

static void flush_some(uint64_t epoch, uint64_t job, uint64_t from)
{
	for (uint64_t i = 0; i < 4; i++) {
		struct edit e = {
			.kind = FLUSH, .epoch = epoch, .job = job, .counter = i, .from = from + i};
		struct manifest *m = NULL;
		int r = upload(job, i);

		if (r == 0)
			r = commit(&e, &m);
		if (r == 0) {
			believe(m);
			if (hub_times_added((struct table_id){job, i}) != 1)
				sim_fail("a flush that counts is not in the history");
		}
		manifest_unref(m);
		if (r < 0)
			return;
		env_sleep_ms(rng_below(sim_rng(), 50));
	}
}

static void writer(void *arg)
{
	(void)arg;
	flush_some(1, 2, 0);
}

static void successor(void *arg)
{
	struct edit e = {.kind = TAKE_OVER, .epoch = 2};
	struct manifest *m = NULL;
	uint64_t job = 0, from;

	(void)arg;
	env_sleep_ms(rng_below(sim_rng(), 400));
	if (commit(&e, &m) < 0)
		return;
	believe(m);
	for (size_t i = 0; i < m->njobs; i++)
		if (m->jobs[i].writer)
			job = m->jobs[i].id;
	from = m->replay.sequence;
	manifest_unref(m);
	flush_some(2, job, from);
}

static void reader(void *arg)
{
	uint64_t seen = 0;

	(void)arg;
	while (!stop) {
		struct manifest *m = NULL;
		uint64_t top = hub->top;

		if (manifest_read(&hub->store, keys, &m, NULL) == 0) {
			believe(m);
			if (m->number < top || m->number < seen)
				sim_fail(
					"a read that is older than its beginning, or than the one before");
			seen = m->number;
			manifest_unref(m);
		}
		env_sleep_ms(rng_below(sim_rng(), 20));
	}
}

static void delete_key(const char *key)
{
	(void)store_delete(&hub->store, key, NULL);
}

/* M5, D4. */
static void collect(const struct manifest *m)
{
	struct store_list names = {0};

	if (store_list_all(&hub->store, "", NULL, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names.n; i++) {
		const char *key = names.entries[i].key;
		struct table_id id;
		uint64_t number;
		bool retired = false;

		if (manifest_key_parse(key, &number) && number < m->number)
			delete_key(key);
		if (strncmp(key, "table/", 6) != 0 || !hex_decode_u64(key + 6, 16, &id.job) ||
			!hex_decode_u64(key + 22, 16, &id.counter) || hub_live(m, id))
			continue;
		for (size_t k = 0; k < m->nretired; k++)
			retired |= m->retired[k].id.job == id.job &&
				   m->retired[k].id.counter == id.counter;
		if (retired || (id.job < m->next_job && !manifest_find_job(m, id.job)))
			delete_key(key);
	}
	store_list_done(&names);
}

static void collector(void *arg)
{
	(void)arg;
	while (!stop) {
		struct manifest *m = NULL;

		if (manifest_read(&hub->store, keys, &m, NULL) == 0)
			collect(m);
		manifest_unref(m);
		env_sleep_ms(rng_below(sim_rng(), 30));
	}
}

/* D3. */
static void canceller(void *arg)
{
	(void)arg;
	while (!stop) {
		struct edit e = {.kind = CLOSE_JOB, .job = 3 + rng_below(sim_rng(), 3)};

		env_sleep_ms(rng_below(sim_rng(), 600));
		if (hub->truth[hub->top]->next_job > e.job &&
			manifest_find_job(hub->truth[hub->top], e.job) &&
			!manifest_find_job(hub->truth[hub->top], e.job)->writer)
			(void)commit(&e, NULL);
	}
}

static void network(void *arg)
{
	(void)arg;
	while (!stop) {
		env_sleep_ms(rng_below(sim_rng(), 40));
		hub_land_late();
	}
}

static unsigned mortality(void)
{
	return rng_chance(sim_rng(), 1, 4) ? 1 + (unsigned)rng_below(sim_rng(), 40) : 0;
}

static void random_main(void *arg)
{
	struct sim_process *workers[5], *others[5];
	size_t n = 0, k = 0;

	(void)arg;
	hub_open();
	hub->chaos = true;
	stop = false;
	begin();
	workers[n++] = hub_start("K1", compactor, NULL, mortality());
	workers[n++] = hub_start("K2", compactor, NULL, mortality());
	workers[n++] = hub_start("W", writer, NULL, mortality());
	if (rng_chance(sim_rng(), 1, 2))
		workers[n++] = hub_start("N", successor, NULL, mortality());
	others[k++] = hub_start("R", reader, NULL, 0);
	others[k++] = hub_start("C1", collector, NULL, 0);
	others[k++] = hub_start("C2", collector, NULL, 0);
	others[k++] = hub_start("X", canceller, NULL, 0);
	others[k++] = hub_start("net", network, NULL, 0);
	for (size_t i = 0; i < n; i++)
		ck_assert(sim_process_wait(workers[i]));
	stop = true;
	for (size_t i = 0; i < k; i++)
		ck_assert(sim_process_wait(others[i]));
	ck_assert_uint_gt(hub->top, 2);
	end();
}

#define SEEDS 100

START_TEST(random_schedules)
{
	const char *text = getenv("SEED");
	uint64_t first = text ? strtoull(text, NULL, 0) : 1, n = text ? 1 : SEEDS;

	for (uint64_t seed = first; seed < first + n; seed++) {
		printf("SEED=%llu\n", (unsigned long long)seed);
		fflush(stdout);
		sim_run(random_main, NULL, seed);
	}
}
END_TEST

/* ---- scripts ---- */

static int result_k1, result_k2, result_r;
static struct manifest *read_by_r;

/* A compactor whose job and table are there already. */
static uint64_t prepare(void)
{
	struct edit add = {.kind = ADD_JOB};

	ck_assert_int_eq(commit(&add, NULL), 0);
	ck_assert_int_eq(upload(add.given, 0), 0);
	return add.given;
}

static void merge_process(int *result, uint64_t job)
{
	struct edit e = {.kind = MERGE, .job = job};
	struct manifest *m = NULL;

	*result = 1;
	*result = commit(&e, &m);
	manifest_unref(m);
}

static void k1_process(void *arg)
{
	merge_process(&result_k1, *(uint64_t *)arg);
}

static void k2_process(void *arg)
{
	merge_process(&result_k2, *(uint64_t *)arg);
}

static void r_process(void *arg)
{
	(void)arg;
	result_r = manifest_read(&hub->store, keys, &read_by_r, NULL);
}

static void flush_now(uint64_t counter)
{
	struct edit e = {.kind = FLUSH, .epoch = 1, .job = 2, .counter = counter, .from = counter};

	ck_assert_int_eq(upload(2, counter), 0);
	ck_assert_int_eq(commit(&e, NULL), 0);
}

static void clean_below(uint64_t number)
{
	char key[MANIFEST_KEY_MAX];

	for (uint64_t i = 1; i < number; i++) {
		manifest_key(i, key);
		delete_key(key);
	}
}

/* Counterexample 5, and schedule 7: asleep between create and LIST while others commit and the
 * number is cleaned away. */
static void overtaken_main(void *arg)
{
	uint64_t job, flushes = *(uint64_t *)arg;
	struct hub_gate *g;
	struct sim_process *p;

	hub_open();
	begin();
	job = prepare();
	g = hub_gate("K1", STORE_CREATE, MANIFEST_PREFIX, true);
	p = hub_start("K1", k1_process, &job, 0);
	hub_wait_at(g);
	for (uint64_t i = 0; i < flushes; i++)
		flush_now(i);
	clean_below(hub->top);
	g->closed = false;
	ck_assert(sim_process_wait(p));
	/* M2: "something higher" is not a refusal; M3: the inputs have gone by its own edit. */
	ck_assert_int_eq(result_k1, 0);
	ck_assert_uint_eq(hub_times_added((struct table_id){job, 0}), 1);
	ck_assert(hub_live(hub->truth[hub->top], (struct table_id){job, 0}));
	end();
}

START_TEST(overtaken_while_it_counts)
{
	uint64_t flushes = (uint64_t)_i;

	sim_run(overtaken_main, &flushes, 1);
}
END_TEST

/*
 * Counterexample 6, and schedule 8: K2 read manifest n and sleeps before it creates n + 1. That
 * number is created by another, followed, and cleaned away. R lists n + 1 before it goes, and gets
 * the false one that K2 makes.
 */
static void false_manifest_main(void *arg)
{
	uint64_t job1, job2;
	struct hub_gate *k2, *r;
	struct sim_process *pk2, *pr;

	(void)arg;
	hub_open();
	begin();
	job1 = prepare();
	job2 = prepare();
	k2 = hub_gate("K2", STORE_CREATE, MANIFEST_PREFIX, false);
	pk2 = hub_start("K2", k2_process, &job2, 0);
	hub_wait_at(k2);
	merge_process(&result_k1, job1);
	ck_assert_int_eq(result_k1, 0);
	r = hub_gate("R", STORE_GET, MANIFEST_PREFIX, false);
	pr = hub_start("R", r_process, NULL, 0);
	hub_wait_at(r);
	flush_now(0);
	clean_below(hub->top);
	k2->closed = false;
	ck_assert(sim_process_wait(pk2));
	r->closed = false;
	ck_assert(sim_process_wait(pr));
	ck_assert_int_eq(result_r, 0);
}

START_TEST(false_manifest)
{
	sim_run(false_manifest_main, NULL, 1);
	/* M1: not the false one. */
	ck_assert_uint_eq(read_by_r->number, hub->top);
	ck_assert_mem_eq(read_by_r->digest, hub->truth[hub->top]->digest, DIGEST_BYTES);
	/* M2: who made it does not believe it; M3: the inputs have gone. */
	ck_assert_int_eq(result_k2, -EAGAIN);
	manifest_unref(read_by_r);
	end();
}
END_TEST

/* The reply of the create is lost, so often as it likes; the edit counts once. */
static void lost_reply_main(void *arg)
{
	(void)arg;
	hub_open();
	begin();
	ck_assert_int_eq(upload(2, 0), 0);
	for (unsigned i = 1; i < 4; i++) {
		struct edit e = {.kind = FLUSH, .epoch = 1, .job = 2, .counter = i, .from = i - 1};

		ck_assert_int_eq(upload(2, i), 0);
		hub->lose_replies = 1;
		ck_assert_int_eq(commit(&e, NULL), 0);
		ck_assert_uint_eq(hub_times_added((struct table_id){2, i}), 1);
	}
	ck_assert_uint_eq(hub->top, 5);
	end();
}

START_TEST(lost_reply)
{
	sim_run(lost_reply_main, NULL, 1);
}
END_TEST

/* M3: who applies again without looking at the precondition applies twice, as the watching store
 * would say. */
static void blind_main(void *arg)
{
	struct edit e = {
		.kind = FLUSH, .epoch = 1, .job = 2, .counter = 0, .from = 0, .blind = true};

	(void)arg;
	hub_open();
	begin();
	ck_assert_int_eq(upload(2, 0), 0);
	hub->lose_replies = 1;
	/* Found before it is stored: no manifest names a table twice. */
	ck_assert_int_eq(commit(&e, NULL), -EINVAL);
	end();
}

START_TEST(blind_edit)
{
	sim_run(blind_main, NULL, 1);
}
END_TEST

/* The store answers no create of a manifest, and keeps none: an end after a bounded number of
 * attempts. */
static int deaf_create(struct store *s, const char *key, const struct slice *parts, size_t nparts,
	struct error *err)
{
	(void)s;
	(void)parts;
	(void)nparts;
	hub->creates++;
	return error_set(err, -ETIMEDOUT, "no answer for %s", key);
}

static void deaf_main(void *arg)
{
	struct edit e = {.kind = FLUSH, .epoch = 1, .job = 2, .from = 0};
	struct store_ops deaf = hub_ops;

	(void)arg;
	hub_open();
	begin();
	deaf.create = deaf_create;
	hub->store.ops = &deaf;
	hub->creates = 0;
	ck_assert_int_eq(commit(&e, NULL), -EIO);
	ck_assert_uint_ge(hub->creates, 10);
	ck_assert_uint_le(hub->creates, 100);
	end();
}

START_TEST(no_answers)
{
	sim_run(deaf_main, NULL, 1);
}
END_TEST

static void requests_main(void *arg)
{
	struct manifest *m = NULL;
	unsigned lists;

	(void)arg;
	hub_open();
	begin();
	ck_assert_int_eq(manifest_create_first(&hub->store, keys, NULL), 0);
	clean_below(hub->top);
	/* Manifest 1 has gone: none is made again. */
	ck_assert_int_eq(manifest_create_first(&hub->store, keys, NULL), 0);
	ck_assert_ptr_null(hub_find("manifest/0000000000000001"));
	lists = hub->lists;
	ck_assert_int_eq(manifest_read(&hub->store, keys, &m, NULL), 0);
	ck_assert_uint_eq(hub->lists - lists, 2);
	ck_assert_uint_eq(m->number, 2);
	manifest_unref(m);
	lists = hub->lists;
	flush_now(0);
	ck_assert_uint_eq(hub->lists - lists, 3);
	end();
}

START_TEST(requests)
{
	sim_run(requests_main, NULL, 1);
}
END_TEST

static void empty_main(void *arg)
{
	struct manifest *m = NULL;

	(void)arg;
	hub_open();
	ck_assert_int_eq(keys_create(&hub->store, &cheap, &keys, NULL), 0);
	ck_assert_int_eq(manifest_read(&hub->store, keys, &m, NULL), -ENOENT);
	hub->keys = keys;
	hub->lose_replies = 1;
	ck_assert_int_eq(manifest_create_first(&hub->store, keys, NULL), 0);
	ck_assert_int_eq(manifest_read(&hub->store, keys, &m, NULL), 0);
	ck_assert_uint_eq(m->number, 1);
	ck_assert_uint_eq(m->epoch, 0);
	ck_assert_uint_eq(m->next_job, 1);
	ck_assert_int_eq(log_place_cmp(m->replay, (struct log_place){1, 0}), 0);
	manifest_unref(m);
	end();
}

START_TEST(empty_volume)
{
	sim_run(empty_main, NULL, 1);
}
END_TEST

/* The next manifest, by a version from the future whose features allow us to read only. */
static void land_read_only(void)
{
	static const char none[] = "\"read_only_compatible\":[", *at;
	struct buf json = BUF_INIT, text = BUF_INIT, object = BUF_INIT;
	struct manifest *m = NULL;
	struct envelope e;
	char key[MANIFEST_KEY_MAX];
	bool exists;

	ck_assert_int_eq(manifest_copy(hub->truth[hub->top], &m), 0);
	m->number++;
	memcpy(m->previous, m->digest, sizeof m->previous);
	ck_assert_int_eq(manifest_encode(m, &json, NULL), 0);
	ck_assert_int_eq(buf_append_u8(&json, 0), 0);
	at = strstr((const char *)json.data, none) + strlen(none);
	ck_assert_int_eq(buf_append(&text, json.data, (size_t)(at - (const char *)json.data)), 0);
	ck_assert_int_eq(buf_append_slice(&text, SLICE_STR("\"x\"")), 0);
	ck_assert_int_eq(buf_append_slice(&text, SLICE_STR(at)), 0);
	ck_assert_int_eq(envelope_new(keys, OBJECT_MANIFEST, m->number, 0, &e, NULL), 0);
	ck_assert_int_eq(buf_append(&object, e.raw, sizeof e.raw), 0);
	ck_assert_int_eq(
		part_seal(&e, ORDINAL_MANIFEST, 0, (struct codec_choice){.codec = CODEC_RAW},
			buf_slice(&text), &object, NULL),
		0);
	manifest_key(m->number, key);
	hub_land(STORE_CREATE, key, buf_slice(&object), &exists);
	buf_done(&json);
	buf_done(&text);
	buf_done(&object);
	manifest_unref(m);
}

static void read_only_main(void *arg)
{
	struct edit e = {.kind = FLUSH, .epoch = 1, .job = 2, .from = 0};
	struct manifest *m = NULL;

	(void)arg;
	hub_open();
	begin();
	land_read_only();
	ck_assert_int_eq(upload(2, 0), 0);
	ck_assert_int_eq(manifest_read(&hub->store, keys, &m, NULL), 0);
	ck_assert_uint_eq(m->number, 3);
	ck_assert(m->read_only);
	manifest_unref(m);
	ck_assert_int_eq(commit(&e, NULL), -EPROTONOSUPPORT);
	ck_assert_uint_eq(hub->top, 3);
	end();
}

START_TEST(read_only_features)
{
	sim_run(read_only_main, NULL, 1);
}
END_TEST

#ifdef PLANTED_BUGS
/* Without M1 the same schedule shows a reader a manifest that was never in the history. */
START_TEST(without_m1)
{
	planted_use(PLANTED_RULE_M1);
	sim_run(false_manifest_main, NULL, 1);
	ck_assert_uint_lt(read_by_r->number, hub->top);
	ck_assert(memcmp(read_by_r->digest, hub->truth[read_by_r->number]->digest, DIGEST_BYTES) !=
		  0);
	manifest_unref(read_by_r);
	end();
}
END_TEST

/* Without M2 the sleeper believes in its false manifest. */
START_TEST(without_m2)
{
	planted_use(PLANTED_RULE_M2);
	sim_run(false_manifest_main, NULL, 1);
	ck_assert_int_eq(result_k2, 0);
	manifest_unref(read_by_r);
	end();
}
END_TEST

static void random_without(void *arg)
{
	planted_use(*(enum planted *)arg);
	for (uint64_t seed = 1; seed <= 200; seed++)
		sim_run(random_main, NULL, seed);
}

static const enum planted removable[] = {PLANTED_RULE_M1, PLANTED_RULE_M2};

/* The random schedules notice too: the simulator aborts. */
START_TEST(random_notices)
{
	enum planted p = removable[_i];

	random_without(&p);
}
END_TEST
#endif

static TCase *cases(void)
{
	TCase *t = tcase_create("manifest-commit");

	tcase_set_timeout(t, 100);
	tcase_add_test(t, random_schedules);
	tcase_add_loop_test(t, overtaken_while_it_counts, 0, 5);
	tcase_add_test(t, false_manifest);
	tcase_add_test(t, lost_reply);
	tcase_add_test(t, blind_edit);
	tcase_add_test(t, no_answers);
	tcase_add_test(t, requests);
	tcase_add_test(t, empty_volume);
	tcase_add_test(t, read_only_features);
#ifdef PLANTED_BUGS
	tcase_add_test(t, without_m1);
	tcase_add_test(t, without_m2);
	tcase_add_loop_test_raise_signal(
		t, random_notices, SIGABRT, 0, sizeof removable / sizeof removable[0]);
#endif
	return t;
}

int main(void)
{
	return run_suite(cases, "manifest-commit");
}
