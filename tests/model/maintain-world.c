/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See maintain-world.h. */
#include "tests/model/maintain-world.h"

/* ---- taking over ---- */

int apply_take_over(void *arg, struct manifest *m, struct error *err)
{
	struct index_writer *w = arg;

	if (m->epoch == w->epoch && memcmp(m->term, w->term, TERM_BYTES) == 0)
		return -EALREADY;
	if (m->epoch >= w->epoch)
		return error_set(err, -ESTALE, "a newer writer");
	m->epoch = w->epoch;
	memcpy(m->term, w->term, TERM_BYTES);
	for (size_t i = m->njobs; i-- > 0;)
		if (m->jobs[i].writer)
			manifest_close_job(m, m->jobs[i].id);
	return manifest_add_job(m, true, w->epoch, &w->job);
}

static struct index_options options(struct world *w)
{
	return (struct index_options){.store = w->store,
		.keys = w->keys,
		.fold = &toy,
		.budget = w->budget,
		.memtable_bytes = 2000,
		.table_bytes = 1500,
		.level1_bytes = 8000,
		.block_bytes = 256,
		.block_cache_bytes = 1 << 20,
		.codec = {.codec = CODEC_RAW}};
}

/* As a new process: takes over, and replays what the tables do not have. */
void open_index(struct world *w)
{
	const struct manifest_edit edit = {.apply = apply_take_over, .arg = &w->writer};
	struct manifest *m = NULL;
	struct error err = {0};
	struct index_options o = options(w);

	w->writer.epoch++;
	rng_fill(&w->rng, w->writer.term, sizeof w->writer.term);
	ck_assert_int_eq(manifest_commit(w->store, w->keys, &edit, &m, &err), 0);
	for (size_t i = 0; i < m->njobs; i++)
		if (m->jobs[i].writer)
			w->writer.job = m->jobs[i].id;
	ck_assert_int_eq(index_open(&o, m, &w->ix, &err), 0);
	index_set_writer(w->ix, &w->writer);
	for (uint64_t g = m->last_group + 1; g <= w->group; g++) {
		int r = index_group_replay(w->ix, g, buf_slice(&w->blocks[g]), &err);

		ck_assert_msg(r == 0, "replay: %s", error_text(&err, r));
	}
	manifest_unref(m);
}

void world_open(struct world *w, uint64_t seed)
{
	static unsigned count;
	struct store *mem = NULL;
	char name[32];

	*w = (struct world){.rng = rng_of(seed), .next_pin = 1};
	snprintf(name, sizeof name, "maintain-%u", count++);
	mem_store_forget(name);
	ck_assert_int_eq(mem_store_open(name, &mem, NULL), 0);
	w->store = fault_new(mem);
	ck_assert_ptr_nonnull(w->store);
	w->keys = fixture_keys(w->store);
	w->budget = budget_new(16 << 20);
	ck_assert_ptr_nonnull(w->budget);
	ck_assert_int_eq(manifest_create_first(w->store, w->keys, NULL), 0);
	open_index(w);
}

void world_close(struct world *w)
{
	index_close(w->ix);
	ck_assert_uint_eq(budget_used(w->budget, BUDGET_MERGE), 0);
	budget_free(w->budget);
	keys_free(w->keys);
	store_close(w->store);
	for (size_t i = 0; i < w->cap_blocks; i++)
		buf_done(&w->blocks[i]);
	free(w->blocks);
	model_done(&w->model);
}

/* ---- groups ---- */

static struct model_record random_value(struct world *w, enum record_op op, const char *key)
{
	struct model_record r = {.group = w->group, .op = op};

	strcpy(r.key, key);
	if (op == RECORD_DELETE)
		return r;
	if (key[0] == 'p') {
		r.len = rng_below(&w->rng, sizeof r.value + 1);
		rng_fill(&w->rng, r.value, r.len);
		return r;
	}
	for (uint8_t slot = 0; slot < MODEL_SLOTS; slot++) {
		if (!rng_chance(&w->rng, 1, 3))
			continue;
		r.value[r.len++] = slot;
		r.value[r.len++] = (uint8_t)rng_below(&w->rng, MODEL_SEGMENTS);
		r.value[r.len++] = (uint8_t)(1 + rng_below(&w->rng, 250));
	}
	return r;
}

