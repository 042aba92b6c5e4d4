/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the records that survive a flush or merge to stored tables. A new table begins where the one
 * before has its target size, between two user keys, so that all versions of a key are in one table
 * of a level. Every table has an id that was never used (S3, D1); a failed upload is not repeated
 * under the same one.
 */
#include "core/index/maintain_internal.h"

#include "core/base/planted.h"
#include "core/index/index_internal.h"

#include <stdlib.h>

/* From here on a table's range deletes alone are a reason to merge it. */
#define HEAVY_RANGES 32u
#define HEAVY_SHARE 8u
/* The same of deletes, where they are half of what a table holds: readers of a range step over each
 * of them, and over what it hides. */
#define HEAVY_DELETES 4096u

struct run_state {
	struct index *ix;
	const struct table_run_source *from;
	struct table_writer_options options;
	struct table_run *run;
	struct table_writer *writer;	   /* NULL before the first record */
	struct table_id id;		   /* of what is being written */
	struct buf last;		   /* user key of the record before */
	uint64_t records, ranges, deletes; /* of the table being written */
	bool hides;			   /* a range delete covers a whole table below */
};

void table_run_done(struct table_run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		buf_done(&run->tables[i].first);
		buf_done(&run->tables[i].last);
	}
	free(run->tables);
	free(run->notes);
	*run = (struct table_run){0};
}

static int run_reserve(struct table_run *run)
{
	size_t cap = run->cap ? 2 * run->cap : 8;
	struct table_meta *tables;
	struct table_note *notes;

	if (run->n < run->cap)
		return 0;
	tables = realloc(run->tables, cap * sizeof *tables);
	if (!tables)
		return -ENOMEM;
	run->tables = tables;
	notes = realloc(run->notes, cap * sizeof *notes);
	if (!notes)
		return -ENOMEM;
	run->notes = notes;
	run->cap = cap;
	return 0;
}

/* Whether a range delete hides all of some table in the levels below. */
static bool hides_table(const struct table_run_source *from, const struct record *r)
{
	for (unsigned level = from->below; level < MANIFEST_LEVELS; level++) {
		const struct table_meta *t = from->base->levels[level];
		size_t low = 0, high = from->base->nlevel[level];

		if (level == 0)
			continue;
		while (low < high) {
			size_t mid = low + (high - low) / 2;

			if (slice_cmp(buf_slice(&t[mid].first), r->key) < 0)
				low = mid + 1;
			else
				high = mid;
		}
		if (low < from->base->nlevel[level] &&
			slice_cmp(buf_slice(&t[low].last), r->value) <= 0)
			return true;
	}
	return false;
}

/* Stores the table that is being written, and what was dropped since the one before. */
static int finish_table(struct run_state *s, struct error *err)
{
	struct table_run *run = s->run;
	struct segment_refs dropped = {0};
	struct error why = {0};
	int r = run_reserve(run);

	if (r < 0)
		return error_set(err, r, "no memory for the list of tables");
	merge_compact_take_dropped(s->from->merge, &dropped);
	r = table_writer_finish(s->writer, planted(PLANTED_FORGET_DEBIT) ? NULL : &dropped,
		&run->tables[run->n], &why);
	if (r == 0) {
		run->notes[run->n] = (struct table_note){.id = s->id,
			.drops = dropped.n > 0,
			.heavy = s->hides || (s->ranges >= HEAVY_RANGES &&
						     s->ranges * HEAVY_SHARE >= s->records),
			.deletes = s->deletes >= HEAVY_DELETES && s->deletes * 2 >= s->records};
		run->bytes += run->tables[run->n].size;
		run->n++;
		s->records = s->ranges = s->deletes = 0;
		s->hides = false;
	} else {
		/* "Exists, and then gone" is no change of inputs: the next attempt has other ids.
		 */
		r = error_set(
			err, r == -EAGAIN ? -EIO : r, "storing a table: %s", error_text(&why, r));
	}
	segment_refs_done(&dropped);
	return r;
}

