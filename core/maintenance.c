/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Settling: tables written by a flush or merge list the references that it dropped. The writer
 * books them as changes of live bytes in the open group, together with the counter "settled through
 * manifest n". A merge takes no input that was added by a manifest which is not settled *durably*:
 * so a crash between manifest and booking finds those tables still live, and books their lists
 * then.
 */
#include "core/maintenance.h"

#include "core/base/diag.h"
#include "core/data/collect.h"
#include "core/log/epoch.h"

#include <stdlib.h>

#define SWEEP_MAX 1000u /* objects deleted by one sweep */
#define TICK_MS 1000
/* So many deletes in memtables are flushed, and with that merged with what they hide, as soon as
 * nothing changes any more: who lists the directory in which they were steps over each. */
#define DELETES_MANY 16384u
#define DELETES_QUIET_MS 2000

struct maintenance {
	struct maintenance_options o; /* immutable */

	struct mutex lock; /* RANK_CONTROL */
	struct cond wake;
	/* guarded by lock */
	bool stop, poked_flush, poked_merge;
	bool flushing, merging, settling; /* one of each at a time, whoever asks */
	struct cond idle;		  /* one of them ended */
	uint64_t booked, booked_group,
		durable; /* settled through: booked, in which group, known durable */
	uint64_t last_bytes, last_change_ns; /* memtable bytes seen, and when they last moved */
	uint64_t last_sweep_ns;
	struct error last_error;
	struct diag_limit failing; /* safe by itself */

	struct thread flusher, merger;
};

static void note_error(struct maintenance *m, const char *what, int r, const struct error *e)
{
	mutex_lock(&m->lock);
	m->last_error.code = r;
	if (r < 0)
		(void)error_set(&m->last_error, r, "%s: %s", what, error_text(e, r));
	mutex_unlock(&m->lock);
	if (r < 0 && r != -ECANCELED && r != -EAGAIN)
		diag_limited(&m->failing, DIAG_WARNING, "index", "%s failed: %s", what,
			error_text(e, r));
	if (r == -ESTALE && m->o.fenced)
		m->o.fenced(m->o.arg);
}

static void begin(struct maintenance *m, bool *busy)
{
	mutex_lock(&m->lock);
	while (*busy)
		cond_wait(&m->idle, &m->lock);
	*busy = true;
	mutex_unlock(&m->lock);
}

static void end(struct maintenance *m, bool *busy)
{
	mutex_lock(&m->lock);
	*busy = false;
	cond_broadcast(&m->idle);
	mutex_unlock(&m->lock);
}

static int settle_once(struct maintenance *m, struct error *err)
{
	struct segment_refs refs = {0};
	uint8_t value[VARINT_MAX];
	struct key key = key_counter(COUNTER_SETTLED);
	uint64_t from, upto = 0;

	mutex_lock(&m->lock);
	from = m->booked;
	mutex_unlock(&m->lock);

	int r = index_unsettled(m->o.index, from, &refs, &upto, err);

	if (r < 0 || upto <= from) {
		segment_refs_done(&refs);
		return r < 0 ? r : 0;
	}

	size_t len = put_varint(value, upto);
	struct group *g = group_join(m->o.log);

	r = index_reserve(group_records(g), key.len + len, 1);
	if (r == 0)
		r = group_book_refs(g, &refs);
	if (r == 0) {
		index_put(group_records(g), key_slice(&key), SLICE(value, len));
		mutex_lock(&m->lock);
		m->booked = upto;
		m->booked_group = g->number;
		mutex_unlock(&m->lock);
	}
	group_leave(g, r == 0);
	segment_refs_done(&refs);
	return r < 0 ? error_set(err, r, "cannot book dropped references") : 0;
}

/*
 * Books what flushes and merges dropped, in the open group. 0, or an error (tried again later).
 * Both flusher and merger come here: one at a time, or the same list would be booked twice.
 */
static int settle(struct maintenance *m, struct error *err)
{
	begin(m, &m->settling);

	int r = settle_once(m, err);

	end(m, &m->settling);
	return r;
}

/* "Settled through" that survives a crash from now on. */
static uint64_t settled_durable(struct maintenance *m)
{
	uint64_t acked = log_acked(m->o.log);

	MUTEX_GUARD(&m->lock);
	if (m->booked_group <= acked)
		m->durable = m->booked;
	return m->durable;
}