void write_record(struct world *w, struct index_group *g, const struct model_record *r)
{
	struct slice key = SLICE_STR(r->key), value = SLICE(r->value, r->len);

	ck_assert_int_eq(index_reserve(g, sizeof *r, 1), 0);
	switch (r->op) {
	case RECORD_PUT:
		index_put(g, key, value);
		break;
	case RECORD_DELETE:
		index_delete(g, key);
		break;
	case RECORD_DELTA:
		index_delta(g, key, value);
		break;
	case RECORD_RANGE:
		index_range_delete(g, key, SLICE_STR(r->end));
		break;
	}
	model_add(&w->model, r);
}

struct index_group *begin_group(struct world *w)
{
	struct index_group *g = NULL;

	w->group++;
	ck_assert_int_eq(index_group_begin(w->ix, w->group, &g), 0);
	return g;
}

void end_group(struct world *w, struct index_group *g)
{
	if (w->group >= w->cap_blocks) {
		size_t cap = 2 * w->group + 64;

		w->blocks = realloc(w->blocks, cap * sizeof *w->blocks);
		ck_assert_ptr_nonnull(w->blocks);
		memset(w->blocks + w->cap_blocks, 0, (cap - w->cap_blocks) * sizeof *w->blocks);
		w->cap_blocks = cap;
	}
	ck_assert_int_eq(index_group_seal(g, &w->blocks[w->group]), 0);
	index_group_acked(w->ix, g);
}

static void random_range(struct world *w, struct index_group *g)
{
	unsigned a = (unsigned)rng_below(&w->rng, MODEL_KEYS), n = (unsigned)rng_below(&w->rng, 12);
	struct model_record r = {.group = w->group, .op = RECORD_RANGE};

	model_key(a, r.key);
	if (a + n < MODEL_KEYS)
		model_key(a + n, r.end);
	else
		strcpy(r.end, "q");
	if (n > 0)
		write_record(w, g, &r);
}

void random_group(struct world *w)
{
	struct index_group *g = begin_group(w);
	bool used[MODEL_KEYS] = {false};
	unsigned n = (unsigned)rng_below(&w->rng, 12);

	while (rng_chance(&w->rng, 1, 5))
		random_range(w, g);
	for (unsigned i = 0; i < n; i++) {
		unsigned k = (unsigned)rng_below(&w->rng, MODEL_KEYS),
			 kind = (unsigned)rng_below(&w->rng, 10);
		char key[4];
		struct model_record r;

		if (used[k])
			continue;
		used[k] = true;
		model_key(k, key);
		r = random_value(w,
			kind < 2		    ? RECORD_DELETE
			: kind < 4 || key[0] == 'p' ? RECORD_PUT
						    : RECORD_DELTA,
			key);
		write_record(w, g, &r);
	}
	end_group(w, g);
}

/* One put or delta in a group of its own. */
void write_one(struct world *w, enum record_op op, const char *key, const void *value, size_t len)
{
	struct index_group *g = begin_group(w);
	struct model_record r = {.group = w->group, .op = op, .len = len};

	strcpy(r.key, key);
	memcpy(r.value, value, len);
	write_record(w, g, &r);
	end_group(w, g);
}

/* ---- maintenance ---- */

struct manifest *newest(struct world *w)
{
	struct manifest *m = NULL;

	ck_assert_int_eq(manifest_read(w->store, w->keys, &m, NULL), 0);
	return m;
}

int flush_now(struct world *w, struct error *err)
{
	uint64_t upto = index_flushable(w->ix, true);

	if (upto == 0)
		return 0;
	return index_flush(w->ix, upto, (struct log_place){1, upto}, w->settled, err);
}

