/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Versions: what readers hold while flush, merge and new memtables change what is current. */
#include "core/index/index_internal.h"

#include "core/base/map.h"

#include <assert.h>
#include <stdlib.h>

#define MEMORY_WAIT_MS 10

/* ---- memtables of the index ---- */

static void index_memtable_unref(struct index_memtable *im)
{
	if (!im || !refcount_unref(&im->refs))
		return;
	memtable_unref(im->table);
	free(im);
}

static struct index_memtable *index_memtable_new(struct index *ix)
{
	struct index_memtable *im = calloc(1, sizeof(*im));

	if (!im)
		return NULL;
	refcount_init(&im->refs);
	im->table = memtable_new(ix->o.budget);
	if (!im->table) {
		free(im);
		return NULL;
	}
	return im;
}

/* ---- tables ---- */

static void index_tables_unref(struct index_tables *t)
{
	if (!t || !refcount_unref(&t->refs))
		return;
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++) {
		for (size_t i = 0; t->levels[level] && i < t->manifest->nlevel[level]; i++)
			table_unref(t->levels[level][i]);
		free(t->levels[level]);
	}
	manifest_unref(t->manifest);
	free(t);
}

static uint64_t id_hash(struct table_id id)
{
	return id.job * 0x9e3779b97f4a7c15ull ^ id.counter;
}

static bool id_eq(struct table_id a, struct table_id b)
{
	return a.job == b.job && a.counter == b.counter;
}

/* Handles that exist, by a hash of their ids. One that is missed here is only opened once more. */
static int index_handles(const struct index_tables *t, struct map *ret)
{
	for (unsigned level = 0; t && level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < t->manifest->nlevel[level]; i++) {
			struct table *h = t->levels[level][i];

			if (map_insert(ret, id_hash(table_meta(h)->id), h) == -ENOMEM)
				return -ENOMEM;
		}
	return 0;
}

static struct table *handle_for(
	struct index *ix, const struct map *known, const struct table_meta *meta)
{
	struct table *h = map_find(known, id_hash(meta->id));

	if (h && id_eq(table_meta(h)->id, meta->id))
		return table_ref(h);
	return table_new(ix->pool, meta);
}

static int fill_tables(struct index *ix, const struct map *known, struct index_tables *t)
{
	const struct manifest *m = t->manifest;

	for (unsigned level = 0; level < MANIFEST_LEVELS; level++) {
		t->levels[level] = calloc(m->nlevel[level] + 1, sizeof(struct table *));
		if (!t->levels[level])
			return -ENOMEM;
		for (size_t i = 0; i < m->nlevel[level]; i++) {
			t->levels[level][i] = handle_for(ix, known, &m->levels[level][i]);
			if (!t->levels[level][i])
				return -ENOMEM;
		}
	}
	return 0;
}

static struct index_tables *index_tables_new(
	struct index *ix, struct manifest *m, const struct index_tables *former)
{
	struct index_tables *t = calloc(1, sizeof(*t));
	struct map known = MAP_INIT;
	int r;

	if (!t)
		return NULL;
	refcount_init(&t->refs);
	t->manifest = manifest_ref(m);
	r = index_handles(former, &known);
	if (r == 0)
		r = fill_tables(ix, &known, t);
	map_done(&known);
	if (r < 0) {
		index_tables_unref(t);
		return NULL;
	}
	return t;
}

/* ---- versions ---- */

/* Takes a reference to `t`; room for `nmem` memtables. */
static struct index_version *version_new(struct index_tables *t, size_t nmem)
{
	struct index_version *v = calloc(1, sizeof(*v) + nmem * sizeof(v->mem[0]));

	if (!v)
		return NULL;
	refcount_init(&v->refs);
	refcount_ref(&t->refs);
	v->tables = t;
	v->manifest = t->manifest;
	memcpy(v->levels, t->levels, sizeof(v->levels));
	return v;
}

static void add_memtable(struct index_version *v, struct index_memtable *im)
{
	refcount_ref(&im->refs);
	v->mem[v->nmem++] = im;
}

struct index_version *index_version_get(struct index *ix)
{
	struct index_version *v;

	mutex_lock(&ix->lock);
	v = ix->current;
	refcount_ref(&v->refs);
	mutex_unlock(&ix->lock);
	return v;
}

void index_version_put(struct index_version *v)
{
	if (!v || !refcount_unref(&v->refs))
		return;
	for (size_t i = 0; i < v->nmem; i++)
		index_memtable_unref(v->mem[i]);
	index_tables_unref(v->tables);
	free(v);
}

struct table *index_version_table(const struct index_version *v, struct table_id id)
{
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < v->manifest->nlevel[level]; i++)
			if (id_eq(table_meta(v->levels[level][i])->id, id))
				return v->levels[level][i];
	return NULL;
}

