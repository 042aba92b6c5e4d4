/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsck: which state is looked at, the order of the passes, and what happens when another process
 * takes tables away meanwhile.
 *
 * The cut. A table carries the references that its flush or merge dropped; the writer books them as
 * changes of live bytes in a later group, together with "settled through manifest n". A snapshot
 * agrees with itself at a group G when the counter at G is not above the snapshot's manifest (else
 * references were booked away that its tables still hold), and when all that was settled before
 * that manifest is in groups up to G (else tables that carried a list may have been merged away).
 * The second holds because the log is read after the manifest (follower_settle), or is our own; the
 * first picks G. What tables of the snapshot dropped and G has not booked is added from their
 * lists. So the comparison is exact beside a running writer, without trying again.
 */
#include "core/base/cleanup.h"
#include "core/data/fold.h"
#include "core/vfs/check_internal.h"

#include <stdlib.h>

#define ATTEMPTS 64 /* snapshots whose tables vanished while they were read */

/* ---- reading ---- */

static int tolerant_fold(const struct record *versions, size_t n, bool complete, struct buf *out,
	enum record_op *ret_op)
{
	int r = data_fold.fold(versions, n, complete, out, ret_op);

	if (r != -EBADMSG)
		return r;
	buf_clear(out); /* no decoder takes it, so it is told with its key */
	*ret_op = RECORD_PUT;
	return 0;
}

static int references(const struct record *r, int sign, struct segment_refs *refs)
{
	return data_fold.references(r, sign, refs);
}

static size_t filter_prefix(struct slice key, uint8_t *out)
{
	return data_fold.filter_prefix(key, out);
}

const struct index_fold check_fold = {
	.fold = tolerant_fold, .references = references, .filter_prefix = filter_prefix};

int check_scan(struct check *c, struct key first, struct key end, struct index_scan **ret)
{
	return index_snapshot_scan(
		c->snapshot, &check_fold, c->view, key_slice(&first), key_slice(&end), ret, c->err);
}

int check_get(struct check *c, const struct key *k, struct buf *out)
{
	struct key end = *k;
	struct index_scan *s;
	struct record rec;
	int r;

	end.bytes[end.len++] = 0; /* the next possible key */
	r = check_scan(c, *k, end, &s);
	if (r < 0)
		return r;
	r = index_scan_next(s, &rec, c->err);
	if (r > 0)
		r = buf_append_slice(out, rec.value);
	index_scan_close(s);
	return r == -ENOMEM ? error_set(c->err, r, "no memory for a record") : r;
}

void check_progress(struct check *c, const char *phase, uint64_t done, const char *what)
{
	if (c->o->progress)
		c->o->progress(c->o->arg, phase, done, what);
}

int check_refresh(struct check *c, uint64_t manifest)
{
	struct manifest *m;
	bool moved;
	int r = c->o->refresh ? c->o->refresh(c->o->refresh_arg, c->err) : 0;

	if (r < 0)
		return r;
	m = index_manifest(c->index);
	moved = m->number != manifest;
	manifest_unref(m);
	return moved ? 0
		     : error_set(c->err, -EBADMSG,
			       "an object that the newest manifest names is not in the store");
}

/* ---- a walk ---- */

static uint64_t newest_group(const struct check *c)
{
	return c->engine && c->engine->log ? log_acked(c->engine->log) : GROUP_NOW;
}

static int walk_scan(struct check_walk *w)
{
	return index_snapshot_scan(w->snapshot, &check_fold, w->view, buf_slice(&w->from),
		buf_slice(&w->end), &w->scan, w->c->err);
}

int check_walk_open(struct check *c, struct key first, struct key end, struct check_walk *ret)
{
	*ret = (struct check_walk){.c = c, .snapshot = c->snapshot, .view = c->view};
	if (buf_append_slice(&ret->from, key_slice(&first)) < 0 ||
		buf_append_slice(&ret->end, key_slice(&end)) < 0)
		return error_set(c->err, -ENOMEM, "no memory for a scan");
	int r = walk_scan(ret);

	return r == -EAGAIN ? 0 : r; /* the first step goes on */
}

