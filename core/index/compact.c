/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Merges: reads the tables that compact_pick chose, writes what survives to the next level, and
 * exchanges them in one edit. Memory does not depend on the size of the inputs: they are read in
 * order, and what is written is cut to tables.
 *
 * The writer merges under its own job, which stays open: its low mark takes the place of closing it
 * (D3).
 */
#include "core/index/maintain_internal.h"

#include "core/base/planted.h"
#include "core/index/compact_pick.h"
#include "core/index/index_internal.h"
#include "core/index/manifest_internal.h"

/* A merge under way. */
struct merge_job {
	struct index *ix;
	struct index_writer writer;
	struct index_version *version; /* planned with; reference */
	struct compact_choice choice;
	struct table_run run;
};

static const struct table_meta *from_tables(const struct merge_job *j)
{
	return j->version->manifest->levels[j->choice.from] + j->choice.from_first;
}

static const struct table_meta *to_tables(const struct merge_job *j)
{
	return j->version->manifest->levels[j->choice.to] + j->choice.to_first;
}

/* ---- choosing ---- */

static int shape_level(struct index *ix, const struct manifest *m, unsigned level, uint64_t settled,
	struct compact_table **ret)
{
	struct compact_table *t = calloc(m->nlevel[level] + 1, sizeof *t);

	if (!t)
		return -ENOMEM;
	bool busy = atomic_load_explicit(&ix->busy, memory_order_relaxed);

	for (size_t i = 0; i < m->nlevel[level]; i++) {
		const struct table_meta *meta = &m->levels[level][i];
		struct table_note note;
		bool known = maintain_note(ix, meta->id, &note);

		t[i] = (struct compact_table){.first = buf_slice(&meta->first),
			.last = buf_slice(&meta->last),
			.size = meta->size,
			.blocked = meta->added > settled && !(known && !note.drops),
			.heavy = known && (note.heavy || (note.deletes && !busy))};
	}
	*ret = t;
	return 0;
}

/* 1 = there is something to do. */
static int choose(struct index *ix, const struct manifest *m, uint64_t settled,
	struct compact_choice *ret, bool *ret_blocked)
{
	struct compact_state s = {.level1_bytes = ix->o.level1_bytes};
	struct compact_table *levels[MANIFEST_LEVELS] = {NULL};
	int r = 0;

	for (unsigned level = 0; r == 0 && level < MANIFEST_LEVELS; level++) {
		r = shape_level(ix, m, level, settled, &levels[level]);
		s.levels[level] = levels[level];
		s.n[level] = m->nlevel[level];
	}
	if (r == 0)
		r = compact_pick(&s, ret, ret_blocked) ? 1 : 0;
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		free(levels[level]);
	return r;
}

/* ---- edits ---- */

static bool live_at(const struct manifest *m, struct table_id id, unsigned level)
{
	unsigned at;

	return manifest_find_table(m, id, &at) && at == level;
}

static bool all_live(const struct manifest *m, const struct table_meta *t, size_t n, unsigned level)
{
	for (size_t i = 0; i < n; i++)
		if (!live_at(m, t[i].id, level))
			return false;
	return true;
}

static int retire_all(struct manifest *m, const struct table_meta *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = manifest_retire_table(m, t[i].id);

		if (r < 0 && !(r == -ENOENT && planted(PLANTED_RULE_D2)))
			return r;
	}
	return 0;
}

/* D2: all inputs live where they were, and no pin came or went since the merge was planned. */
static int check_inputs(const struct merge_job *j, const struct manifest *m, struct error *err)
{
	const struct compact_choice *c = &j->choice;

	if (m->pin_generation != j->version->manifest->pin_generation)
		return error_set(err, -EAGAIN, "pins changed under a merge");
	if (!all_live(m, from_tables(j), c->from_n, c->from) ||
		!all_live(m, to_tables(j), c->to_n, c->to))
		return error_set(err, -EAGAIN, "tables were merged by somebody else");
	return 0;
}

