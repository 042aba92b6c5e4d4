/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a closed group to its acknowledgement: the journal is encoded, segments are sealed and
 * uploaded by the pool, groups are acknowledged in order.
 *
 * W2: a segment keeps its bytes until its position is known stored, and every attempt sends exactly
 * these bytes. W3: what counts as known stored is settled by store_create, which compares what lies
 * there with what was sent.
 */
#include "core/log/log_internal.h"

#include "core/base/buf.h"
#include "core/base/cleanup.h"
#include "core/base/planted.h"
#include "core/log/segment_format.h"

#include <assert.h>
#include <stdlib.h>

/* Between attempts. The retry layer below has already waited, so this only keeps a store without
 * one from being flooded. */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 10000

/* ---- bandwidth ---- */

/*
 * Bytes stored per time during which enough was under way, both fading together: parallel uploads
 * end in bursts, so neither one upload nor the time between two ends says anything.
 */
static void bandwidth_step_locked(struct log *l, int64_t bytes)
{
	uint64_t now = env_now_ns();

	mutex_assert_held(&l->lock);
	if (l->moving_bytes >= BANDWIDTH_BUSY_BYTES)
		l->busy_ns += now - l->busy_mark_ns;
	l->busy_mark_ns = now;
	l->moving_bytes += (uint64_t)bytes;
}

static void bandwidth_done_locked(struct log *l, uint64_t bytes)
{
	bool counts = l->moving_bytes >= BANDWIDTH_BUSY_BYTES;

	bandwidth_step_locked(l, -(int64_t)bytes);
	if (counts)
		l->busy_bytes += bytes;
	if (l->busy_bytes < BANDWIDTH_SAMPLE_BYTES || l->busy_ns == 0)
		return;
	l->bandwidth = (uint64_t)((double)l->busy_bytes / ((double)l->busy_ns / 1e9));
	if (l->busy_ns > BANDWIDTH_MEMORY_NS) {
		l->busy_bytes /= 2;
		l->busy_ns /= 2;
	}
}

/* ---- one upload ---- */

/* The journal counts as memory of the commit path from here until it is sealed. Never waits: the
 * commit cannot wait for itself. */
static void attach_journal(struct segment *s, struct buf *plain)
{
	MUTEX_GUARD(&s->lock);

	budget_force(s->budget, BUDGET_COMMIT, plain->cap);
	s->charge += plain->cap;
	s->journal = *plain;
	*plain = (struct buf)BUF_INIT;
}

static int seal_once(struct segment *s, struct error *err)
{
	int r;

	if (s->tail.len > 0)
		return 0;
	r = segment_seal(s, buf_slice(&s->journal), err);
	if (r < 0)
		return r;
	MUTEX_GUARD(&s->lock);
	budget_put(s->budget, BUDGET_COMMIT, s->journal.cap);
	s->charge -= s->journal.cap;
	buf_done(&s->journal);
	return 0;
}

/* W3, after "exists" and then nothing: our own object may have been collected by a successor. 0:
 * try again. */
static int ask_owner(struct log *l, struct segment *s)
{
	int r = l->o.still_owner ? l->o.still_owner(l->o.still_owner_arg) : 0;

	if (r == 0)
		s->unsure = false;
	return r == -EAGAIN ? -EIO : r; /* no answer: asked again after a pause */
}

static int send(struct log *l, struct segment *s, struct error *err)
{
	CLEANUP(free_p) struct slice *parts = NULL;
	char key[LOG_KEY_MAX];
	size_t n;

	if (segment_object(s, &parts, &n) < 0)
		return error_set(err, -ENOMEM, "no memory to send a segment");
	log_key(key, s->epoch, s->sequence);
	mutex_lock(&l->lock);
	bandwidth_step_locked(l, (int64_t)segment_size(s));
	mutex_unlock(&l->lock);
	int r = store_create(l->o.store, key, parts, n, err);

	mutex_lock(&l->lock);
	bandwidth_done_locked(l, segment_size(s));
	if (r == 0) {
		l->segments++;
		l->bytes_put += segment_size(s);
	}
	mutex_unlock(&l->lock);
	return r;
}

/* 0: known stored. -EAGAIN: at once again. -ESTALE, -ECANCELED: no more. Else again after a pause.
 */
static int attempt(struct log *l, struct segment *s, struct error *err)
{
	int r = log_stopped(l); /* W5: a fenced writer sends nothing */

	if (r == 0)
		r = seal_once(s, err);
	if (r == 0 && s->unsure)
		r = ask_owner(l, s);
	if (r == 0)
		r = send(l, s, err);
	if (r == -EAGAIN)
		s->unsure = true;
	if (r == -EEXIST) {
		if (planted(PLANTED_RULE_W3))
			return 0;
		log_replaced(l, error_text(err, r));
		r = -ESTALE;
	} else if (r == -ESTALE) {
		log_replaced(l, "the manifest belongs to a newer epoch");
	} else if (r == -ECANCELED) {
		(void)log_stop(l, r); /* the store was told to shut down */
	}
	return r;
}

