/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading positions in order. Tail reads run ahead in a pool; their results are taken strictly in
 * order, and nothing behind a missing position or a fence is looked at (R1): a group counts when
 * everything from the replay start up to its journal is there.
 *
 * Where the end is known the window is full at once. Without an end it doubles with every segment
 * found, so that a poll that finds nothing costs one request.
 */
#include "core/log/replay.h"

#include "core/base/list.h"
#include "core/base/planted.h"
#include "core/base/workers.h"

#include <assert.h>
#include <stdlib.h>

#define AHEAD_MAX 64

/* A position being read. */
struct slot {
	struct work work;
	struct work_wait done;
	struct replay *replay;
	uint64_t sequence;
	/* the result; owned by the job until `done` */
	struct error err;
	enum log_object kind;
	bool has_journal;
	struct journal journal;
	uint8_t salt[AEAD_SALT_BYTES];
};

/* One run. */
struct replay {
	struct store *store;
	const struct volume_keys *keys;
	struct replay_state *state;
	const struct replay_ops *ops;
	uint64_t first, end;
	unsigned ahead, window;
	struct workers *pool; /* NULL until more than one read is under way */
	struct slot *slots;   /* ahead of them; position p in slot p % ahead */
	uint64_t issued;      /* positions below are read or being read */
	/* Segments whose group has not ended yet, rising. */
	struct journal_segment *open;
	size_t nopen, open_cap;
	bool skipped; /* by PLANTED_RULE_R1 */
};

/* ---- reading ahead ---- */

static void read_slot(struct work *w)
{
	struct slot *s = container_of(w, struct slot, work);
	const struct replay *p = s->replay;

	work_wait_finish(
		&s->done, segment_read_tail(p->store, p->keys, p->state->epoch, s->sequence, NULL,
				  &s->kind, &s->has_journal, &s->journal, s->salt, &s->err));
}

static struct slot *slot_of(struct replay *p, uint64_t sequence)
{
	return &p->slots[sequence % p->ahead];
}

static void issue(struct replay *p)
{
	struct slot *s = slot_of(p, p->issued);

	s->sequence = p->issued++;
	s->has_journal = false;
	s->err = (struct error){0};
	work_wait_init(&s->done);
	work_wait_add(&s->done, 1);
	s->work.run = read_slot;
	if (p->window > 1 && !p->pool)
		p->pool = workers_new("replay", p->ahead); /* without one, reads run here */
	if (p->window > 1 && p->pool)
		workers_submit(p->pool, &s->work);
	else
		read_slot(&s->work);
}

/* Reads ahead, then waits for the position. */
static int fetch(struct replay *p, uint64_t sequence, struct slot **ret)
{
	while (p->issued < p->end && p->issued - sequence < p->window)
		issue(p);
	*ret = slot_of(p, sequence);
	assert((*ret)->sequence == sequence);
	return work_wait_all(&(*ret)->done);
}

static void slot_done(struct slot *s)
{
	if (s->has_journal)
		journal_done(&s->journal);
	s->has_journal = false;
	work_wait_done(&s->done);
}

/* ---- groups ---- */

static int note_segment(struct replay *p, const struct slot *s)
{
	if (p->nopen == p->open_cap) {
		size_t cap = p->open_cap ? 2 * p->open_cap : 16;
		struct journal_segment *more = realloc(p->open, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->open = more;
		p->open_cap = cap;
	}
	p->open[p->nopen].sequence = s->sequence;
	memcpy(p->open[p->nopen++].salt, s->salt, AEAD_SALT_BYTES);
	return 0;
}

/*
 * The segments that the journal lists are those that were read, salt by salt: nobody put an object
 * of another time in their place. What it lists leaves p->open; segments of a later, still open
 * group may stay.
 */
static bool take_listed(struct replay *p, const struct journal *j)
{
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < j->nsegments; i++) {
		const struct journal_segment *s = &j->segments[i];

		if (s->sequence < p->first) /* read by an earlier run */
			continue;
		while (at < p->nopen && p->open[at].sequence < s->sequence)
			p->open[kept++] = p->open[at++];
		if (at == p->nopen || p->open[at].sequence != s->sequence ||
			memcmp(p->open[at].salt, s->salt, AEAD_SALT_BYTES) != 0)
			return planted(PLANTED_FOREIGN_SEGMENT);
		at++;
	}
	while (at < p->nopen)
		p->open[kept++] = p->open[at++];
	p->nopen = kept;
	return true;
}

