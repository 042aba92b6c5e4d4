/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Deletes what nobody needs: manifests below the newest (M5), claims below its epoch (T8), tables
 * (D4). Decides by one validated manifest and by names alone, so neither the order of LIST and
 * manifest read matters nor how late a DELETE comes. What a late copy of a PUT brings back is found
 * by a later sweep (D5).
 *
 * The pins of the manifest are groups, whose records the tables of the newest manifest hold: they
 * keep no retired table. Readers of this process do, for as long as they use one.
 */
#include "core/index/maintain_internal.h"

#include "core/base/hex.h"
#include "core/base/planted.h"
#include "core/index/index_internal.h"
#include "core/index/manifest_internal.h"

#include <stdlib.h>

#define TABLE_PREFIX "table/"
#define CLAIM_PREFIX "writer/"
#define HEARTBEAT_SUFFIX ".alive"
#define TRIM_RETIRED 64 /* entries of deleted tables that are worth a commit */

struct id_set {
	struct table_id *ids; /* sorted */
	size_t n;
};

struct sweep {
	struct index *ix;
	struct index_writer writer;
	struct manifest *m; /* validated */
	struct id_set live, retired;
	struct id_set listed; /* retired tables that are still there */
	unsigned max, deleted;
};

static int id_cmp(const void *a, const void *b)
{
	const struct table_id *x = a, *y = b;

	if (x->job != y->job)
		return x->job < y->job ? -1 : 1;
	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

static bool id_in(const struct id_set *s, struct table_id id)
{
	return s->n > 0 && bsearch(&id, s->ids, s->n, sizeof id, id_cmp) != NULL;
}

static int id_sets(struct sweep *s)
{
	const struct manifest *m = s->m;
	size_t n = 0;

	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		n += m->nlevel[level];
	s->live.ids = malloc((n + 1) * sizeof *s->live.ids);
	s->retired.ids = malloc((m->nretired + 1) * sizeof *s->retired.ids);
	s->listed.ids = malloc((m->nretired + 1) * sizeof *s->listed.ids);
	if (!s->live.ids || !s->retired.ids || !s->listed.ids)
		return -ENOMEM;
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < m->nlevel[level]; i++)
			s->live.ids[s->live.n++] = m->levels[level][i].id;
	for (size_t i = 0; i < m->nretired; i++)
		s->retired.ids[s->retired.n++] = m->retired[i].id;
	qsort(s->live.ids, s->live.n, sizeof *s->live.ids, id_cmp);
	qsort(s->retired.ids, s->retired.n, sizeof *s->retired.ids, id_cmp);
	return 0;
}

/* What follows the prefix; "" where it is another one. */
static const char *name_behind(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key, prefix, len) == 0 ? key + len : "";
}

static int delete_one(struct sweep *s, const char *key, struct error *err)
{
	int r = store_delete(s->ix->o.store, key, err);

	if (r == 0)
		s->deleted++;
	return r;
}

/* ---- manifests and claims ---- */

static bool old_manifest(const struct sweep *s, const char *key)
{
	uint64_t n;

	/* M5: below the validated one; never itself. */
	return manifest_key_parse(key, &n) && n < s->m->number;
}

static bool old_claim(const struct sweep *s, const char *key)
{
	const char *name = name_behind(key, CLAIM_PREFIX);
	size_t len = strlen(name);
	uint64_t epoch;

	if (len > HEX_U64_DIGITS && strcmp(name + HEX_U64_DIGITS, HEARTBEAT_SUFFIX) == 0)
		len = HEX_U64_DIGITS;
	/* T8: a stale process that makes one of these again finds a higher epoch in the manifest.
	 */
	return hex_decode_u64(name, len, &epoch) && epoch < s->m->epoch;
}

static int sweep_names(struct sweep *s, const char *prefix,
	bool (*garbage)(const struct sweep *s, const char *key), struct error *err)
{
	struct store_list names = {0};
	int r = store_list_all(s->ix->o.store, prefix, NULL, &names, err);

	for (size_t i = 0; r == 0 && i < names.n && s->deleted < s->max; i++)
		if (garbage(s, names.entries[i].key))
			r = delete_one(s, names.entries[i].key, err);
	store_list_done(&names);
	return r;
}

/* ---- tables ---- */