static void walk_drop(struct check_walk *w)
{
	index_scan_close(w->scan);
	w->scan = NULL;
	if (w->snapshot != w->c->snapshot)
		index_snapshot_release(w->snapshot);
	w->snapshot = NULL;
}

/* To the newest state, behind the last record. */
static int walk_move_on(struct check_walk *w)
{
	int r = check_refresh(w->c, index_snapshot_manifest(w->snapshot)->number);

	if (r < 0)
		return r;
	walk_drop(w);
	w->view = newest_group(w->c); /* before the snapshot: what it sees is there */
	w->snapshot = index_snapshot_take(w->c->index);
	if (!w->snapshot)
		return error_set(w->c->err, -ENOMEM, "no memory for a scan");
	r = walk_scan(w);
	return r == -EAGAIN ? 0 : r;
}

int check_walk_next(struct check_walk *w, struct record *ret)
{
	for (;;) {
		int r = w->scan ? index_scan_next(w->scan, ret, w->c->err) : -EAGAIN;

		if (r > 0) {
			buf_clear(&w->from);
			if (buf_append_slice(&w->from, ret->key) < 0 ||
				buf_append_u8(&w->from, 0) < 0)
				return error_set(w->c->err, -ENOMEM, "no memory for a scan");
		}
		if (r != -EAGAIN)
			return r;
		r = walk_move_on(w);
		if (r < 0)
			return r;
	}
}

void check_walk_close(struct check_walk *w)
{
	walk_drop(w);
	buf_done(&w->from);
	buf_done(&w->end);
}

/* ---- the cut ---- */

/* The newest group up to `upto` at which no more was settled than the snapshot's manifest. */
static int find_cut(struct check *c, uint64_t upto)
{
	uint64_t number = index_snapshot_manifest(c->snapshot)->number;
	struct key first = key_counter(COUNTER_SETTLED), end = first;
	struct index_scan *s;
	struct record rec;
	int r;

	end.bytes[end.len++] = 0;
	c->view = upto;
	r = index_snapshot_versions(c->snapshot, key_slice(&first), key_slice(&end), &s, c->err);
	if (r < 0)
		return r;
	/* Newest first: the last one seen is the oldest that is too new. */
	while ((r = index_scan_next(s, &rec, c->err)) > 0) {
		struct cursor cur = cursor_of(rec.value);
		uint64_t settled = cursor_varint(&cur);

		if (rec.op == RECORD_PUT && !cur.bad && settled > number && rec.group <= c->view)
			c->view = rec.group - 1;
	}
	index_scan_close(s);
	return r;
}

static void forget(struct check *c)
{
	index_snapshot_release(c->snapshot);
	c->snapshot = NULL;
	check_inodes_done(&c->inodes);
	usage_done(&c->usage);
	c->listed = false;
	c->allocated = 0;
	c->damaged_inodes = false;
	check_forget(c);
	*c->result = (struct check_result){0};
}

/* What is current, and the group that it is looked at. */
static int take(struct check *c)
{
	c->snapshot = index_snapshot_take(c->index);
	if (!c->snapshot)
		return error_set(c->err, -ENOMEM, "no memory for the check");
	/* After the snapshot: what its tables had settled is acknowledged. */
	return find_cut(c, newest_group(c));
}

/* ---- the whole ---- */

static int check_index(struct check *c)
{
	int r = check_usage(c);

	if (r == 0 && c->o->store)
		r = check_objects(c);
	if (r == 0)
		r = check_missing_segments(c);
	if (r == 0)
		r = check_records(c);
	if (r == 0)
		r = check_orphans(c);
	if (r == 0)
		r = check_entries(c);
	if (r < 0)
		return r;
	check_shape(c);
	r = check_counters(c);
	check_live_bytes(c);
	return r;
}

