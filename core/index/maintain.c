/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What flush, merge and sweep share. Table numbers: the writer's job gives out counters that never
 * go back within the process, and a new process has a new job (D1), so no key is created twice
 * (S3). The job's low mark in the manifest (D3) rises with every edit to the lowest counter that
 * may still be on its way; tables below it that are not live are garbage, however late they land.
 */
#include "core/index/maintain_internal.h"

#include "core/base/planted.h"
#include "core/index/index_internal.h"
#include "core/index/manifest_internal.h"

#include <assert.h>

void index_set_writer(struct index *ix, const struct index_writer *w)
{
	MUTEX_GUARD(&ix->lock);
	assert(w->epoch > 0 && w->job > 0);
	if (ix->writer.job != w->job) {
		assert(!ix->maintain.busy[MAINTAIN_FLUSH] && !ix->maintain.busy[MAINTAIN_MERGE]);
		ix->next_counter = 0;
	}
	ix->writer = *w;
}

int maintain_writer(struct index *ix, struct index_writer *ret, struct error *err)
{
	struct index_writer w;

	mutex_lock(&ix->lock);
	w = ix->writer;
	mutex_unlock(&ix->lock);
	if (w.epoch == 0)
		return error_set(err, -EINVAL, "only the writer changes tables");
	*ret = w;
	return 0;
}

void maintain_begin(struct index *ix, enum maintain_task task)
{
	MUTEX_GUARD(&ix->lock);
	assert(ix->maintain.busy[task] == 0);
	ix->maintain.busy[task] = ix->next_counter + 1;
}

void maintain_end(struct index *ix, enum maintain_task task)
{
	MUTEX_GUARD(&ix->lock);
	assert(ix->maintain.busy[task] != 0);
	ix->maintain.busy[task] = 0;
}

struct table_id maintain_next_id(struct index *ix)
{
	MUTEX_GUARD(&ix->lock);
	return (struct table_id){.job = ix->writer.job, .counter = ix->next_counter++};
}

uint64_t maintain_low(struct index *ix, enum maintain_task task)
{
	MUTEX_GUARD(&ix->lock);
	uint64_t low = ix->next_counter;

	for (int i = 0; i < MAINTAIN_TASKS; i++) {
		uint64_t busy = ix->maintain.busy[i];

		if (i != (int)task && busy != 0 && busy - 1 < low)
			low = busy - 1;
	}
	return low;
}

int maintain_raise_low(struct index *ix, enum maintain_task task, const struct index_writer *w,
	struct manifest *m, struct error *err)
{
	struct manifest_job *job = manifest_find_job(m, w->job);
	uint64_t low;

	/* D2, D3: of a closed job nothing may become live, for it may be deleted already. */
	if (!job && (planted(PLANTED_RULE_D2) || planted(PLANTED_RULE_W6)))
		return 0;
	if (!job)
		return error_set(err, -ESTALE, "somebody closed this writer's job");
	low = maintain_low(ix, task);
	if (low > job->low)
		job->low = low;
	return 0;
}

int maintain_check_owner(const struct index_writer *w, const struct manifest *m, struct error *err)
{
	if (m->epoch != w->epoch || memcmp(m->term, w->term, sizeof m->term) != 0)
		return error_set(err, -ESTALE, "another writer (epoch %llu) has taken over",
			(unsigned long long)m->epoch);
	return 0;
}

void maintain_add_note(struct index *ix, const struct table_note *note)
{
	MUTEX_GUARD(&ix->lock);
	ix->maintain.notes[ix->maintain.next_note] = *note;
	ix->maintain.next_note = (ix->maintain.next_note + 1) % MAINTAIN_NOTES;
}

bool maintain_note(struct index *ix, struct table_id id, struct table_note *ret)
{
	MUTEX_GUARD(&ix->lock);
	for (int i = 0; i < MAINTAIN_NOTES; i++) {
		const struct table_note *n = &ix->maintain.notes[i];

		if (n->id.job == id.job && n->id.counter == id.counter && n->id.job != 0) {
			*ret = *n;
			return true;
		}
	}
	return false;
}

int manifest_pinned_groups(const struct manifest *m, uint64_t **ret, size_t *ret_n)
{
	uint64_t *groups = malloc((m->npins + 1) * sizeof *groups);
	size_t n = 0;

	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < m->npins; i++)
		if (n == 0 || m->pins[i].group != groups[n - 1])
			groups[n++] = m->pins[i].group;
	*ret = groups;
	*ret_n = n;
	return 0;
}

int index_adopt(struct index *ix, struct manifest *m, struct error *err)
{
	return index_install(ix, m, err);
}

int maintain_catch_up(struct index *ix, struct error *err)
{
	CLEANUP(manifest_unref_p) struct manifest *m = NULL;
	int r = manifest_read(ix->o.store, ix->o.keys, &m, err);

	return r < 0 ? r : index_install(ix, m, err);
}

int index_version_unsettled(struct index *ix, const struct index_version *v, uint64_t settled,
	struct segment_refs *out, struct error *err)
{
	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < v->manifest->nlevel[level]; i++) {
			int r;

			if (v->manifest->levels[level][i].added <= settled)
				continue;
			r = index_gone(ix, table_dropped(v->levels[level][i], out, err), err);
			if (r < 0)
				return r;
		}
	return 0;
}

int index_unsettled(struct index *ix, uint64_t settled, struct segment_refs *out,
	uint64_t *ret_number, struct error *err)
{
	struct index_version *v = index_version_get(ix);
	struct segment_refs sum = {0};
	uint64_t number = v->manifest->number;
	int r = index_version_unsettled(ix, v, settled, &sum, err);

	if (r == 0 && out->n == 0) { /* taken over as it is, so that it cannot fail half-way */
		segment_refs_done(out);
		*out = sum;
		sum = (struct segment_refs){0};
	} else if (r == 0) {
		r = segment_refs_merge(out, &sum, 1);
		if (r < 0)
			(void)error_set(err, r, "no memory for dropped references"); /* r counts */
	}
	segment_refs_done(&sum);
	index_version_put(v);
	if (r < 0)
		return r;
	*ret_number = number;
	return 0;
}

void index_forget_memtables(struct index *ix, uint64_t upto_group)
{
	index_drop_memtables(ix, upto_group);
}