static int merge_apply(void *arg, struct manifest *m, struct error *err)
{
	const struct merge_job *j = arg;
	const struct compact_choice *c = &j->choice;
	int r = maintain_check_owner(&j->writer, m, err);

	if (r < 0)
		return r;
	if (j->run.n > 0 && all_live(m, j->run.tables, j->run.n, c->to))
		return -EALREADY;
	if (!planted(PLANTED_RULE_D2)) {
		r = check_inputs(j, m, err);
		if (r < 0)
			return r;
	}
	r = maintain_raise_low(j->ix, MAINTAIN_MERGE, &j->writer, m, err);
	if (r < 0)
		return r;
	r = retire_all(m, from_tables(j), c->from_n);
	if (r == 0)
		r = retire_all(m, to_tables(j), c->to_n);
	if (r == 0)
		r = table_run_add(&j->run, m, c->to);
	return r < 0 ? error_set(err, r, "no memory for the manifest") : 0;
}

/* True when the table would overlap another one of the level. */
static bool level_taken(const struct manifest *m, unsigned level, const struct table_meta *t)
{
	for (size_t i = 0; i < m->nlevel[level]; i++) {
		const struct table_meta *o = &m->levels[level][i];

		if (slice_cmp(buf_slice(&o->first), buf_slice(&t->last)) <= 0 &&
			slice_cmp(buf_slice(&t->first), buf_slice(&o->last)) <= 0)
			return true;
	}
	return false;
}

static int move_apply(void *arg, struct manifest *m, struct error *err)
{
	const struct merge_job *j = arg;
	const struct table_meta *t = from_tables(j);
	int r = maintain_check_owner(&j->writer, m, err);

	if (r < 0)
		return r;
	if (live_at(m, t->id, j->choice.to))
		return -EALREADY;
	if (!live_at(m, t->id, j->choice.from) || level_taken(m, j->choice.to, t))
		return error_set(err, -EAGAIN, "tables were merged by somebody else");
	r = manifest_move_table(m, t->id, j->choice.to);
	return r < 0 ? error_set(err, r, "no memory for the manifest") : 0;
}

/* ---- carrying out ---- */

static struct table *const *handles(const struct merge_job *j, unsigned level, size_t first)
{
	return j->version->levels[level] + first;
}

/* Newest first: the tables of level 0 one by one, a sorted level as a whole. On failure the caller
 * closes those that are there. */
static int open_inputs(const struct merge_job *j, struct iter **inputs, size_t *ret_n)
{
	const struct compact_choice *c = &j->choice;
	const struct slice no_end = SLICE(NULL, 0);
	size_t *n = ret_n;
	int r = 0;

	*n = 0;
	if (c->from > 0)
		r = level_iter_new(handles(j, c->from, c->from_first), c->from_n, no_end,
			TABLE_BULK, &inputs[(*n)++]);
	else
		for (size_t i = 0; r == 0 && i < c->from_n; i++)
			r = table_iter_new(handles(j, 0, c->from_first)[i], no_end, TABLE_BULK,
				&inputs[(*n)++]);
	if (r == 0 && c->to_n > 0)
		r = level_iter_new(handles(j, c->to, c->to_first), c->to_n, no_end, TABLE_BULK,
			&inputs[(*n)++]);
	return r;
}

static int open_merge(const struct merge_job *j, const struct merge_compact_options *o,
	struct merge_compact **ret, struct error *err)
{
	CLEANUP(free_p) struct iter **inputs = calloc(j->choice.from_n + 1, sizeof(struct iter *));
	size_t n = 0;
	int r = inputs ? open_inputs(j, inputs, &n) : -ENOMEM;

	if (r == 0)
		return merge_compact_open(inputs, n, o, ret, err);
	for (size_t i = 0; i < n; i++)
		iter_close(inputs[i]);
	return error_set(err, r, "no memory for a merge");
}

