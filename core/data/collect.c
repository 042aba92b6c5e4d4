/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * D7: a segment is retired only if it lies below the replay start of the newest manifest and no
 * record version refers to it, in the tables of that manifest or in a group that is not in them
 * yet. At or above the replay start even an empty segment is needed for its journal. Views of
 * pinned groups read the same record versions, so the scan covers them.
 *
 * D8: what lies above the recorded end of an epoch was never acknowledged and is garbage at once.
 * Fences are never deleted (T8); their size tells them apart.
 *
 * A segment's record goes before its object: a crash between the two leaves an object without
 * record, which the next round finds; and so are late copies of a PUT found that re-create what was
 * deleted (D5).
 */
#include "core/data/collect.h"

#include "core/base/planted.h"
#include "core/log/segment_format.h"

#include <stdlib.h>

#define BATCH 64 /* records deleted under one group */

struct candidate {
	struct log_place place;
	uint64_t size;
	bool recorded;	 /* it has a segment record */
	bool referenced; /* the scan found it in use */
};

struct round {
	const struct collect_options *o;
	struct manifest *manifest;
	struct candidate *list; /* rising */
	size_t n, cap;
	uint64_t bytes;
};

/* Whether nothing can need the object at `place` but extents. */
static bool below_replay(const struct round *c, struct log_place place)
{
	uint64_t end;

	if (planted(PLANTED_RULE_D7))
		return true;
	if (log_place_cmp(place, c->manifest->replay) < 0)
		return true;
	return place.epoch < c->manifest->epoch && manifest_end(c->manifest, place.epoch, &end) &&
	       place.sequence > end;
}

/* *ret_dead: by its record no version refers to it; a segment without record is none of the
 * index's. */
static int look_up(const struct round *c, struct log_place place, bool *ret_dead,
	bool *ret_recorded, struct error *err)
{
	struct key key = key_segment(place.epoch, place.sequence);
	struct buf value = BUF_INIT;
	struct segment_record record = {0};
	int r = index_get(c->o->index, GROUP_NOW, key_slice(&key), 0, &value, NULL, err);

	*ret_recorded = r == 0;
	if (r == 0)
		r = segment_record_decode(buf_slice(&value), &record);
	buf_done(&value);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_dead = !*ret_recorded || record.live <= 0;
	return 0;
}

static int add_candidate(struct round *c, struct log_place place, uint64_t size, bool recorded)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct candidate *more = reallocarray(c->list, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->list = more;
		c->cap = cap;
	}
	c->list[c->n++] = (struct candidate){.place = place, .size = size, .recorded = recorded};
	c->bytes += size;
	return 0;
}

static int find_candidates(struct round *c, struct error *err)
{
	struct store_list list = {0};
	int r = store_list_all(c->o->store, "log/", NULL, &list, err);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		struct log_place place;
		bool dead = false, recorded = false;

		if (!log_key_parse(list.entries[i].key, &place.epoch, &place.sequence) ||
			list.entries[i].size <= FENCE_BYTES || !below_replay(c, place))
			continue;
		r = look_up(c, place, &dead, &recorded, err);
		if (r == 0 && dead)
			r = add_candidate(c, place, list.entries[i].size, recorded);
	}
	store_list_done(&list);
	return r;
}

static struct candidate *find(struct round *c, uint64_t epoch, uint64_t sequence)
{
	const struct log_place place = {.epoch = epoch, .sequence = sequence};
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = log_place_cmp(c->list[mid].place, place);

		if (cmp == 0)
			return &c->list[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int mark(struct round *c, const struct record *record)
{
	struct segment_refs refs = {0};
	int r = data_fold.references(record, 1, &refs);

	for (size_t i = 0; r == 0 && i < refs.n; i++) {
		struct candidate *found = find(c, refs.refs[i].epoch, refs.refs[i].sequence);

		if (found)
			found->referenced = true;
	}
	segment_refs_done(&refs);
	return r;
}

/* Every stored version of every record, those of groups that are not in the tables included. */
static int scan(struct round *c, struct error *err)
{
	struct index_scan *s = NULL;
	struct record record;
	int r;

	if (planted(PLANTED_RULE_D7))
		return 0;
	r = index_scan_versions(c->o->index, SLICE(NULL, 0), SLICE(NULL, 0), &s, err);
	while (r == 0) {
		r = index_scan_next(s, &record, err);
		if (r <= 0)
			break;
		r = mark(c, &record);
	}
	index_scan_close(s);
	return r;
}

/* Removes the records of a batch, durably: else a crash would leave records of segments that are
 * gone. */
static int forget_records(
	const struct round *c, const struct candidate *list, size_t n, struct error *err)
{
	size_t bytes = 0, records = 0;
	struct group *g = group_join(c->o->log);
	uint64_t number = g->number;

	for (size_t i = 0; i < n; i++)
		if (list[i].recorded && !list[i].referenced) {
			bytes += key_segment(0, 0).len;
			records++;
		}
	int r = records ? index_reserve(group_records(g), bytes, records) : 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (list[i].recorded && !list[i].referenced) {
			struct key key = key_segment(list[i].place.epoch, list[i].place.sequence);

			index_delete(group_records(g), key_slice(&key));
		}
	group_leave(g, r == 0 && records > 0);
	if (r < 0)
		return error_set(err, r, "no memory to retire segments");
	return records ? log_wait(c->o->log, number, err) : 0;
}

static int delete_batch(const struct round *c, const struct candidate *list, size_t n, int *deleted,
	struct error *err)
{
	int r = forget_records(c, list, n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		char key[64];

		if (list[i].referenced)
			continue;
		if (log_fenced(c->o->log)) /* W5 */
			return error_set(err, -ESTALE, "another writer has taken over");
		log_key(key, list[i].place.epoch, list[i].place.sequence);
		r = store_delete(c->o->store, key, err);
		if (r < 0)
			return r;
		++*deleted;
	}
	return 0;
}

/* The round works on the newest manifest, validated, and only while the index has just this one. */
static int begin(struct round *c, bool *ret_go, struct error *err)
{
	int r = manifest_read(c->o->store, c->o->keys, &c->manifest, err);

	if (r < 0)
		return r;
	if (c->manifest->epoch > c->o->epoch)
		return error_set(err, -ESTALE, "another writer has taken over");

	struct manifest *mine = index_manifest(c->o->index);

	*ret_go = mine->number == c->manifest->number;
	manifest_unref(mine);
	return 0;
}

static bool worth_a_scan(const struct round *c)
{
	return c->n > 0 && (c->n >= c->o->min_segments || c->bytes >= c->o->min_bytes);
}

int collect_segments(const struct collect_options *o, struct error *err)
{
	struct round c = {.o = o};
	bool go = false;
	int deleted = 0, r = begin(&c, &go, err);

	if (r == 0 && go)
		r = find_candidates(&c, err);
	if (r == 0 && worth_a_scan(&c)) {
		r = scan(&c, err);
		for (size_t i = 0; r == 0 && i < c.n; i += BATCH)
			r = delete_batch(
				&c, c.list + i, c.n - i < BATCH ? c.n - i : BATCH, &deleted, err);
	}
	free(c.list);
	if (c.manifest)
		manifest_unref(c.manifest);
	return r < 0 ? r : deleted;
}