/* Makes `v` current; returns the former one for index_version_put without the lock. */
static struct index_version *exchange_locked(struct index *ix, struct index_version *v)
{
	struct index_version *former = ix->current;

	mutex_assert_held(&ix->lock);
	ix->current = v;
	cond_broadcast(&ix->changed);
	return former;
}

int index_new_memtable_locked(struct index *ix)
{
	struct index_version *cur = ix->current, *v = version_new(cur->tables, cur->nmem + 1);
	struct index_memtable *im = index_memtable_new(ix);

	mutex_assert_held(&ix->lock);
	if (!v || !im) {
		index_version_put(v);
		index_memtable_unref(im);
		return -ENOMEM;
	}
	add_memtable(v, im);
	for (size_t i = 0; i < cur->nmem; i++)
		add_memtable(v, cur->mem[i]);
	index_memtable_unref(im); /* the version has its own */
	if (ix->active)
		ix->active->closed = true;
	ix->active = im;
	/* The former version goes, but not its memtables, so this frees little. */
	index_version_put(exchange_locked(ix, v));
	return 0;
}

/* All of its groups are acknowledged and in the tables. */
static bool is_flushed(const struct index_memtable *im, const struct manifest *m)
{
	return im->open == 0 && im->high <= m->last_group;
}

/* A version of `t` with the memtables that are still needed. */
static int install_locked(
	struct index *ix, struct index_tables *t, struct index_version **ret_former)
{
	struct index_version *cur = ix->current, *v = version_new(t, cur->nmem);

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < cur->nmem; i++) {
		struct index_memtable *im = cur->mem[i];

		if (!is_flushed(im, t->manifest)) {
			add_memtable(v, im);
			continue;
		}
		im->closed = true;
		if (ix->active == im)
			ix->active = NULL;
	}
	*ret_former = exchange_locked(ix, v);
	return 0;
}

int index_first_version(struct index *ix, struct manifest *m)
{
	struct index_tables *t = index_tables_new(ix, m, NULL);

	ix->current = t ? version_new(t, 0) : NULL;
	index_tables_unref(t);
	return ix->current ? 0 : -ENOMEM;
}

int index_install(struct index *ix, struct manifest *m, struct error *err)
{
	struct index_version *base = index_version_get(ix), *former = NULL;
	struct index_tables *t = NULL;
	int r = 0;

	if (m->number > base->manifest->number) {
		t = index_tables_new(ix, m, base->tables);
		r = t ? 0 : -ENOMEM;
	}
	mutex_lock(&ix->lock);
	/* Flush and merge may install at the same time: the higher number stays. */
	if (t && m->number > ix->current->manifest->number)
		r = install_locked(ix, t, &former);
	mutex_unlock(&ix->lock);
	index_tables_unref(t);
	index_version_put(former);
	index_version_put(base);
	return r < 0 ? error_set(
			       err, r, "no memory for manifest %llu", (unsigned long long)m->number)
		     : 0;
}

/* A version without memtables of the tables that are current when it is made. */
static struct index_version *bare_version_locked(struct index *ix)
{
	struct index_version *v;

	while (!(v = version_new(ix->current->tables, 0))) {
		mutex_unlock(&ix->lock);
		env_sleep_ms(MEMORY_WAIT_MS);
		mutex_lock(&ix->lock);
	}
	return v;
}

void index_drop_memtables(struct index *ix, uint64_t upto)
{
	struct index_version *v, *former;

	mutex_lock(&ix->lock);
	assert(ix->unsealed == 0);
	v = bare_version_locked(ix);
	for (size_t i = 0; i < ix->current->nmem; i++)
		ix->current->mem[i]->closed = true;
	ix->active = NULL;
	ix->last_begun = upto;
	former = exchange_locked(ix, v);
	mutex_unlock(&ix->lock);
	index_version_put(former);
}

int index_flush_inputs(
	struct index *ix, struct index_version *v, uint64_t upto, struct iter ***ret, size_t *ret_n)
{
	struct iter **inputs = calloc(v->nmem + 1, sizeof(struct iter *));
	size_t n = 0;
	int r = inputs ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < v->nmem; i++) {
		uint64_t high;

		mutex_lock(&ix->lock);
		high = v->mem[i]->high;
		mutex_unlock(&ix->lock);
		if (high > upto)
			continue;
		r = memtable_iter_new(v->mem[i]->table, v->manifest->last_group, true, &inputs[n]);
		n += r == 0;
	}
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			iter_close(inputs[i]);
		free(inputs);
		return r;
	}
	*ret = inputs;
	*ret_n = n;
	return 0;
}