static int write_outputs(struct merge_job *j, struct error *err)
{
	CLEANUP(free_p) uint64_t *pins = NULL;
	struct merge_compact_options o = {.fold = j->ix->o.fold, .bottom = j->choice.bottom};
	struct table_run_source from = {.base = j->version->manifest,
		.below = j->choice.to + 1,
		.cover = buf_slice(&from_tables(j)->first)};
	int r;

	if (manifest_pinned_groups(j->version->manifest, &pins, &o.npins) < 0)
		return error_set(err, -ENOMEM, "no memory for the pins");
	o.pins = from.pins = pins;
	from.npins = o.npins;
	r = open_merge(j, &o, &from.merge, err);
	if (r < 0)
		return r;
	r = table_run_write(j->ix, &from, &j->run, err);
	if (r == 0)
		atomic_fetch_add_explicit(&j->ix->merged_bytes,
			merge_compact_input_bytes(from.merge), memory_order_relaxed);
	merge_compact_close(from.merge);
	return r;
}

/* What a planted bug does too early: nothing may go before the edit that retires it counts (D6,
 * M4). */
static void delete_inputs(const struct merge_job *j)
{
	char key[TABLE_KEY_BYTES];

	for (size_t i = 0; i < j->choice.from_n; i++) {
		table_key(from_tables(j)[i].id, key);
		(void)store_delete(
			j->ix->o.store, key, NULL); /* a planted bug, whatever comes of it */
	}
}

static int commit_merge(struct merge_job *j, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	const struct manifest_edit edit = {
		.apply = j->choice.move ? move_apply : merge_apply, .arg = j};
	int r;

	if (planted(PLANTED_DELETE_BEFORE_MANIFEST))
		delete_inputs(j);
	r = manifest_commit(j->ix->o.store, j->ix->o.keys, &edit, &m, err);
	if (r < 0)
		return r; /* M4: what was stored stays for the sweep */
	table_run_note(j->ix, &j->run);
	atomic_fetch_add_explicit(&j->ix->merges, 1, memory_order_relaxed);
	return index_install(j->ix, m, err);
}

/*
 * D10: an input is not in the store. If the newest manifest still names all of them, that is
 * damage; else somebody else merged and swept. (Somebody else's change: -EAGAIN.)
 */
static int input_is_gone(const struct merge_job *j, struct error *err)
{
	struct index_version *now;
	struct error why = {0};
	int r = maintain_catch_up(j->ix, err);

	if (r < 0)
		return r;
	now = index_version_get(j->ix);
	r = check_inputs(j, now->manifest, &why);
	index_version_put(now);
	return r == 0 ? error_set(err, -EBADMSG,
				"a table that the manifest names is not in the store")
		      : error_set(err, r, "%s", error_text(&why, r));
}

static int carry_out(struct merge_job *j, struct error *err)
{
	struct error why = {0};
	int r = 0;

	maintain_begin(j->ix, MAINTAIN_MERGE);
	if (!j->choice.move)
		r = write_outputs(j, &why);
	if (r == 0)
		r = commit_merge(j, &why);
	maintain_end(j->ix, MAINTAIN_MERGE);
	if (r == -ENOENT)
		return input_is_gone(j, err);
	if (r == -EAGAIN) {
		int caught = maintain_catch_up(j->ix, err);

		if (caught < 0)
			return caught;
	}
	return r < 0 ? error_set(err, r, "%s", error_text(&why, r)) : 1;
}

int index_merge(struct index *ix, uint64_t settled, bool *ret_blocked, struct error *err)
{
	struct merge_job j = {.ix = ix};
	int r = maintain_writer(ix, &j.writer, err);

	if (r < 0)
		return r;
	j.version = index_version_get(ix);
	*ret_blocked = false;
	r = choose(ix, j.version->manifest, settled, &j.choice, ret_blocked);
	if (r < 0)
		r = error_set(err, r, "no memory to plan a merge");
	if (r > 0) {
		*ret_blocked = false;
		r = carry_out(&j, err);
	}
	table_run_done(&j.run);
	index_version_put(j.version);
	return r;
}