static void report(struct log *l, const struct segment *s, const struct error *why, int r)
{
	struct error text = *why;

	MUTEX_GUARD(&l->lock);
	diag_limited(&l->refused, DIAG_WARNING, "log",
		"segment=%llu/%llu not stored yet, trying again: %s", (unsigned long long)s->epoch,
		(unsigned long long)s->sequence, error_text(&text, r));
}

static void upload_run(struct work *w)
{
	struct segment *s = container_of(w, struct segment, upload);
	struct log *l = s->log;
	uint64_t pause = PAUSE_FIRST_MS;
	int r;

	for (;;) {
		struct error why = {0};

		r = attempt(l, s, &why);
		if (r == 0 || r == -ESTALE || r == -ECANCELED)
			break;
		if (r == -EAGAIN)
			continue;
		report(l, s, &why, r);
		if (refusal_is(r)) {
			refusal_note(l, s, &why, r);
			refusal_pause(l, s, pause);
		} else {
			refusal_forget(l, s);
			log_pause(l, pause);
		}
		pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
	}
	refusal_forget(l, s);
	if (r == 0) {
		log_position_stored(l, s);
		log_acknowledge(l);
	}
	segment_unref(s);
	mutex_lock(&l->lock);
	atomic_fetch_sub(&l->uploading, 1);
	cond_broadcast(&l->work);
	mutex_unlock(&l->lock);
}

void log_submit(struct log *l, struct segment *s)
{
	mutex_assert_held(&l->positions_lock);
	if (log_stopped(l))
		return;
	atomic_fetch_add(&l->uploading, 1);
	segment_ref(s);
	s->upload.run = upload_run;
	workers_submit(l->pool, &s->upload);
}

/* ---- groups ---- */

/* The wall clock as a journal has it; a clock that stands beyond the years 1677 to 2262 gives their
 * end. */
static int64_t wall_time_ns(void)
{
	struct timespec now = env_realtime();
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)now.tv_sec, (int64_t)1000000000, &ns) ||
		__builtin_add_overflow(ns, (int64_t)now.tv_nsec, &ns))
		return now.tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

/* The plain journal of the group. */
static int encode(struct log *l, struct group *g, const struct buf *block, struct buf *out)
{
	struct group_private *gp = g->private;
	CLEANUP(free_p) struct journal_segment *list = NULL;
	struct journal j = {
		.group = g->number,
		.previous = l->previous,
		.time_ns = wall_time_ns(),
		.nsegments = gp->nsegments, /* final: the journal is bound */
		.block = buf_slice(block),
	};

	list = calloc(j.nsegments, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < j.nsegments; i++) {
		list[i].sequence = gp->segments[i]->sequence;
		memcpy(list[i].salt, segment_salt(gp->segments[i]), AEAD_SALT_BYTES);
	}
	j.segments = list;
	return journal_encode(&j, out);
}

int log_commit_group(struct log *l, struct group *g, struct buf *block)
{
	struct buf plain = BUF_INIT;
	struct segment *s;
	int r;

	assert(block->len <= LOG_JOURNAL_MAX);
	while ((r = log_bind_journal(l, g, block->len, &s)) == -ENOMEM && !log_stopped(l))
		log_pause(l, PAUSE_FIRST_MS);
	while (r == 0 && (r = encode(l, g, block, &plain)) == -ENOMEM && !log_stopped(l)) {
		r = 0;
		log_pause(l, PAUSE_FIRST_MS);
	}
	if (r < 0) {
		buf_done(&plain);
		return r;
	}
	buf_done(block);
	l->previous = g->number;
	attach_journal(s, &plain);
	mutex_lock(&l->positions_lock);
	s->appended += s->journal.len;
	atomic_fetch_add(&l->unsent, s->journal.len);
	log_submit(l, s);
	mutex_unlock(&l->positions_lock);
	return 0;
}

/* The oldest group in flight, if it is durable; NULL otherwise. */
static struct group_private *next_durable_locked(struct log *l)
{
	struct group_private *gp = list_first(&l->flight, struct group_private, flight);

	mutex_assert_held(&l->lock);
	return gp && gp->group->number <= atomic_load(&l->durable) ? gp : NULL;
}

void log_acknowledge(struct log *l)
{
	const struct group_ops *ops = l->o.ops;
	struct group_private *gp;

	mutex_lock(&l->lock);
	if (l->acknowledging) { /* that thread looks again before it leaves */
		mutex_unlock(&l->lock);
		return;
	}
	l->acknowledging = true;
	while ((gp = next_durable_locked(l)) != NULL) {
		struct group *g = gp->group;
		uint64_t number = g->number;

		list_remove(&gp->flight);
		/* Before `acked`, which may wake somebody who asks for the replay start of this
		 * group. */
		gp->mark->group = number;
		gp->mark->start = gp->journal + 1;
		l->last_mark->next = gp->mark;
		l->last_mark = TAKE(gp->mark);
		mutex_unlock(&l->lock);
		ops->acked(ops->arg, g);
		group_free(g);
		mutex_lock(&l->lock);
		l->nflight--;
		l->commits++;
		l->last_ack_ns = env_now_ns();
		atomic_store(&l->acked, number);
		cond_broadcast(&l->progress);
		cond_broadcast(&l->work);
	}
	l->acknowledging = false;
	cond_broadcast(&l->work);
	mutex_unlock(&l->lock);
}