static bool table_key_parse(const char *key, struct table_id *ret)
{
	const char *name = name_behind(key, TABLE_PREFIX);

	return strlen(name) == 2 * HEX_U64_DIGITS &&
	       hex_decode_u64(name, HEX_U64_DIGITS, &ret->job) &&
	       hex_decode_u64(name + HEX_U64_DIGITS, HEX_U64_DIGITS, &ret->counter);
}

/* D4(b): its owner was given out, and will not make it live any more: closed, or past it (D3). */
static bool owner_is_done(const struct manifest *m, struct table_id id)
{
	const struct manifest_job *job = manifest_find_job(m, id.job);

	if (id.job == 0 || id.job >= m->next_job)
		return false;
	return !job || id.counter < job->low;
}

static bool table_is_garbage(const struct sweep *s, struct table_id id)
{
	if (id_in(&s->live, id))
		return false;
	if (planted(PLANTED_RULE_D4))
		return true;
	/* D4(a), or D4(b). */
	return id_in(&s->retired, id) || owner_is_done(s->m, id);
}

static int sweep_tables(struct sweep *s, struct error *err)
{
	struct store_list names = {0};
	int r = store_list_all(s->ix->o.store, TABLE_PREFIX, NULL, &names, err);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct table_id id;
		bool gone = false;

		if (!table_key_parse(names.entries[i].key, &id) || !table_is_garbage(s, id))
			continue;
		if (s->deleted < s->max && !table_pool_uses(s->ix->pool, id)) {
			r = delete_one(s, names.entries[i].key, err);
			gone = r == 0;
		}
		/* Names come sorted, so this stays sorted. */
		if (!gone && id_in(&s->retired, id) && s->listed.n < s->retired.n)
			s->listed.ids[s->listed.n++] = id;
	}
	store_list_done(&names);
	return r;
}

/* ---- the list of retired tables ---- */

/*
 * An entry may go when its table has, and when D4(b) would find a late copy of it. Compares with
 * the job as the newest manifest has it, never with the one that was swept by.
 */
static bool may_forget(
	const struct sweep *s, const struct manifest *m, const struct manifest_retired *r)
{
	return id_in(&s->retired, r->id) && !id_in(&s->listed, r->id) && owner_is_done(m, r->id);
}

static size_t count_forgettable(const struct sweep *s, const struct manifest *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nretired; i++)
		n += may_forget(s, m, &m->retired[i]);
	return n;
}

static int trim_apply(void *arg, struct manifest *m, struct error *err)
{
	const struct sweep *s = arg;
	size_t kept = 0;
	int r = maintain_check_owner(&s->writer, m, err);

	if (r < 0)
		return r;
	if (count_forgettable(s, m) == 0) /* M3 */
		return -EALREADY;
	for (size_t i = 0; i < m->nretired; i++)
		if (!may_forget(s, m, &m->retired[i]))
			m->retired[kept++] = m->retired[i];
	m->nretired = kept;
	return 0;
}

static int trim_retired(struct sweep *s, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	const struct manifest_edit edit = {.apply = trim_apply, .arg = s};
	int r;

	if (count_forgettable(s, s->m) < TRIM_RETIRED)
		return 0;
	r = manifest_commit(s->ix->o.store, s->ix->o.keys, &edit, &m, err);
	return r < 0 ? r : index_install(s->ix, m, err);
}

static int sweep_all(struct sweep *s, struct error *err)
{
	int r = manifest_read(s->ix->o.store, s->ix->o.keys, &s->m, err);

	if (r == 0)
		r = maintain_check_owner(
			&s->writer, s->m, err); /* W5: a fenced writer deletes nothing */
	if (r == 0 && id_sets(s) < 0)
		r = error_set(err, -ENOMEM, "no memory for the names of tables");
	if (r == 0)
		r = sweep_names(s, MANIFEST_PREFIX, old_manifest, err);
	if (r == 0)
		r = sweep_names(s, CLAIM_PREFIX, old_claim, err);
	if (r == 0)
		r = sweep_tables(s, err);
	return r < 0 ? r : trim_retired(s, err);
}

int index_sweep(struct index *ix, unsigned max, struct error *err)
{
	struct sweep s = {.ix = ix, .max = max};
	int r = maintain_writer(ix, &s.writer, err);

	if (r == 0)
		r = sweep_all(&s, err);
	manifest_unref(s.m);
	free(s.live.ids);
	free(s.retired.ids);
	free(s.listed.ids);
	return r < 0 ? r : (int)s.deleted;
}