/* Flushes what can be flushed: 1 = did something. */
static int flush_once(struct maintenance *m, bool force, struct error *err)
{
	begin(m, &m->flushing);

	uint64_t upto = index_flushable(m->o.index, force);
	int r = 0;

	if (upto) {
		struct log_place replay = {0};

		/* W7: groups above `upto` that were replayed lie in earlier epochs, so the replay
		 * start stays where it is. */
		if (upto >= m->o.last_group)
			replay = (struct log_place){
				.epoch = m->o.epoch, .sequence = log_replay_start(m->o.log, upto)};
		r = index_flush(m->o.index, upto, replay, settled_durable(m), err);
		if (r == 0)
			r = settle(m, err);
		if (r == 0)
			r = 1;
	}
	end(m, &m->flushing);
	return r;
}

int maintenance_merge(struct maintenance *m, struct error *err)
{
	bool blocked = false;

	begin(m, &m->merging);

	int r = settle(m, err);

	if (r == 0)
		r = index_merge(m->o.index, settled_durable(m), &blocked, err);
	if (r == 1 && settle(m, err) < 0)
		r = 1; /* the merge counts; booking is tried again before the next one */
	end(m, &m->merging);
	if (r == 0 && blocked) { /* only the commit of what is booked is missing */
		r = log_wait(m->o.log, log_open_group(m->o.log), err);
		return r < 0 ? r : 1;
	}
	return r;
}

/*
 * Writes once more what is settled: one harmless record, in the open group. Nobody books meanwhile,
 * or the counter would fall behind what was booked, and that would be booked twice after a crash.
 */
static int repeat_settled(struct maintenance *m, uint64_t *ret_group)
{
	struct key key = key_counter(COUNTER_SETTLED);
	uint8_t value[VARINT_MAX];

	begin(m, &m->settling);
	mutex_lock(&m->lock);
	size_t len = put_varint(value, m->booked);
	mutex_unlock(&m->lock);

	struct group *g = group_join(m->o.log);
	int r = index_reserve(group_records(g), key.len + len, 1);

	*ret_group = g->number;
	if (r == 0)
		index_put(group_records(g), key_slice(&key), SLICE(value, len));
	group_leave(g, r == 0);
	end(m, &m->settling);
	return r;
}

int maintenance_flush(struct maintenance *m, struct error *err)
{
	int r = log_wait(m->o.log, log_open_group(m->o.log), err);

	while (r >= 0 && index_memtable_bytes(m->o.index) > 0) {
		r = flush_once(m, true, err);
		if (r != 0)
			continue;
		/* The open group stands in the memtable: that record closes both. */
		uint64_t number;

		r = repeat_settled(m, &number);
		if (r == 0)
			r = log_wait(m->o.log, number, err);
		if (r == 0)
			r = flush_once(m, true, err);
		break;
	}
	maintenance_poke(m);
	return r < 0 ? r : 0;
}

/* Whether the log behind the replay start, or the time since the last change, asks for a flush of
 * what is not full yet. */
static bool flush_is_due(struct maintenance *m)
{
	struct manifest *manifest = index_manifest(m->o.index);
	struct log_stats s;
	uint64_t bytes = index_memtable_bytes(m->o.index), now = env_now_ns();
	uint64_t quiet_ms = m->o.idle_flush_ms;
	uint64_t from = manifest->replay.epoch == m->o.epoch ? manifest->replay.sequence : 0;

	manifest_unref(manifest);
	log_stats(m->o.log, &s);
	if (quiet_ms > DELETES_QUIET_MS && index_memtable_deletes(m->o.index) >= DELETES_MANY)
		quiet_ms = DELETES_QUIET_MS;

	MUTEX_GUARD(&m->lock);
	if (bytes != m->last_bytes) {
		m->last_bytes = bytes;
		m->last_change_ns = now;
	}
	index_set_busy(m->o.index, now - m->last_change_ns < DELETES_QUIET_MS * 1000000ull);
	if (bytes == 0)
		return false;
	return s.next_sequence - from >= m->o.segments_behind ||
	       now - m->last_change_ns >= quiet_ms * 1000000;
}

/* Waits for a poke or a tick; false = stop. */
static bool pause_until_work(struct maintenance *m, bool *poked)
{
	uint64_t deadline = env_now_ns() + TICK_MS * 1000000ull;

	MUTEX_GUARD(&m->lock);
	while (!m->stop && !*poked)
		if (!cond_wait_until(&m->wake, &m->lock, deadline))
			break;
	*poked = false;
	return !m->stop;
}

/* Memory of the index comes back by flushes only: nobody waits for it while the store refuses
 * tables, or the groups that they could be made of. */
static void note_refusal(struct maintenance *m, int r)
{
	int refused = log_refused(m->o.log);

	index_refuse(m->o.index, r == -ENOSPC || r == -EACCES ? r : refused);
}

