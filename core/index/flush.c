/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From memtables to tables of level 0, and the manifest edit that moves the replay start over them.
 * Only groups that the log has acknowledged come here (W6, see index_flushable).
 *
 * No pin can fall between the groups of a flush: a pin names the last group in the tables of the
 * manifest that records it (D9), so the pin generation needs no check here.
 */
#include "core/index/maintain_internal.h"

#include "core/base/planted.h"
#include "core/index/index_internal.h"
#include "core/index/manifest_internal.h"

#include <assert.h>

#define FLUSH_ATTEMPTS                                                                             \
	4 /* each after the manifest turned out to be another than the one it began from */

/* What a flush moves in the manifest. All three only rise. */
struct flush_state {
	struct log_place replay;
	uint64_t last_group, settled;
};

struct flush_edit {
	struct index *ix;
	struct index_writer writer;
	struct flush_state from, to;
	const struct table_run *run;
};

static struct flush_state state_of(const struct manifest *m)
{
	return (struct flush_state){
		.replay = m->replay, .last_group = m->last_group, .settled = m->settled};
}

static bool state_reached(const struct flush_state *is, const struct flush_state *wanted)
{
	return log_place_cmp(is->replay, wanted->replay) >= 0 &&
	       is->last_group >= wanted->last_group && is->settled >= wanted->settled;
}

static bool state_equal(const struct flush_state *a, const struct flush_state *b)
{
	return state_reached(a, b) && state_reached(b, a);
}

/* The higher of each. */
static struct flush_state state_raise(struct flush_state s, const struct flush_state *to)
{
	if (log_place_cmp(s.replay, to->replay) < 0)
		s.replay = to->replay;
	if (s.last_group < to->last_group)
		s.last_group = to->last_group;
	if (s.settled < to->settled)
		s.settled = to->settled;
	return s;
}

static int flush_apply(void *arg, struct manifest *m, struct error *err)
{
	const struct flush_edit *e = arg;
	struct flush_state now = state_of(m);
	int r = 0;

	if (!planted(PLANTED_RULE_W6)) /* W6: own epoch and term */
		r = maintain_check_owner(&e->writer, m, err);
	if (r < 0)
		return r;
	/*
	 * W6, M3: where this flush began from; the edit makes that false. Nobody else moves it, so
	 * what has moved it is an earlier attempt of this process, of which it learned nothing.
	 */
	if (!state_equal(&now, &e->from) && !planted(PLANTED_RULE_M3))
		return state_reached(&now, &e->to)
			       ? -EALREADY
			       : error_set(err, -EAGAIN, "an earlier flush turned out to count");
	r = maintain_raise_low(e->ix, MAINTAIN_FLUSH, &e->writer, m, err);
	if (r < 0)
		return r;
	m->replay = e->to.replay;
	m->last_group = e->to.last_group;
	m->settled = e->to.settled;
	manifest_drop_ends(m);
	r = table_run_add(e->run, m, 0);
	return r < 0 ? error_set(err, r, "no memory for the manifest") : 0;
}

/* The first key of the inputs; empty when there is none. */
static int first_key(struct iter **inputs, size_t n, struct buf *ret, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = iter_seek(inputs[i], SLICE(NULL, 0), err);

		if (r < 0)
			return r;
		if (inputs[i]->valid && buf_append_slice(ret, inputs[i]->rec.key) < 0)
			return error_set(err, -ENOMEM, "no memory for a key");
		if (inputs[i]->valid)
			break;
	}
	return 0;
}

static bool has_tables(const struct manifest *m)
{
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		if (m->nlevel[level] > 0)
			return true;
	return false;
}