/* Books what folds dropped; as if the group that holds it were durable at once. */
void settle(struct world *w)
{
	struct segment_refs refs = {0};
	uint64_t number = 0;
	struct error err = {0};
	int r = index_unsettled(w->ix, w->settled, &refs, &number, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	ck_assert_uint_ge(number, w->settled);
	model_book(&w->model, &refs);
	w->settled = number;
	segment_refs_done(&refs);
}

int apply_pin(void *arg, struct manifest *m, struct error *err)
{
	struct world *w = arg;
	struct manifest_pin *pins;

	(void)err;
	if (m->npins && m->pins[m->npins - 1].id == w->next_pin)
		return -EALREADY;
	pins = realloc(m->pins, (m->npins + 1) * sizeof *pins);
	if (!pins)
		return -ENOMEM;
	m->pins = pins;
	/* D9: the last group in the tables of the manifest that records it. */
	m->pins[m->npins++] =
		(struct manifest_pin){.id = w->next_pin, .group = m->last_group, .name = "pin"};
	m->pin_generation++;
	return 0;
}

static int apply_unpin(void *arg, struct manifest *m, struct error *err)
{
	const uint64_t *id = arg;

	(void)err;
	for (size_t i = 0; i < m->npins; i++)
		if (m->pins[i].id == *id) {
			memmove(&m->pins[i], &m->pins[i + 1], (m->npins - i - 1) * sizeof *m->pins);
			m->npins--;
			m->pin_generation++;
			return 0;
		}
	return -EALREADY;
}

void commit_and_adopt(
	struct world *w, int (*apply)(void *arg, struct manifest *m, struct error *err), void *arg)
{
	const struct manifest_edit edit = {.apply = apply, .arg = arg};
	struct manifest *m = NULL;
	struct error err = {0};
	int r = manifest_commit(w->store, w->keys, &edit, &m, &err);

	ck_assert_msg(r == 0, "%s", error_text(&err, r));
	ck_assert_int_eq(index_adopt(w->ix, m, &err), 0);
	manifest_unref(m);
}

void pin_or_unpin(struct world *w)
{
	struct manifest *m = newest(w);

	if (m->npins < 3 && rng_chance(&w->rng, 1, 2)) {
		commit_and_adopt(w, apply_pin, w);
		w->next_pin++;
	} else if (m->npins > 0) {
		uint64_t id = m->pins[rng_below(&w->rng, m->npins)].id;

		commit_and_adopt(w, apply_unpin, &id);
	}
	manifest_unref(m);
}

/* ---- checks ---- */

static void check_get(struct world *w, uint64_t view, const char *key)
{
	struct buf want = BUF_INIT, got = BUF_INIT;
	bool exists = model_get(&w->model, view, key, &want);
	struct error err = {0};
	int r = index_get(w->ix, view, SLICE_STR(key), 0, &got, NULL, &err);

	ck_assert_msg(r == (exists ? 0 : -ENOENT), "get %s at %llu: %s", key,
		(unsigned long long)view, error_text(&err, r));
	if (exists)
		ck_assert_msg(slice_eq(buf_slice(&want), buf_slice(&got)),
			"%s at %llu has another value", key, (unsigned long long)view);
	buf_done(&want);
	buf_done(&got);
}

/* Reads a scan of everything to its end and compares it with the model. */
void check_scan(struct world *w, uint64_t view, struct index_scan *scan)
{
	struct record rec;
	struct error err = {0};
	unsigned at = 0;
	int r;

	do {
		char key[4] = "";
		struct buf want = BUF_INIT;

		r = index_scan_next(scan, &rec, &err);
		ck_assert_msg(r >= 0, "scan: %s", error_text(&err, r));
		while (at < MODEL_KEYS) {
			model_key(at++, key);
			if (model_get(&w->model, view, key, &want))
				break;
			key[0] = '\0';
		}
		ck_assert_msg((r == 1) == (key[0] != '\0'), "scan at %llu: %s",
			(unsigned long long)view, key);
		if (r == 1) {
			ck_assert_msg(slice_eq(rec.key, SLICE_STR(key)),
				"scan at %llu: %.3s instead of %s", (unsigned long long)view,
				(const char *)rec.key.data, key);
			ck_assert(slice_eq(rec.value, buf_slice(&want)));
		}
		buf_done(&want);
	} while (r == 1);
}

struct index_scan *open_scan(struct world *w, uint64_t view)
{
	struct index_scan *scan = NULL;

	ck_assert_int_eq(
		index_scan_open(w->ix, view, SLICE("", 0), SLICE("", 0), 0, &scan, NULL), 0);
	return scan;
}

static void check_view(struct world *w, uint64_t view)
{
	struct index_scan *scan = open_scan(w, view);

	check_scan(w, view, scan);
	index_scan_close(scan);
	for (unsigned i = 0; i < MODEL_KEYS; i++) {
		char key[4];

		model_key(i, key);
		check_get(w, view, key);
	}
}

void check_views(struct world *w)
{
	struct manifest *m = index_manifest(w->ix);

	check_view(w, GROUP_NOW);
	for (size_t i = 0; i < m->npins; i++)
		check_view(w, m->pins[i].group);
	manifest_unref(m);
}

static void sum_references(struct world *w, int64_t live[MODEL_SEGMENTS])
{
	struct segment_refs refs = {0};
	struct index_scan *scan = NULL;
	struct record rec;
	int r;

	ck_assert_int_eq(index_scan_versions(w->ix, SLICE("", 0), SLICE("", 0), &scan, NULL), 0);
	while ((r = index_scan_next(scan, &rec, NULL)) == 1)
		ck_assert_int_eq(toy_references(&rec, 1, &refs), 0);
	ck_assert_int_eq(r, 0);
	index_scan_close(scan);
	for (size_t i = 0; i < refs.n; i++)
		live[refs.refs[i].sequence] = refs.refs[i].bytes;
	segment_refs_done(&refs);
}

/* After settling: what is booked is what all stored versions refer to, no more and no less. */
void check_references(struct world *w)
{
	int64_t live[MODEL_SEGMENTS] = {0};

	settle(w);
	sum_references(w, live);
	for (int i = 0; i < MODEL_SEGMENTS; i++)
		ck_assert_msg(live[i] == w->model.live[i],
			"segment %d: %lld booked, %lld referred to", i, (long long)w->model.live[i],
			(long long)live[i]);
}

static bool listed(struct world *w, const char *key)
{
	struct store_list names = {0};
	bool found = false;

	ck_assert_int_eq(store_list_all(w->store, key, NULL, &names, NULL), 0);
	found = names.n == 1;
	store_list_done(&names);
	return found;
}

size_t count_names(struct world *w, const char *prefix)
{
	struct store_list names = {0};
	size_t n;

	ck_assert_int_eq(store_list_all(w->store, prefix, NULL, &names, NULL), 0);
	n = names.n;
	store_list_done(&names);
	return n;
}

static void name_of(struct table_id id, char key[TABLE_KEY_BYTES])
{
	table_key(id, key);
}

void plant_table(struct world *w, struct table_id id)
{
	struct slice body = SLICE_STR("somebody's table");
	char key[TABLE_KEY_BYTES];

	name_of(id, key);
	ck_assert_int_eq(store_create(w->store, key, &body, 1, NULL), 0);
}

bool has_table(struct world *w, struct table_id id)
{
	char key[TABLE_KEY_BYTES];

	name_of(id, key);
	return listed(w, key);
}

void sweep_all(struct world *w)
{
	struct error err = {0};
	int r;

	while ((r = index_sweep(w->ix, 7, &err)) > 0)
		ck_assert_int_le(r, 7);
	ck_assert_msg(r == 0, "sweep: %s", error_text(&err, r));
}

/*
 * The live tables and one manifest are left, and besides them only uploads that failed with the
 * newest counters: they stay until a later edit has raised the low mark.
 */
void check_swept(struct world *w)
{
	struct store_list names = {0};
	struct manifest *m;
	size_t live = 0, found = 0;

	sweep_all(w);
	m = newest(w);
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		live += m->nlevel[level];
	ck_assert_int_eq(store_list_all(w->store, "table/", NULL, &names, NULL), 0);
	for (size_t i = 0; i < names.n; i++) {
		const char *key = names.entries[i].key;
		struct table_id id;

		ck_assert(hex_decode_u64(key + 6, 16, &id.job) &&
			  hex_decode_u64(key + 22, 16, &id.counter));
		if (manifest_find_table(m, id, NULL))
			found++;
		else
			ck_assert_msg(id.job == w->writer.job &&
					      id.counter >= manifest_find_job(m, id.job)->low,
				"%s is garbage", key);
	}
	ck_assert_uint_eq(found, live);
	store_list_done(&names);
	ck_assert_uint_eq(count_names(w, "manifest/"), 1);
	manifest_unref(m);
}

void merge_until_done(struct world *w)
{
	bool blocked;
	struct error err = {0};
	int r;

	do {
		r = index_merge(w->ix, w->settled, &blocked, &err);
		ck_assert_msg(r >= 0, "merge: %s", error_text(&err, r));
		if (r == 0 && blocked)
			settle(w);
	} while (r == 1 || blocked);
}

void reopen(struct world *w)
{
	index_close(w->ix);
	w->ix = NULL;
	open_index(w);
}