/* What a writer finds that was replaced is about somebody else's volume. */
static int still_writer(struct check *c)
{
	uint64_t epoch = index_snapshot_manifest(c->snapshot)->epoch;
	struct manifest *m;
	int r;

	if (!c->engine->log || !c->o->store)
		return 0;
	r = manifest_read(c->o->store, c->o->keys, &m, c->err);
	if (r < 0)
		return r;
	r = m->epoch > epoch ? -ESTALE : 0;
	manifest_unref(m);
	return r < 0 ? error_set(c->err, r, "another writer has taken over") : 0;
}

/* Tables do not open: says which, and what can be said without the index. */
static int check_damaged_index(struct check *c)
{
	struct error why = *c->err;
	int r;

	forget(c);
	*c->err = (struct error){0};
	r = take(c);
	if (r == -EBADMSG || r == -EAGAIN)
		r = 0; /* the counter lies in such a table */
	if (r == 0)
		r = still_writer(c);
	if (r == 0 && c->o->store)
		r = check_objects(c);
	if (r == 0)
		r = check_tables(c);
	if (r == 0)
		r = check_emit(c);
	if (r == 0 && c->result->damage == 0)
		check_tell(c, CHECK_RECORD_UNKNOWN, 0, "the index cannot be read: %s",
			error_text(&why, -EBADMSG));
	return r;
}

static int check_once(struct check *c)
{
	int r = take(c);

	if (r == 0) {
		if (c->o->store)
			check_manifest(c);
		r = check_index(c);
	}
	if (r == 0)
		r = still_writer(c);
	if (r == 0)
		r = check_emit(c);
	if (r == 0 && c->o->data) {
		r = check_frames(c);
		if (r == 0)
			r = still_writer(c);
	}
	return r == 0 ? check_emit(c) : r;
}

static int check_all(struct check *c)
{
	int r = -EAGAIN;

	for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS; i++) {
		r = check_once(c);
		if (r != -EAGAIN || check_emitted(c))
			break;
		uint64_t number = index_snapshot_manifest(c->snapshot)->number;

		forget(c);
		r = check_refresh(c, number);
		if (r == 0)
			r = -EAGAIN;
	}
	if (r == -EBADMSG && !check_emitted(c))
		r = check_damaged_index(c);
	if (r == 0)
		r = check_emit(c);
	return r;
}

static int begin(struct check *c, struct error *own)
{
	if (!c->err)
		c->err = own;
	*c->result = (struct check_result){0};
	c->view = GROUP_NOW;
	return check_report_new(c) < 0 ? error_set(c->err, -ENOMEM, "no memory for the check") : 0;
}

static void end(struct check *c)
{
	index_snapshot_release(c->snapshot);
	check_inodes_done(&c->inodes);
	usage_done(&c->usage);
	check_report_free(c->report);
}

int vfs_check(struct vfs_engine *e, const struct check_options *o, struct check_result *ret,
	struct error *err)
{
	struct error own = {0};
	struct check c = {.engine = e, .index = e->index, .o = o, .result = ret, .err = err};
	int r = begin(&c, &own);

	/* What is only in memory goes into the index first. */
	if (r == 0)
		r = engine_sync(&e->vfs, c.err);
	if (r == 0)
		r = check_all(&c);
	if (r == -EAGAIN)
		(void)error_set(c.err, r,
			"the volume is changed faster than it can be read; check it again when its writer has less to do, or unmounted");
	end(&c);
	return r;
}

int vfs_check_store(struct index *index, const struct check_options *o, struct check_result *ret,
	struct error *err)
{
	struct error own = {0};
	struct check c = {.index = index, .o = o, .result = ret, .err = err};
	int r = begin(&c, &own);

	if (r == 0 && index)
		c.snapshot = index_snapshot_take(index);
	if (r == 0 && index && !c.snapshot)
		r = error_set(c.err, -ENOMEM, "no memory for the check");
	if (r == 0 && index)
		check_manifest(&c);
	if (r == 0)
		r = check_objects(&c);
	if (r == 0 && index)
		r = check_tables(&c);
	if (r == 0 && index)
		r = check_log(&c);
	if (r == 0)
		r = check_emit(&c);
	end(&c);
	return r;
}