static int apply_group(struct replay *p, const struct slot *s, struct error *err)
{
	struct replay_state *st = p->state;
	const struct journal *j = &s->journal;
	char key[LOG_KEY_MAX];

	log_key(key, st->epoch, s->sequence);
	if (!take_listed(p, j))
		return error_set(err, -EBADMSG,
			"%s: group %llu lists other segments than lie there", key,
			(unsigned long long)j->group);
	if (j->group <= st->last_group) /* W7: in the tables already */
		return 0;
	if (j->previous != st->last_group)
		return error_set(err, -EBADMSG,
			"%s: group %llu follows group %llu, which is missing", key,
			(unsigned long long)j->group, (unsigned long long)j->previous);
	int r = p->ops->group(p->ops->arg, st->epoch, s->sequence, j, err);

	if (r == 0)
		st->last_group = j->group;
	return r;
}

/* ---- the run ---- */

static bool skip_gap(struct replay *p)
{
	bool skip = planted(PLANTED_RULE_R1) && p->end == UINT64_MAX && !p->skipped;

	p->skipped = true;
	return skip;
}

/* 1: go on with the next position. 0: *ret says where it stopped. */
static int step(struct replay *p, enum replay_stop *ret, struct error *err)
{
	struct replay_state *st = p->state;
	struct slot *s;
	int r;

	if (st->sequence == p->end) {
		*ret = REPLAY_END;
		return 0;
	}
	r = fetch(p, st->sequence, &s);
	if (r < 0)
		return error_set(err, r, "%s", error_text(&s->err, r));
	if (s->kind != LOG_SEGMENT && !(s->kind == LOG_ABSENT && skip_gap(p))) {
		/* A fence below a recorded end was put by a stale candidate into a collected place
		 * (R2, T6). */
		*ret = s->kind == LOG_FENCE && p->end == UINT64_MAX ? REPLAY_FENCE : REPLAY_MISSING;
		return 0;
	}
	if (s->kind == LOG_SEGMENT)
		r = note_segment(p, s);
	if (r < 0)
		return error_set(err, r, "no memory for the replay");
	if (s->has_journal)
		r = apply_group(p, s, err);
	if (r < 0)
		return r;
	slot_done(s);
	st->sequence++;
	if (p->window < p->ahead)
		p->window = p->window * 2 < p->ahead ? p->window * 2 : p->ahead;
	if (p->ops->progress)
		p->ops->progress(p->ops->arg);
	return 1;
}

int replay_run(struct store *s, const struct volume_keys *k, struct replay_state *state,
	uint64_t end, unsigned ahead, const struct replay_ops *ops, enum replay_stop *ret,
	struct error *err)
{
	struct replay p = {
		.store = s,
		.keys = k,
		.state = state,
		.ops = ops,
		.first = state->sequence,
		.end = end,
		.issued = state->sequence,
		.ahead = ahead == 0	     ? 1
			 : ahead > AHEAD_MAX ? AHEAD_MAX
					     : ahead,
	};
	int r;

	assert(state->sequence <= end);
	p.window = end == UINT64_MAX ? 1 : p.ahead;
	p.slots = calloc(p.ahead, sizeof(*p.slots));
	if (!p.slots)
		return error_set(err, -ENOMEM, "no memory for the replay");
	for (unsigned i = 0; i < p.ahead; i++)
		p.slots[i].replay = &p;
	do
		r = step(&p, ret, err);
	while (r == 1);
	workers_free(p.pool); /* runs what is queued */
	for (uint64_t q = state->sequence; q < p.issued; q++)
		slot_done(slot_of(&p, q));
	free(p.slots);
	free(p.open);
	return r;
}