/* Writes what the inputs (taken) hold. */
static int write_inputs(struct index *ix, const struct manifest *base, struct iter **inputs,
	size_t n, struct table_run *run, struct error *err)
{
	CLEANUP(free_p) uint64_t *pins = NULL;
	struct merge_compact_options o = {.fold = ix->o.fold, .bottom = !has_tables(base)};
	struct table_run_source from = {.base = base, .below = 0};
	struct buf cover = BUF_INIT;
	int r = first_key(inputs, n, &cover, err);

	if (r == 0 && manifest_pinned_groups(base, &pins, &o.npins) < 0)
		r = error_set(err, -ENOMEM, "no memory for the pins");
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			iter_close(inputs[i]);
		buf_done(&cover);
		return r;
	}
	o.pins = from.pins = pins;
	from.npins = o.npins;
	from.cover = buf_slice(&cover);
	r = merge_compact_open(inputs, n, &o, &from.merge, err);
	if (r == 0) {
		r = table_run_write(ix, &from, run, err);
		merge_compact_close(from.merge);
	}
	buf_done(&cover);
	return r;
}

static int write_memtables(struct index *ix, struct index_version *v, uint64_t upto,
	struct table_run *run, struct error *err)
{
	CLEANUP(free_p) struct iter **inputs = NULL;
	size_t n = 0;
	int r = index_flush_inputs(ix, v, upto, &inputs, &n);

	if (r < 0)
		return error_set(err, r, "no memory to read the memtables");
	return n == 0 ? 0 : write_inputs(ix, v->manifest, inputs, n, run, err);
}

static int commit_flush(struct index *ix, struct flush_edit *e, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	const struct manifest_edit edit = {.apply = flush_apply, .arg = e};
	int r = manifest_commit(ix->o.store, ix->o.keys, &edit, &m, err);

	if (r < 0)
		return r;
	table_run_note(ix, e->run);
	atomic_fetch_add_explicit(&ix->flushes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&ix->flushed_bytes, e->run->bytes, memory_order_relaxed);
	return index_install(ix, m, err);
}

/* W6: whole memtables, and none with a group that is not acknowledged. */
static void assert_flushable(struct index *ix, const struct index_version *v, uint64_t upto)
{
	MUTEX_GUARD(&ix->lock);
	for (size_t i = 0; i < v->nmem; i++) {
		const struct index_memtable *im = v->mem[i];

		assert(im->high == 0 || im->low > upto || im->high <= upto);
		assert(im->high > upto || im->open == 0 || planted(PLANTED_FLUSH_UNACKED));
	}
}

/* One attempt, from the current version. */
static int flush_once(struct index *ix, const struct flush_edit *plan, struct error *err)
{
	struct index_version *v = index_version_get(ix);
	struct table_run run = {0};
	struct flush_edit e = *plan;
	int r = 0;

	e.from = state_of(v->manifest);
	e.to = state_raise(e.from, &plan->to);
	e.run = &run;
	if (!state_reached(&e.from, &e.to)) {
		assert_flushable(ix, v, e.to.last_group);
		if (e.to.last_group > e.from.last_group)
			r = write_memtables(ix, v, e.to.last_group, &run, err);
		if (r == 0)
			r = commit_flush(ix, &e, err);
	}
	table_run_done(&run);
	index_version_put(v);
	return r;
}

int index_flush(struct index *ix, uint64_t upto, struct log_place replay, uint64_t settled,
	struct error *err)
{
	struct flush_edit plan = {
		.ix = ix, .to = {.replay = replay, .last_group = upto, .settled = settled}};
	struct error why = {0};
	int r = maintain_writer(ix, &plan.writer, err);

	if (r < 0)
		return r;
	maintain_begin(ix, MAINTAIN_FLUSH);
	for (int i = 0; i < FLUSH_ATTEMPTS; i++) {
		r = flush_once(ix, &plan, &why);
		if (r != -EAGAIN)
			break;
		r = maintain_catch_up(ix, &why);
		if (r < 0)
			break;
		r = -EAGAIN;
	}
	maintain_end(ix, MAINTAIN_FLUSH);
	return r < 0 ? error_set(err, r, "%s", error_text(&why, r)) : 0;
}
