/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: jobs and pins of the manifest. Everything else that a manifest must be is checked whenever
 * one is read. */
#include "core/vfs/check_internal.h"

#include <stdio.h>

typedef unsigned long long ull;

static void check_jobs(struct check *c, const struct manifest *m, const char *key)
{
	for (size_t i = 0; i < m->njobs; i++) {
		const struct manifest_job *j = &m->jobs[i];

		/* A take-over closes the jobs of the writers before it (D3). */
		if (j->writer && j->epoch != m->epoch)
			check_tell_object(c, CHECK_JOB, 0, key,
				"job %llu belongs to the writer of epoch %llu, but the volume is in epoch %llu",
				(ull)j->id, (ull)j->epoch, (ull)m->epoch);
		else if (!j->writer && j->epoch > m->epoch)
			check_tell_object(c, CHECK_JOB, 0, key,
				"job %llu was registered in epoch %llu, which has not begun",
				(ull)j->id, (ull)j->epoch);
	}
}

static bool pin_repeated(const struct manifest *m, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (m->pins[k].id == m->pins[i].id)
			return true;
	return false;
}

static void check_pins(struct check *c, const struct manifest *m, const char *key)
{
	for (size_t i = 0; i < m->npins; i++) {
		const struct manifest_pin *p = &m->pins[i];

		/* Each pin is added by an edit that raises the generation. */
		if (m->pin_generation == 0)
			check_tell_object(c, CHECK_PIN, 0, key,
				"pin %llu of group %llu, but nobody has ever pinned a group",
				(ull)p->id, (ull)p->group);
		else if (!p->name[0])
			check_tell_object(c, CHECK_PIN, 0, key,
				"pin %llu of group %llu has no name", (ull)p->id, (ull)p->group);
		else if (pin_repeated(m, i))
			check_tell_object(
				c, CHECK_PIN, 0, key, "pin %llu is there twice", (ull)p->id);
	}
}

void check_manifest(struct check *c)
{
	const struct manifest *m = index_snapshot_manifest(c->snapshot);
	char key[64];

	(void)snprintf(key, sizeof(key), "manifest/%016llx", (ull)m->number); /* fits */
	check_jobs(c, m, key);
	check_pins(c, m, key);
}
