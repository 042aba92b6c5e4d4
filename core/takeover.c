/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * T1 to T8. The claim is made once; then everything from the manifest on is repeated until the
 * take-over manifest counts, because whatever else moved the manifest meanwhile may have flushed
 * and collected: the ends that were found then mean nothing (T6).
 *
 * Nothing is served, and nothing written to the log of the new epoch, before that manifest counts
 * (T7): the caller opens the log with what this returns.
 */
#include "core/takeover.h"

#include "core/base/cleanup.h"
#include "core/base/env.h"
#include "core/base/planted.h"

#include <stdio.h>
#include <stdlib.h>

#define MS 1000000ull
#define CLAIM_ATTEMPTS 16
#define COMMIT_ATTEMPTS 256 /* conflicts with others who commit */
#define BEAT_MS 10000	    /* while fencing and replay run */
#define READ_AHEAD 16
/* An idle holder's heartbeat may take so long to move or to count as silent. */
#define WATCH_MS 200000

struct takeover {
	const struct takeover_options *o;
	struct claim mine;
	uint64_t serve_after_ns;
	uint64_t beats, beat_ns; /* heartbeats written, when the newest was */

	/* One round: a manifest, and what was found on its grounds. */
	struct manifest *manifest;
	struct log_place *ends; /* of epochs that were open */
	size_t nends;
	struct index *index;
	struct replay_state state;
	bool any;	      /* a group was replayed */
	struct log_place low; /* the lowest position that holds a segment of such a group */
	uint64_t missing_in;  /* the manifest below whose ends a segment was missing; 0 = none */
};

static void forget_round(struct takeover *t)
{
	index_close(TAKE(t->index));
	if (t->manifest)
		manifest_unref(TAKE(t->manifest));
	free(TAKE(t->ends));
	t->nends = 0;
	t->any = false;
}

/* Tells others that a take-over is under way. Liveness only (L1). */
static void show_life(struct takeover *t, enum heartbeat_state state)
{
	struct heartbeat b = {.counter = ++t->beats, .state = state, .silence_ms = t->o->ttl_ms};

	t->beat_ns = env_now_ns();
	(void)heartbeat_put(t->o->store, t->o->keys, t->mine.epoch, &b, NULL);
}

/* ---- T1 ---- */

static int busy(
	const struct claim *c, enum holder_state state, struct claim *ret_holder, struct error *err)
{
	*ret_holder = *c;
	return error_set(err, -EBUSY, "the volume is %s %s (process %lld, since %s)",
		state == HOLDER_CLOSING ? "still being closed on" : "in use on", c->host,
		(long long)c->pid, c->since);
}

/* Returns when the holder of the newest claim may be replaced. -EBUSY: it may not. Writes nothing.
 */
static int await_holder(const struct takeover_options *o, struct claim *ret,
	struct claim *ret_holder, struct error *err)
{
	uint64_t patience = 0;
	bool watched_closing = false;

	for (;;) {
		enum holder_state state;
		int r = claim_observe(o->store, o->keys, o->me, patience, ret, &state, err);

		if (r < 0)
			return r;
		if (o->force || state == HOLDER_NONE || state == HOLDER_SILENT)
			return 0;
		if (patience > 0 && (state == HOLDER_ALIVE || watched_closing))
			return busy(ret, state, ret_holder, err);
		if (o->waiting)
			o->waiting(o->arg, ret, state);
		watched_closing = state == HOLDER_CLOSING;
		patience = o->patience_ms;
		if (!watched_closing && patience < WATCH_MS)
			patience = WATCH_MS;
		if (patience == 0)
			return busy(ret, state, ret_holder, err);
	}
}