static void flusher_main(void *arg)
{
	struct maintenance *m = arg;

	while (pause_until_work(m, &m->poked_flush)) {
		struct error e = {0};
		int r;

		if (m->o.tick)
			m->o.tick(m->o.arg);
		if (flush_is_due(m)) {
			r = maintenance_flush(m, &e);
		} else {
			do
				r = flush_once(m, false, &e);
			while (r == 1);
		}
		note_error(m, "flush", r < 0 ? r : 0, &e);
		if (r == -ESTALE)
			return;
		note_refusal(m, r);
	}
}

/* D8 for every epoch whose end the manifest records. */
static int sweep_ended_epochs(struct maintenance *m, struct error *err)
{
	struct manifest *manifest = index_manifest(m->o.index);
	int r = 0;

	for (size_t i = 0; r >= 0 && i < manifest->nends; i++)
		r = epoch_sweep_log(m->o.store, manifest->ends[i].epoch, manifest->ends[i].sequence,
			SWEEP_MAX, err);
	manifest_unref(manifest);
	return r;
}

int maintenance_sweep(struct maintenance *m, struct error *err)
{
	const struct collect_options co = {
		.store = m->o.store,
		.keys = m->o.keys,
		.index = m->o.index,
		.log = m->o.log,
		.epoch = m->o.epoch,
		.min_segments = m->o.collect_segments,
		.min_bytes = m->o.collect_bytes,
	};
	int r = index_sweep(m->o.index, SWEEP_MAX, err);

	if (r >= 0)
		r = sweep_ended_epochs(m, err);
	return r < 0 ? r : collect_segments(&co, err);
}

static bool sweep_is_due(struct maintenance *m)
{
	MUTEX_GUARD(&m->lock);
	if (env_now_ns() - m->last_sweep_ns < m->o.sweep_ms * 1000000)
		return false;
	m->last_sweep_ns = env_now_ns();
	return true;
}

static bool stopping(struct maintenance *m)
{
	MUTEX_GUARD(&m->lock);
	return m->stop;
}

static void merger_main(void *arg)
{
	struct maintenance *m = arg;

	while (pause_until_work(m, &m->poked_merge)) {
		struct error e = {0};
		int r;

		do
			r = maintenance_merge(m, &e);
		while (r == 1 && !stopping(m));
		if (r >= 0 && sweep_is_due(m))
			r = maintenance_sweep(m, &e);
		note_error(m, "merge", r < 0 ? r : 0, &e);
		if (r == -ESTALE)
			return;
	}
}

/* The counter as the index has it: what an earlier writer settled durably. */
static int load_settled(struct maintenance *m, struct error *err)
{
	struct buf value = BUF_INIT;
	struct key key = key_counter(COUNTER_SETTLED);
	int r = index_get(m->o.index, GROUP_NOW, key_slice(&key), 0, &value, NULL, err);

	if (r == 0) {
		struct cursor c = cursor_of(buf_slice(&value));

		m->booked = m->durable = cursor_varint(&c);
		if (c.bad)
			r = error_set(err, -EBADMSG, "the counter \"settled\" does not decode");
	}
	buf_done(&value);
	return r == -ENOENT ? 0 : r;
}

int maintenance_start(
	const struct maintenance_options *o, struct maintenance **ret, struct error *err)
{
	struct maintenance *m = calloc(1, sizeof *m);

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->o = *o;
	mutex_init(&m->lock, RANK_CONTROL);
	cond_init(&m->wake);
	cond_init(&m->idle);
	m->last_change_ns = m->last_sweep_ns = env_now_ns();

	int r = load_settled(m, err);

	if (r == 0) {
		r = thread_start(&m->flusher, "flusher", flusher_main, m);
		if (r == 0)
			r = thread_start(&m->merger, "merger", merger_main, m);
		if (r < 0)
			(void)error_set(err, r, "cannot start a thread");
	}
	if (r < 0) {
		maintenance_stop(m);
		return r;
	}
	*ret = m;
	return 0;
}

void maintenance_stop(struct maintenance *m)
{
	if (!m)
		return;
	mutex_lock(&m->lock);
	m->stop = true;
	cond_broadcast(&m->wake);
	mutex_unlock(&m->lock);
	thread_join(&m->flusher);
	thread_join(&m->merger);
	cond_done(&m->wake);
	cond_done(&m->idle);
	mutex_done(&m->lock);
	free(m);
}

void maintenance_poke(struct maintenance *m)
{
	MUTEX_GUARD(&m->lock);
	m->poked_flush = m->poked_merge = true;
	cond_broadcast(&m->wake);
}

void maintenance_last_error(struct maintenance *m, struct error *ret)
{
	MUTEX_GUARD(&m->lock);
	*ret = m->last_error;
}