static int begin_table(struct run_state *s, struct table_writer **ret, struct error *err)
{
	s->id = maintain_next_id(s->ix);
	return table_writer_new(&s->options, s->id, s->writer, ret, err);
}

/* The next table begins at user key `at`. */
static int roll(struct run_state *s, struct slice at, struct error *err)
{
	struct table_id done = s->id;
	struct table_writer *next = NULL;
	int r = begin_table(s, &next, err);

	if (r < 0)
		return r;
	r = table_writer_split(s->writer, at, next);
	if (r < 0)
		r = error_set(err, r, "no memory for the next table");
	if (r == 0) {
		struct table_id begun = s->id;

		s->id = done;
		r = finish_table(s, err);
		s->id = begun;
	}
	if (r < 0) {
		table_writer_free(next);
		return r;
	}
	table_writer_free(s->writer);
	s->writer = next;
	return 0;
}

static int write_record(struct run_state *s, const struct record *rec, struct error *err)
{
	int r = 0;

	if (!s->writer)
		r = begin_table(s, &s->writer, err);
	else if (table_writer_full(s->writer) && !slice_eq(rec->key, buf_slice(&s->last)))
		r = roll(s, rec->key, err);
	if (r < 0)
		return r;
	r = table_writer_add(s->writer, rec, err);
	if (r < 0)
		return r;
	s->records++;
	s->deletes += rec->op == RECORD_DELETE;
	if (rec->op == RECORD_RANGE) {
		s->ranges++;
		s->hides = s->hides || hides_table(s->from, rec);
	}
	buf_clear(&s->last);
	if (buf_append_slice(&s->last, rec->key) < 0)
		return error_set(err, -ENOMEM, "no memory for a key");
	return 0;
}

/* Nothing survived, or nothing but the account of what did not: that must be stored in a table all
 * the same. */
static int write_account(struct run_state *s, struct error *err)
{
	struct segment_refs dropped = {0};
	int r = 0;

	merge_compact_take_dropped(s->from->merge, &dropped);
	if (dropped.n > 0 && !planted(PLANTED_FORGET_DEBIT)) {
		r = run_reserve(s->run);
		if (r < 0)
			r = error_set(err, r, "no memory for the list of tables");
		if (r == 0 && !s->writer)
			r = begin_table(s, &s->writer, err);
		if (r == 0 && table_writer_cover(s->writer, s->from->cover) < 0)
			r = error_set(err, -ENOMEM, "no memory for a key");
		if (r == 0)
			r = table_writer_finish(
				s->writer, &dropped, &s->run->tables[s->run->n], err);
		if (r == 0) {
			s->run->notes[s->run->n] = (struct table_note){.id = s->id, .drops = true};
			s->run->bytes += s->run->tables[s->run->n].size;
			s->run->n++;
		}
	}
	segment_refs_done(&dropped);
	return r;
}

int table_run_write(struct index *ix, const struct table_run_source *from, struct table_run *run,
	struct error *err)
{
	struct run_state s = {.ix = ix,
		.from = from,
		.options = index_writer_options(ix, from->pins, from->npins),
		.run = run};
	struct record rec;
	int r;

	while ((r = merge_compact_next(from->merge, &rec, err)) == 1) {
		r = write_record(&s, &rec, err);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = s.writer && !table_writer_empty(s.writer) ? finish_table(&s, err)
							      : write_account(&s, err);
	table_writer_free(s.writer);
	buf_done(&s.last);
	return r;
}

int table_run_add(const struct table_run *run, struct manifest *m, unsigned level)
{
	/* Level 0 is newest first and takes new tables in front: the last key range first. */
	for (size_t i = run->n; i-- > 0;) {
		int r = manifest_add_table(m, level, &run->tables[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

void table_run_note(struct index *ix, const struct table_run *run)
{
	for (size_t i = 0; i < run->n; i++)
		maintain_add_note(ix, &run->notes[i]);
}