static void fill_claim(struct takeover *t, uint64_t epoch)
{
	const struct identity *me = t->o->me;
	struct claim c = {.epoch = epoch,
		.pid = me->pid,
		.started = me->started,
		.exclusive = t->o->exclusive};
	struct timespec now = env_realtime();
	struct tm tm;

	env_random(c.term, sizeof(c.term));
	memcpy(c.holder, me->holder, sizeof(c.holder));
	(void)snprintf(c.host, sizeof(c.host), "%s", me->host);
	(void)snprintf(c.boot_id, sizeof(c.boot_id), "%s", me->boot_id);
	(void)snprintf(c.endpoint, sizeof(c.endpoint), "%s", t->o->endpoint);
	if (!gmtime_r(&now.tv_sec, &tm) ||
		strftime(c.since, sizeof(c.since), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		strcpy(c.since, "1970-01-01T00:00:00Z");
	t->mine = c;
}

/* T1, and from when on L3 allows to serve. */
static int claim_epoch(struct takeover *t, struct claim *ret_holder, struct error *err)
{
	const struct takeover_options *o = t->o;

	for (unsigned i = 0; i < CLAIM_ATTEMPTS; i++) {
		struct claim newest;
		bool over = false;
		int r = await_holder(o, &newest, ret_holder, err);

		if (r == 0)
			r = claims_all_over(o->store, o->keys, o->me, newest.epoch + 1, &over, err);
		if (r < 0)
			return r;
		fill_claim(t, newest.epoch + 1);
		r = claim_create(o->store, o->keys, &t->mine, err);
		if (r == 0) {
			/* L3: the claim was stored before now. */
			t->serve_after_ns = over || planted(PLANTED_RULE_L3)
						    ? 0
						    : env_now_ns() + o->ttl_ms * MS;
			return 0;
		}
		if (r != -EEXIST)
			return r;
		if (o->force)
			break;
	}
	return error_set(err, -ESTALE, "others claimed the volume at the same time");
}

/* ---- T3, T4 ---- */

static uint64_t replay_from(const struct manifest *m, uint64_t epoch)
{
	return epoch == m->replay.epoch ? m->replay.sequence : 0;
}

static int close_epochs(struct takeover *t, struct error *err)
{
	const struct manifest *m = t->manifest;
	/* T3: every epoch from the manifest's on; owners of claims between may have died half-way.
	 * Epoch 0 is nobody's. */
	uint64_t first = m->epoch > 0 ? m->epoch : 1, end;

	if (planted(PLANTED_RULE_T3))
		first = t->mine.epoch > 1 ? t->mine.epoch - 1 : 1;
	if (first >= t->mine.epoch)
		return 0;
	t->ends = calloc((size_t)(t->mine.epoch - first), sizeof(*t->ends));
	if (!t->ends)
		return error_set(err, -ENOMEM, "no memory for the ends of %llu epochs",
			(unsigned long long)(t->mine.epoch - first));
	for (uint64_t e = first; e < t->mine.epoch; e++) {
		if (manifest_end(m, e, &end))
			continue;
		int r = epoch_close_log(t->o->store, t->o->keys, e, replay_from(m, e), &end, err);

		if (r < 0)
			return r;
		t->ends[t->nends++] = (struct log_place){.epoch = e, .sequence = end};
	}
	return 0;
}

/* The end of an epoch, recorded (T8) or found. */
static bool find_end(const struct takeover *t, uint64_t epoch, uint64_t *ret)
{
	if (manifest_end(t->manifest, epoch, ret))
		return true;
	for (size_t i = 0; i < t->nends; i++)
		if (t->ends[i].epoch == epoch) {
			*ret = t->ends[i].sequence;
			return true;
		}
	return false;
}

/* ---- T5 ---- */

static int replay_group(
	void *arg, uint64_t epoch, uint64_t sequence, const struct journal *j, struct error *err)
{
	struct takeover *t = arg;
	struct log_place first = {.epoch = epoch, .sequence = j->segments[0].sequence};

	(void)sequence;
	if (!t->any || log_place_cmp(first, t->low) < 0)
		t->low = first;
	t->any = true;
	return index_group_replay(t->index, j->group, j->block, err);
}

static void replay_progress(void *arg)
{
	struct takeover *t = arg;

	if (env_now_ns() - t->beat_ns >= BEAT_MS * MS)
		show_life(t, HEARTBEAT_ALIVE);
}

/* One epoch from the replay start to its end. 1: a segment is missing. */
static int replay_epoch(struct takeover *t, uint64_t epoch, struct error *err)
{
	const struct replay_ops ops = {
		.group = replay_group, .progress = replay_progress, .arg = t};
	enum replay_stop stop;
	uint64_t end;

	t->state.epoch = epoch;
	t->state.sequence = replay_from(t->manifest, epoch);
	if (!find_end(t, epoch, &end)) {
		if (planted(PLANTED_RULE_T3))
			return 0;
		return error_set(err, -EBADMSG, "manifest %llu does not say where epoch %llu ended",
			(unsigned long long)t->manifest->number, (unsigned long long)epoch);
	}
	if (end < t->state.sequence)
		return error_set(err, -EBADMSG,
			"manifest %llu: epoch %llu ended before the replay start",
			(unsigned long long)t->manifest->number, (unsigned long long)epoch);
	int r = replay_run(t->o->store, t->o->keys, &t->state, end, READ_AHEAD, &ops, &stop, err);

	return r == 0 && stop == REPLAY_MISSING ? 1 : r;
}

/* T5: complete groups only, into a fresh index. 1: something moved, start again. */
static int replay(struct takeover *t, struct error *err)
{
	const struct manifest *m = t->manifest;
	int r = index_open(&t->o->index, t->manifest, &t->index, err);

	t->state.last_group = m->last_group;
	for (uint64_t e = m->replay.epoch; r == 0 && e < t->mine.epoch; e++)
		r = replay_epoch(t, e, err);
	if (r != 1)
		return r;
	if (t->missing_in == m->number)
		return error_set(err, -EBADMSG,
			"segment %llu/%llu is missing, which manifest %llu needs: the volume is damaged",
			(unsigned long long)t->state.epoch, (unsigned long long)t->state.sequence,
			(unsigned long long)m->number);
	t->missing_in = m->number;
	return 1;
}

/* ---- T6 ---- */

/*
 * W8: what the end of an epoch cut off holds nothing back. The lowest position of a group that is
 * not in the tables; without any the beginning of the new log.
 */
static struct log_place new_replay_start(const struct takeover *t)
{
	struct log_place start = {.epoch = t->mine.epoch, .sequence = 0};

	if (t->any)
		start = t->low;
	return log_place_cmp(start, t->manifest->replay) < 0 ? t->manifest->replay : start;
}

static bool is_mine(const struct takeover *t, const struct manifest *m)
{
	return m->epoch == t->mine.epoch && memcmp(m->term, t->mine.term, TERM_BYTES) == 0;
}

/* Writer jobs of earlier epochs: nobody uploads under them any more (D3). */
static void close_jobs(struct manifest *m, uint64_t epoch)
{
	for (size_t i = m->njobs; i-- > 0;)
		if (m->jobs[i].writer && m->jobs[i].epoch < epoch)
			manifest_close_job(m, m->jobs[i].id);
}

static int edit(void *arg, struct manifest *m, struct error *err)
{
	struct takeover *t = arg;
	struct log_place start = new_replay_start(t);
	uint64_t job;
	int r = 0;

	if (is_mine(t, m))
		return error_set(err, -EALREADY, "the take-over is recorded");
	if (m->epoch >= t->mine.epoch)
		return error_set(
			err, -ESTALE, "epoch %llu has taken over", (unsigned long long)m->epoch);
	/*
	 * T6: the manifest is still the very one on whose grounds the ends were found, else they
	 * mean nothing. That includes one that an unclear attempt of ours left behind nothing of.
	 */
	if (m->number != t->manifest->number + 1 && !planted(PLANTED_RULE_T6))
		return error_set(err, -EAGAIN, "the manifest moved during the take-over");
	for (size_t i = 0; r == 0 && i < t->nends; i++)
		r = manifest_set_end(m, t->ends[i].epoch, t->ends[i].sequence);
	if (r < 0)
		return error_set(err, r, "the end of an epoch cannot be recorded");
	close_jobs(m, t->mine.epoch);
	r = manifest_add_job(m, true, t->mine.epoch, &job);
	if (r < 0)
		return error_set(err, r, "no memory for the manifest");
	m->epoch = t->mine.epoch;
	memcpy(m->term, t->mine.term, TERM_BYTES);
	if (log_place_cmp(start, m->replay) > 0)
		m->replay = start;
	return 0;
}

/* 1: conflict or unclear, back to T2. */
static int commit(struct takeover *t, struct error *err)
{
	const struct manifest_edit e = {.apply = edit, .arg = t};
	struct manifest *m;
	int r = manifest_commit(t->o->store, t->o->keys, &e, &m, err);

	if (r == -EAGAIN)
		return 1;
	if (r < 0)
		return r;
	manifest_unref(t->manifest);
	t->manifest = m;
	return index_adopt(t->index, m, err);
}

/* ---- the loop ---- */

/* T2. 0: go on; *ret_done: the manifest is ours already. */
static int read_manifest(struct takeover *t, bool *ret_done, struct error *err)
{
	int r = manifest_read(t->o->store, t->o->keys, &t->manifest, err);

	if (r < 0)
		return r;
	*ret_done = is_mine(t, t->manifest);
	if (planted(PLANTED_RULE_T2) && t->manifest->epoch > t->mine.epoch)
		*ret_done = true;
	if (!*ret_done && t->manifest->epoch >= t->mine.epoch)
		return error_set(err, -ESTALE, "epoch %llu has taken over",
			(unsigned long long)t->manifest->epoch);
	return 0;
}

/* One round from T2 to T6. 1: again. */
static int one_round(struct takeover *t, struct error *err)
{
	bool done = false;
	int r = read_manifest(t, &done, err);

	if (r == -EAGAIN) /* it moved each time that it was read */
		return 1;
	if (r == 0 && !done)
		r = close_epochs(t, err);
	if (r == 0)
		r = replay(t, err);
	if (r == 0 && !done)
		r = commit(t, err);
	return r;
}

static int become_writer(struct takeover *t, struct error *err)
{
	for (unsigned i = 0; i < COMMIT_ATTEMPTS; i++) {
		int r;

		forget_round(t); /* T6: the ends, too */
		if (i > 0)
			replay_progress(t);
		r = one_round(t, err);
		if (r <= 0)
			return r;
	}
	return error_set(err, -EIO, "the manifest moved during each of %u attempts to take over",
		COMMIT_ATTEMPTS);
}

/* Our job in the manifest (D1). */
static int find_writer(const struct takeover *t, struct index_writer *ret, struct error *err)
{
	const struct manifest *m = t->manifest;

	*ret = (struct index_writer){.epoch = t->mine.epoch};
	memcpy(ret->term, t->mine.term, TERM_BYTES);
	for (size_t i = 0; i < m->njobs; i++)
		if (m->jobs[i].writer && m->jobs[i].epoch == t->mine.epoch)
			ret->job = m->jobs[i].id;
	return ret->job || planted(PLANTED_RULE_T2)
		       ? 0
		       : error_set(err, -EBADMSG, "manifest %llu has no entry for its own writer",
				 (unsigned long long)m->number);
}

int takeover(const struct takeover_options *o, struct takeover_result *ret,
	struct claim *ret_holder, struct error *err)
{
	struct takeover t = {.o = o};
	struct index_writer writer;
	int r = claim_epoch(&t, ret_holder, err);

	if (r < 0)
		return r;
	show_life(&t, HEARTBEAT_ALIVE);
	r = become_writer(&t, err);
	if (r == 0)
		r = find_writer(&t, &writer, err);
	if (r < 0) {
		/* For itself only: it has not waited for its predecessors (L3). */
		if (r != -ESTALE)
			show_life(&t, HEARTBEAT_RELEASED);
		forget_round(&t);
		return r;
	}
	index_set_writer(t.index, &writer);
	*ret = (struct takeover_result){
		.claim = t.mine,
		.manifest = TAKE(t.manifest),
		.index = TAKE(t.index),
		.writer = writer,
		.last_group = t.state.last_group,
		.serve_after_ns = t.serve_after_ns,
		.beats = t.beats,
	};
	forget_round(&t);
	return 0;
}
