/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checks for tests and fsck: live bytes against a count of all stored versions; every frame of a
 * file. */
#include "core/data/reader.h"

#include <stdlib.h>

static int scan_open(struct index *ix, struct key first, struct key end, struct index_scan **ret,
	struct error *err)
{
	return index_scan_versions(ix, key_slice(&first), key_slice(&end), ret, err);
}

/* References of all versions of all chunks. */
static int count_chunks(struct index *ix, struct segment_refs *refs, struct error *err)
{
	struct index_scan *scan;
	struct record record;
	int r = scan_open(ix, key_kind_first(1, 0), key_kind_first(UINT64_MAX, 0xff), &scan, err);

	if (r < 0)
		return r;
	while ((r = index_scan_next(scan, &record, err)) == 1) {
		r = data_fold.references(&record, 1, refs);
		if (r < 0) {
			(void)error_set(err, r, "a chunk record does not decode"); /* is in r */
			break;
		}
	}
	index_scan_close(scan);
	return r;
}

/* One version of a segment record; `done`: a newer one of the same key was whole. */
static int count_segment(const struct record *record, const struct key_parts *p, bool *done,
	struct segment_refs *refs, struct error *err)
{
	struct segment_record s;

	if (*done || record->op == RECORD_RANGE)
		return 0;
	*done = record->op != RECORD_DELTA;
	if (record->op == RECORD_DELETE)
		return 0;
	if (segment_record_decode(record->value, &s) < 0)
		return error_set(err, -EBADMSG,
			"the record of segment %016llx/%016llx does not decode",
			(unsigned long long)p->a, (unsigned long long)p->b);
	return segment_refs_add(refs, p->a, p->b, s.live);
}

/* Live bytes as recorded. */
static int count_segments(struct index *ix, struct segment_refs *refs, struct error *err)
{
	struct key_parts p, last = {0};
	struct index_scan *scan;
	struct record record;
	bool done = false;
	int r = scan_open(
		ix, key_kind_first(0, KEY_SEGMENT), key_kind_first(0, KEY_SEGMENT + 1), &scan, err);

	if (r < 0)
		return r;
	while ((r = index_scan_next(scan, &record, err)) == 1) {
		if (!key_parse(record.key, &p))
			continue;
		if (p.a != last.a || p.b != last.b)
			done = false;
		last = p;
		r = count_segment(&record, &p, &done, refs, err);
		if (r < 0)
			break;
	}
	index_scan_close(scan);
	return r;
}

static int64_t find(const struct segment_refs *refs, uint64_t epoch, uint64_t sequence)
{
	size_t low = 0, high = refs->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct segment_ref *x = &refs->refs[middle];

		if (x->epoch < epoch || (x->epoch == epoch && x->sequence < sequence))
			low = middle + 1;
		else
			high = middle;
	}
	if (low < refs->n && refs->refs[low].epoch == epoch && refs->refs[low].sequence == sequence)
		return refs->refs[low].bytes;
	return 0;
}

int data_check_usage(struct index *ix, const struct segment_refs *unsettled,
	void (*bad)(
		void *arg, uint64_t epoch, uint64_t sequence, int64_t counted, int64_t recorded),
	void *arg, struct error *err)
{
	struct segment_refs counted = {0}, recorded = {0}, difference = {0};
	int r = count_chunks(ix, &counted, err);

	if (r == 0)
		r = count_segments(ix, &recorded, err);
	if (r == 0 && unsettled)
		r = segment_refs_merge(&recorded, unsettled, 1);
	if (r == 0)
		r = segment_refs_merge(&difference, &counted, 1);
	if (r == 0)
		r = segment_refs_merge(&difference, &recorded, -1);
	for (size_t i = 0; r == 0 && i < difference.n; i++) {
		uint64_t epoch = difference.refs[i].epoch, sequence = difference.refs[i].sequence;

		bad(arg, epoch, sequence, find(&counted, epoch, sequence),
			find(&recorded, epoch, sequence));
	}
	segment_refs_done(&counted);
	segment_refs_done(&recorded);
	segment_refs_done(&difference);
	return r == -ENOMEM ? error_set(err, r, "no memory to count live bytes") : r;
}

/* 0 also when a frame is damaged: `bad` is told. */
static int check_chunk(struct data *d, const struct chunk *c, uint64_t number,
	void (*bad)(void *arg, const struct extent *e, uint64_t chunk, const char *why), void *arg,
	struct error *err)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct extent *e = &c->extents[i];
		struct error why = {0};
		struct frame *f;

		if (e->form != EXTENT_FRAME)
			continue;
		int r = reader_frame(d, e, &f, &why);

		if (r == 0)
			frame_unref(f);
		else if (r == -EBADMSG || r == -ENOENT)
			bad(arg, e, number, error_text(&why, r));
		else
			return error_set(err, r, "%s", error_text(&why, r));
	}
	return 0;
}

int data_check_frames(struct data *d, uint64_t inode,
	void (*bad)(void *arg, const struct extent *e, uint64_t chunk, const char *why), void *arg,
	struct error *err)
{
	struct key first = key_kind_first(inode & INODE_MAX, KEY_CHUNK);
	struct key end = key_kind_first(inode & INODE_MAX, KEY_CHUNK + 1);
	struct index_scan *scan;
	struct record record;
	int r = index_scan_open(
		d->o.index, GROUP_NOW, key_slice(&first), key_slice(&end), 0, &scan, err);

	if (r < 0)
		return r;
	while ((r = index_scan_next(scan, &record, err)) == 1) {
		struct key_parts p;
		struct chunk c = {0};

		if (!key_parse(record.key, &p))
			continue;
		r = chunk_decode(record.value, true, &c);
		if (r == 0)
			r = check_chunk(d, &c, p.a, bad, arg, err);
		else if (r == -EBADMSG)
			bad(arg, NULL, p.a, "the record does not decode");
		chunk_done(&c);
		if (r < 0 && r != -EBADMSG)
			break;
	}
	index_scan_close(scan);
	return r;
}
