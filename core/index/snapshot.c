/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/index/snapshot.h"

#include "core/index/index_internal.h"

#include <stdlib.h>

struct index_snapshot {
	struct index *ix;
	struct index_version *version; /* reference */
};

struct index_snapshot *index_snapshot_take(struct index *ix)
{
	struct index_snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ix = ix;
	s->version = index_version_get(ix);
	return s;
}

void index_snapshot_release(struct index_snapshot *s)
{
	if (!s)
		return;
	index_version_put(s->version);
	free(s);
}

const struct manifest *index_snapshot_manifest(const struct index_snapshot *s)
{
	return s->version->manifest;
}

static struct index_version *version_of(struct index_snapshot *s)
{
	refcount_ref(&s->version->refs);
	return s->version;
}

int index_snapshot_scan(struct index_snapshot *s, const struct index_fold *fold, uint64_t view,
	struct slice first, struct slice end, struct index_scan **ret, struct error *err)
{
	return index_scan_version(
		s->ix, version_of(s), fold, view, first, end, TABLE_BULK, ret, err);
}

int index_snapshot_versions(struct index_snapshot *s, struct slice first, struct slice end,
	struct index_scan **ret, struct error *err)
{
	return index_scan_version_stored(s->ix, version_of(s), first, end, false, ret, err);
}

int index_snapshot_unsettled(
	struct index_snapshot *s, uint64_t settled, struct segment_refs *out, struct error *err)
{
	return index_version_unsettled(s->ix, s->version, settled, out, err);
}

static int read_table(struct table *t, struct error *err)
{
	struct iter *it = NULL;
	int r = table_iter_new(t, SLICE(NULL, 0), TABLE_BULK, &it);

	if (r < 0)
		return error_set(err, r, "no memory to read a table");
	r = iter_seek(it, SLICE(NULL, 0), err);
	while (r == 0 && it->valid)
		r = iter_next(it, err);
	iter_close(it);
	return r;
}

int index_snapshot_read_tables(struct index_snapshot *s,
	void (*bad)(void *arg, const char *key, int r, const char *why), void *arg,
	struct error *err)
{
	const struct index_version *v = s->version;

	for (unsigned level = 0; level < MANIFEST_LEVELS; level++)
		for (size_t i = 0; i < v->manifest->nlevel[level]; i++) {
			struct error why = {0};
			char key[TABLE_KEY_BYTES];
			int r = read_table(v->levels[level][i], &why);

			table_key(v->manifest->levels[level][i].id, key);
			if (r == -EBADMSG || r == -ENOENT)
				bad(arg, key, r, error_text(&why, r));
			else if (r < 0)
				return error_set(err, r, "%s", error_text(&why, r));
		}
	return 0;
}
